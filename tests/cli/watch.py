"""top, report and events with real nodes: lines, JSON, a terminal, the end of the node, figures with a known trend."""
import fcntl
import json
import os
import pty
import select
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time

SILKTALK = os.environ.get("SILKTALK", "build/silktalk")
WORK = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))


def run(home, *args, code=0):
    r = subprocess.run([SILKTALK, args[0], "--home", home, *args[1:]], capture_output=True, text=True, check=False)
    assert r.returncode == code, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout if code == 0 else r.stderr


def new_node(name):
    home = f"{WORK}/{name}"
    run(home, "config", "init")
    run(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
    run(home, "config", "set", "messages.from", "any")
    run(home, "start")
    return home


def lines_until(p, condition, seconds=30):
    """Lines of a process until one fits; they are all returned."""
    got, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        line, newline, rest = p.waiting.partition(b"\n")
        if newline:
            p.waiting = rest
            got.append(line.decode())
            if condition(got[-1]):
                return got
        elif select.select([p.stdout], [], [], 0.2)[0]:
            more = os.read(p.stdout.fileno(), 65536)
            assert more, f"it ended after {got}"
            p.waiting += more
    raise AssertionError(f"waited in vain; so far {got}")


# ---- events

def follow(home, *args):
    p = subprocess.Popen([SILKTALK, "events", "--home", home, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.waiting = b""
    return p


def check_events(a, b, address):
    every, peers = follow(a, "--type", "debug", "--json"), follow(a, "--type", "Peer", "--json")
    text = follow(a)
    lines_until(every, lambda line: '"method":"events"' in line)
    for _ in range(2):  # each of the others has asked when `every` shows it, but for those that asked before it
        run(a, "status")
    run(a, "connect", address)
    run(a, "send", address, "hello", "--wait")
    got = lines_until(every, lambda line: '"Message delivered"' in line)
    for line in got:
        e = json.loads(line)
        assert list(e)[:5] == ["schema", "time", "level", "component", "event"], e
        assert e["schema"] == "silktalk.events/1"
    run(a, "disconnect", address.rsplit("/", 1)[1])
    only = [json.loads(line) for line in lines_until(peers, lambda line: "Peer disconnected" in line)]
    assert {e["event"] for e in only} <= {"Peer connected", "Peer disconnected", "Peer identified"}, only
    shown = lines_until(text, lambda line: "Peer disconnected" in line)
    assert any(" INFO message: Message delivered peer=" in line for line in shown), shown
    assert not any("DEBUG" in line for line in shown)
    every.terminate()
    every.wait()
    err = run(a, "events", "--type", "nonsense", code=2)
    assert "no event" in err, err
    run(a, "events", "word", code=2)
    run(a, "stop")
    for p in (peers, text):
        p.communicate(timeout=30)
        assert p.returncode in (1, 3), p.returncode  # the node is gone, and that is no success
    run(a, "events", code=3)
    run(a, "start")


# ---- top

def check_top(a, address):
    run(a, "connect", address)
    out = run(a, "top", "--interval", "200ms", "-n", "3").splitlines()
    assert len(out) == 3 and all(" peers 1 connections 1 in " in line for line in out), out
    assert " in -/s " in out[0] and " in -/s " not in out[1], out
    looks = [json.loads(line) for line in run(a, "top", "--interval", "200ms", "-n", "2", "--json").splitlines()]
    assert [x["schema"] for x in looks] == ["silktalk.top/1"] * 2 and list(looks[0])[0] == "schema"
    assert looks[0]["bytes_in_per_second"] is None and looks[1]["bytes_in_per_second"] >= 0
    assert looks[1]["items"][0]["peer_id"] == address.rsplit("/", 1)[1], looks[1]["items"]
    run(a, "top", "--interval", "1ms", code=2)
    run(a, "top", "-n", "0", code=2)
    run(a, "top", "word", code=2)
    p = subprocess.run(f"{SILKTALK} top --home {a} --interval 100ms | head -n 2", shell=True, capture_output=True,
                       text=True, timeout=60, check=False)
    assert len(p.stdout.splitlines()) == 2 and not p.stderr, p


def check_terminal(a):
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(side)
    env = dict(os.environ, TERM="xterm")
    p = subprocess.Popen([SILKTALK, "top", "--home", a, "--interval", "200ms"], stdin=side, stdout=side, stderr=side,
                         env=env)
    screen, end = b"", time.monotonic() + 30
    while screen.count(b"Traffic") < 3:
        assert time.monotonic() < end, screen
        if select.select([main], [], [], 0.2)[0]:
            screen += os.read(main, 65536)
    os.write(main, b"q")
    while p.poll() is None:
        assert time.monotonic() < end, "q does not end it"
        if select.select([main], [], [], 0.2)[0]:
            screen += os.read(main, 65536)
    while select.select([main], [], [], 0.2)[0]:
        screen += os.read(main, 65536)
    assert p.returncode == 0
    assert screen.startswith(b"\x1b[?1049h") and screen.endswith(b"\x1b[?1049l"), screen[-100:]
    assert b"Peers      1, 1 connections of 300" in screen and b"PEER" in screen, screen
    assert termios.tcgetattr(side) == before, "the terminal is not as it was"
    os.close(main)
    os.close(side)


# ---- report

def check_report(a):
    run(a, "stop")
    fresh = sqlite3.connect(a + "/data/silktalk.db")
    now = int(time.time() * 1000) // 3600000 * 3600000
    size, most = 100 * 2**30, 10000
    for i in range(1, 31 * 24):  # the disk fills by 1 GiB a day and has 10 GiB left; the inbox stays as it is
        hour = now - i * 3600000
        fresh.execute("INSERT OR REPLACE INTO figures(span_s, at_ms, up_seconds, disk_used_bytes, disk_size_bytes, inbox,"
                      " messages_in, operations, operations_failed, connections, connections_max, latency_p95_ms)"
                      " VALUES(3600, ?, 3600, ?, ?, 5, ?, 200, 1, 7, 9, 30)",
                      (hour, size - 10 * 2**30 - i * 2**30 // 24, size, 10 + i % 2))
    fresh.execute("DELETE FROM figures WHERE span_s = 3600 AND at_ms >= ?", (now,))
    fresh.commit()
    fresh.close()
    run(a, "start")
    r = json.loads(run(a, "report", "--json"))
    assert list(r)[0] == "schema" and r["schema"] == "silktalk.report/1" and r["hours"] >= 31 * 24 - 2, r
    figures = {i["figure"]: i for i in r["items"]}
    assert abs(figures["errors"]["week"] - 0.5) < 1e-9 and figures["latency p95"]["day"] == 30, figures
    assert figures["connections"]["highest"] == 9 and abs(figures["connections"]["change_per_day"]) < 1e-6
    assert abs(figures["messages in per hour"]["week"] - 10.5) < 0.01
    capacity = {i["limit"]: i for i in r["capacity"]}
    disk = capacity["disk of the database"]
    assert abs(disk["change_per_day"] / 2**30 - 1) < 0.001, disk
    assert abs(disk["reached_in_seconds"] / 86400 - 10) < 0.2, disk
    assert capacity["inbox (messages.inboxMax)"]["reached_at"] is None, capacity
    text = run(a, "report")
    assert "in 9d" in text or "in 10d" in text, text
    assert "not at this rate" in text and "LAST-HOUR" in text, text
    assert json.loads(run(a, "report", "--json", "--since", "3h"))["hours"] <= 4
    assert "too few figures" in run(a, "report", "--since", "3h")
    run(a, "report", "--since", "nonsense", code=2)
    run(a, "report", "word", code=2)
    assert most  # the inbox's limit, 5 of which are used
    status = json.loads(run(a, "status", "--json"))
    assert status["storage"]["logs_bytes"] > 0 and 0 <= status["storage"]["disk_percent"] <= 100, status["storage"]


def main():
    a, b = new_node("a"), new_node("b")
    run(a, "report")  # nothing yet, which is no error
    address = json.loads(run(b, "id", "--addrs", "--json"))["addrs"][0]
    check_events(a, b, address)
    check_top(a, address)
    check_terminal(a)
    check_report(a)
    print("events, top and report do what they say")


try:
    main()
except AssertionError as e:
    sys.exit(f"FAIL: {e}")
finally:
    for name in ("a", "b"):
        subprocess.run([SILKTALK, "stop", "--home", f"{WORK}/{name}"], capture_output=True, check=False)
    shutil.rmtree(WORK, ignore_errors=True)
