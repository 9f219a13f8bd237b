"""What the tests of health share: homes, daemons, waiting."""
import json
import os
import subprocess
import tempfile
import time

SILKTALK = os.path.abspath(os.environ.get("SILKTALK", "build/silktalk"))
WORK = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
BUSY = {"cpu"}  # the machine that runs the tests may be busy: that is no fault of the node


def run(home, *args, **more):
    return subprocess.run([SILKTALK, args[0], "--home", home, *args[1:]], capture_output=True, text=True, check=False,
                          timeout=120, **more)


def good(home, *args):
    r = run(home, *args)
    assert r.returncode == 0, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout


def answer(home, *args):
    return json.loads(good(home, *args, "--json"))


def eventually(what, condition, seconds=60):
    """What the condition gives, once it gives something. `what`: words, or a function that makes them when it is too late."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not so within {seconds} s: {what() if callable(what) else what}")


def new_home(name, **keys):
    home = f"{WORK}/{name}"
    good(home, "config", "init")
    good(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
    good(home, "config", "set", "http.listen", "off")
    for key, value in keys.items():
        good(home, "config", "set", key.replace("_", "."), value)
    return home


class Daemon:
    def __init__(self, home, exe=SILKTALK, **environment):
        self.home = home
        self.p = subprocess.Popen([exe, "daemon", "--home", home], stderr=subprocess.DEVNULL, env=dict(os.environ, **environment))
        eventually("it answers", lambda: run(home, "status").returncode == 0)
        self.address = answer(home, "id")["addrs"][0]
        self.id = answer(home, "id")["peer_id"]

    def end(self, number=15):
        if self.p.poll() is None:
            self.p.send_signal(18)
            self.p.send_signal(number)
        self.p.wait(30)


def health(home):
    r = run(home, "health", "--json")
    return json.loads(r.stdout), r.returncode


def bad(home):
    """Checks that are judged and not OK: name -> (status, level)."""
    return {c["name"]: (c["status"], c["level"]) for c in health(home)[0]["checks"]
            if c["judged"] and c["status"] != "ok" and c["name"] not in BUSY}
