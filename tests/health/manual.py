"""Section 3.3 of the manual: its script as printed, against a node on 127.0.0.1:8080; and `health --url`."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from common import WORK, Daemon, answer, bad, eventually, good, new_home, run

SCRIPT = """#!/bin/bash
# /usr/local/bin/silktalk-health-check.sh

STATUS=$(curl -s http://localhost:8080/health | jq -r '.status')
if [ "$STATUS" != "healthy" ]; then
  echo "SilkTalk node unhealthy" | mail -s "SilkTalk Alert" ops@example.com
fi
"""


def skip(why):
    print(why)
    sys.exit(77)


def curl(path, *args):
    return subprocess.run(["curl", "-s", *args, "http://localhost:8080" + path], capture_output=True, text=True, check=False).stdout


def main():
    if not shutil.which("curl") or not shutil.which("jq"):
        skip("no curl or no jq")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 8080))
        except OSError:
            skip("something else has port 8080")
    os.mkdir(WORK + "/bin")
    for name, text in (("mail", f'#!/bin/sh\nprintf "%s|" "$@" >>"{WORK}/mails"; cat >>"{WORK}/mails"\n'), ("manual.sh", SCRIPT)):
        with open(f"{WORK}/bin/{name}", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(f"{WORK}/bin/{name}", 0o755)
    env = os.environ | {"PATH": WORK + "/bin:" + os.environ["PATH"]}

    def alert():
        subprocess.run([WORK + "/bin/manual.sh"], env=env, check=True)
        if not os.path.exists(WORK + "/mails"):
            return ""
        with open(WORK + "/mails", encoding="utf-8") as f:
            return f.read()

    home = new_home("a", health_cpuWarning="100", health_cpuCritical="100", health_memoryWarning="95", health_memoryCritical="100")
    good(home, "config", "set", "http.listen", "127.0.0.1:8080")
    d = Daemon(home)
    told = "-s|SilkTalk Alert|ops@example.com|SilkTalk node unhealthy\n"
    try:
        eventually("well", lambda: bad(home) == {})
        assert alert() == "", "a healthy node"
        over_http, by_socket = json.loads(curl("/health")), answer(home, "health")
        assert set(over_http) == set(by_socket) and over_http["status"] == "healthy", over_http
        assert [c["name"] for c in over_http["checks"]] == [c["name"] for c in by_socket["checks"]]
        assert "127.0.0.1" not in curl("/health") and home not in curl("/health")
        r = run(home, "health", "--url", "http://127.0.0.1:8080")
        assert r.returncode == 0 and r.stdout.startswith("SILKTALK OK - node up"), r
        good(home, "config", "set", "health.diskNormal", "0")
        good(home, "config", "set", "health.diskWarning", "0")
        eventually("degraded", lambda: json.loads(curl("/health"))["status"] == "degraded")
        assert alert() == told
        assert run(home, "health", "--url", "http://127.0.0.1:8080/health").returncode == 1
        os.rename(home + "/identity.key", home + "/aside")
        eventually("unhealthy", lambda: curl("/health", "-o", "/dev/null", "-w", "%{http_code}") == "503")
        assert alert() == told * 2
        os.rename(home + "/aside", home + "/identity.key")
        eventually("degraded again", lambda: json.loads(curl("/health"))["status"] == "degraded")
        assert curl("/readyz") == "ok\n"
        good(home, "maintenance", "on")
        assert curl("/readyz", "-w", "%{http_code}") == "the node is in maintenance\n503"
        assert json.loads(curl("/health"))["maintenance"]["until"] is None
        good(home, "maintenance", "off")
        d.p.send_signal(signal.SIGSTOP)
        r = run(home, "health", "--url", "http://127.0.0.1:8080")
        assert r.returncode == 2 and "no answer in time" in r.stdout, r
        d.p.send_signal(signal.SIGCONT)
        d.end()
        assert alert() == told * 3, "a dead node"
        for scheme in ("http", "https"):
            r = run(home, "health", "--url", scheme + "://127.0.0.1:8080", "-v")
            assert r.returncode == 2 and "Connection refused" in r.stdout, r
        for url in ("ftp://x", "http://", "http://a b/"):
            assert run(home, "health", "--url", url).returncode == 3, url
    finally:
        d.end()


if __name__ == "__main__":
    main()
