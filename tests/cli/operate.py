"""What a service manager and an operator rely on: readiness, signals, one daemon per home, --follow --exec, limits."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

SILKTALK = os.environ.get("SILKTALK", "build/silktalk")
WORK = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))


def run(home, *args, **more):
    return subprocess.run([SILKTALK, *args, "--home", home], capture_output=True, text=True, check=False, **more)


def good(home, *args):
    r = run(home, *args)
    assert r.returncode == 0, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout


def eventually(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    sys.exit(f"not so within {seconds} s: {what}")


def new_home(name, **keys):
    home = f"{WORK}/{name}"
    good(home, "config", "init")
    good(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
    for key, value in keys.items():
        good(home, "config", "set", key.replace("_", "."), value)
    return home


def daemon(home, **env):
    p = subprocess.Popen([SILKTALK, "daemon", "--home", home], stderr=subprocess.PIPE, text=True, env=os.environ | env)
    eventually("it answers", lambda: run(home, "status").returncode == 0)
    return p


def service_manager():
    for name in (f"{WORK}/notify", "\0silktalk-test-%d" % os.getpid()):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(name)
        s.settimeout(10)
        home = new_home("n%d" % len(name))
        p = subprocess.Popen([SILKTALK, "daemon", "--home", home], stderr=subprocess.DEVNULL,
                             env=os.environ | {"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "400000"})

        def until(word, seen=None):
            seen = [] if seen is None else seen
            while not any(word in m for m in seen):
                seen.append(s.recv(4096).decode())
            return seen

        assert "STATUS=" in "".join(until("READY=1"))
        until("WATCHDOG=1")
        until("WATCHDOG=1")
        p.send_signal(signal.SIGHUP)
        until("RELOADING=1")
        until("READY=1")
        p.send_signal(signal.SIGTERM)
        until("STOPPING=1")
        assert p.wait(5) == 0
        s.close()
    print("service manager: READY, STATUS, WATCHDOG, RELOADING, STOPPING on a path and an abstract socket")


def one_daemon():
    home = new_home("one")
    p = daemon(home)
    second = run(home, "daemon")
    assert second.returncode != 0 and str(p.pid) in second.stderr and home in second.stderr, second
    p.kill()
    p.wait()
    left = [f for f in os.listdir(home) if f.endswith(".sock")]
    assert left, "kill -9 leaves the socket"
    with open(home + "/daemon.lock", "w", encoding="ascii") as f:
        f.write("99999999\n")
    p = daemon(home)
    os.rename(home + "/log/silktalk.log", home + "/log/old") if os.path.exists(home + "/log/silktalk.log") else None
    p.send_signal(signal.SIGHUP)
    eventually("the log is opened anew", lambda: os.path.exists(home + "/log/silktalk.log"))
    p.send_signal(signal.SIGUSR1)
    eventually("the state is in the log", lambda: "State part=limit" in open(home + "/log/silktalk.log", encoding="utf-8").read())
    good(home, "log", "level", "net=debug", "--for", "1s")
    level = lambda: {i["component"]: i["level"] for i in json.loads(good(home, "log", "level", "--json"))["items"]}["net"]
    assert level() == "debug"
    eventually("the log level is what it was", lambda: level() == "info")
    began = time.monotonic()
    p.send_signal(signal.SIGINT)
    assert p.wait(5) == 0 and time.monotonic() - began < 5
    print("one daemon: the second one names pid and home; leftovers do not stop a start; HUP, USR1, INT; level --for")


def pair(**keys):
    a, b = new_home("a"), new_home("b", **keys)
    for home in (a, b):
        good(home, "start", "-q")
    ids = [good(home, "id").strip() for home in (a, b)]
    good(a, "connect", good(b, "id", "--addrs").split()[0])
    good(a, "peer", "name", ids[1], "bob")
    good(b, "peer", "name", ids[0], "alice")
    return a, b


def follow(a, b):
    program = WORK + "/program"
    with open(program, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nif [ ! -e "{WORK}/tried" ]; then touch "{WORK}/tried"; exit 1; fi\n'
                f'echo "$1|$SILKTALK_NAME|$SILKTALK_SUBJECT|$(cat)" >>"{WORK}/handled"\n')
    os.chmod(program, 0o755)
    good(a, "send", "bob", "the $(body)", "-s", "the subject", "--wait=10s")
    p = subprocess.Popen([SILKTALK, "inbox", "--follow", "--home", b, "--exec", program, "word; 1"], stderr=subprocess.DEVNULL)
    handled = lambda: open(WORK + "/handled", encoding="utf-8").read().splitlines() if os.path.exists(WORK + "/handled") else []
    eventually("tried again after it failed", lambda: len(handled()) == 1)
    p.kill()
    p.wait()
    good(a, "send", "bob", "second", "--wait=10s")
    p = subprocess.Popen([SILKTALK, "inbox", "--follow", "--home", b, "--exec", program, "word; 1"], stderr=subprocess.DEVNULL)
    eventually("the second one too", lambda: len(handled()) >= 2)
    p.terminate()
    assert p.wait(10) == 0
    assert handled()[0] == "word; 1|alice|the subject|the $(body)" and handled()[-1].endswith("second"), handled()
    print("inbox --follow --exec: no shell, body and environment, a failed program is run again, kill -9 loses nothing")


def limits(a, b):
    with open(WORK + "/large", "wb") as f:
        f.write(b"x" * 5000)
    good(a, "config", "set", "messages.maxBody", "4KiB")
    r = subprocess.run([SILKTALK, "send", "bob", "-", "--home", a], stdin=open(WORK + "/large", "rb"), capture_output=True,
                       text=True, check=False)
    assert r.returncode == 6 and "maxBody" in r.stderr, r
    good(a, "config", "set", "messages.maxBody", "1MiB")
    good(b, "config", "set", "messages.maxBody", "2KiB")
    r = run(a, "send", "bob", "y" * 3000, "--wait=10s")
    assert r.returncode == 1 and "TOO_LARGE" in r.stdout, r
    good(b, "config", "set", "messages.inboxPerPeer", "2")
    r = run(a, "send", "bob", "one too many", "--wait=2s")
    assert r.returncode == 8, r
    assert any("busy" in (i["last_error"] or "") for i in json.loads(good(a, "outbox", "--json"))["items"])
    good(a, "config", "set", "messages.outboxMaxPerPeer", "1")
    r = run(a, "send", "bob", "and one more")
    assert r.returncode == 9 and "outboxMaxPerPeer" in r.stderr, r
    good(a, "config", "set", "messages.retryMax", "1s")
    good(b, "config", "set", "messages.inboxPerPeer", "1000")
    eventually("what waited arrives when there is room", lambda: "one too many" in json.dumps(
        [json.loads(good(b, "read", "--json", "--keep-unread", i["id"])) for i in json.loads(good(b, "inbox", "--json"))["items"]]))
    good(b, "stop", "-q")
    good(b, "config", "set", "messages.spoolMax", "1")
    ids = good(a, "id").strip()
    r = run(b, "send", ids, "into the spool")
    assert r.returncode == 0 and "spool" in r.stderr, r
    assert run(b, "send", ids, "no room").returncode == 9
    good(b, "start", "-q")
    good(b, "connect", good(a, "id", "--addrs").split()[0])
    eventually("the spool was taken up", lambda: "into the spool" in json.dumps(
        [json.loads(good(a, "read", "--json", i["id"])) for i in json.loads(good(a, "inbox", "--json"))["items"]]))
    print("limits: body, inbox of a peer, outbox of a peer, spool; what waited arrives when there is room")


def main():
    service_manager()
    one_daemon()
    a, b = pair()
    try:
        follow(a, b)
        limits(a, b)
    finally:
        for home in (a, b):
            run(home, "stop", "-q")


main()
