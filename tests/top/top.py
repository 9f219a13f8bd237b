#!/usr/bin/env python3
"""`silktalk top` in real terminals: sizes, a resize, colours, keys, signals, a node that goes and comes back, 300
connections, hostile and wide names; plain lines elsewhere. `report` as text and JSON.

Environment: SILKTALK, BUILD, TMPDIR. SHOW=1 prints the screens."""
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))
sys.path.insert(0, HERE)
import silktalk  # noqa: E402
from terminal import Terminal  # noqa: E402

EXE = os.path.abspath(os.environ.get("SILKTALK", "build/silktalk"))
ATTACKER = os.path.join(os.path.abspath(os.environ.get("BUILD", "build")), "abuse", "attacker")
INI = """[node]
name = harbour-with-a-rather-long-name-for-a-node
[http]
listen = off
[messages]
from = any
[connection]
maxConnections = 400
inboundConnectionThreshold = 1000
maxConnectionsPerAddress = 1000
"""
NAME = "a-name-of-a-peer-that-is-too-long-to-fit-anywhere-at-all"
CROWD = 298


def show(title, text):
    if os.environ.get("SHOW"):
        print(f"---- {title}\n{text}")


def top(node, width, height, *more, **env):
    return Terminal([EXE, "top", "--home", node.home, "--interval", "200ms", *more], width, height, **env)


def no_faults(t):
    assert not t.screen.faults, "\n".join(t.screen.faults) + "\n" + t.screen.text()


def sizes(node, peers):
    """All of it on a large screen, the best of it on a small one; never a column too many."""
    for width, height in ((20, 5), (40, 12), (80, 24), (200, 60), (1, 1), (13, 3), (79, 9), (72, 8)):
        t = top(node, width, height)
        t.until(lambda t: t.raw.count(b"\x1b[H") >= 3, "three pictures")
        t.settle()
        no_faults(t)
        text = t.screen.text()
        show(f"{width}x{height}, {peers} peers", text)
        lines = text.split("\n")
        if width >= 20:
            assert "healthy" in lines[0], text
            assert re.search(r"(?i)^peers +%d" % peers, text, re.M), text
        if (width, height) == (20, 5):
            assert re.search(r"\bin \S+ \S*B/s", text) and re.search(r"\bout \S+ \S*B/s", text) and "PEER" not in text, text
        if height >= 12:
            assert "PEER" in text and "IN/S" in text and "OUT/S" in text and re.search(r"-\d+ of %d " % peers, lines[-1]), text
            assert ("STREAMS" in text) == (width >= 80) and ("PROGRAM" in text) == (width >= 82), text
            assert NAME[:7] in text, text
        if width == 200:
            assert "silktalk/" in text and (peers == 2 or re.search(r"12D3KooW\w{44} ", text)), text
        assert b"\x1b[1m" in t.raw or height < 9, "no colours"
        t.type(b"q")
        assert t.ended() == 0


def hostile(node):
    """The program's name of a peer is text; so is its operator's name for it."""
    t = top(node, 200, 60)
    t.shows("PROGRAM", "by traffic")
    t.type(b"oooo")  # round
    for _ in range(9):
        if "onerror" in t.screen.text():
            break
        t.type(b"\x1b[6~")
        t.settle()
    text = t.shows("<img src=x onerror=alert(1)>")
    assert "丝语/0.9" in text, text
    assert "\\x1b]0;title\\x07\\x1b[31mred\\x1b[2J" in text, text
    no_faults(t)
    t.type(b"q")
    assert t.ended() == 0


def scrolling(node):
    t = top(node, 80, 24)
    t.shows("1-16 of 300 by traffic")
    t.type(b"j")
    t.shows("2-17 of 300")
    t.type(b"\x1b[B\x1bOB")
    t.shows("4-19 of 300")
    t.type(b"\x1b[6~" * 30)
    t.shows("285-300 of 300")
    t.type(b"\x1b[A")
    t.shows("284-299 of 300")
    t.type(b"\x1b[5~")
    t.shows("270-285 of 300")
    t.type(b"\x1b[H")
    t.shows("1-16 of 300")
    t.type(b"o")
    t.shows("by round trip")
    t.type(b"oo")
    text = t.shows("by name")
    rows = [line for line in text.split("\n") if NAME[:7] in line or "ship-" in line]
    assert len(rows) == 2 and "ship-2" in rows[1], text
    t.type(b"\x1b[H\x1b\x1b[Z\x00\xff~~5")  # nothing of it ends it
    t.shows("1-16 of 300")
    no_faults(t)
    t.type(b"Q")
    assert t.ended() == 0


def resizing(node):
    t = top(node, 80, 24, "--interval", "1h")
    t.shows("PEER")
    for width, height in ((40, 12), (20, 5), (132, 50), (80, 24), (10, 2), (80, 24)):
        seen = t.raw.count(b"\x1b[H")
        t.resize(width, height)
        t.until(lambda t: t.raw.count(b"\x1b[H") > seen, "a picture for the new size at once")
        t.settle()
        no_faults(t)
        assert ("PEER" in t.screen.text()) == (height >= 9), t.screen.text()
    before = re.search(r"up (\S+)", t.screen.text())[1]
    time.sleep(1.1)
    for key in (b" ", b"\r"):
        seen = t.raw.count(b"\x1b[H")
        t.type(key)
        t.until(lambda t: t.raw.count(b"\x1b[H") > seen + 1, "a look at once")  # a picture for the key, one of the look
    t.until(lambda t: before != re.search(r"up (\S+)", t.screen.text())[1], "another time")
    t.type(b"q")
    assert t.ended() == 0


def colours(node):
    plain = top(node, 80, 24, NO_COLOR="1")
    plain.shows("PEER")
    assert plain.screen.styles == 0, "NO_COLOR"
    plain.type(b"q")
    assert plain.ended() == 0
    for term in ("dumb", ""):
        lines = Terminal([EXE, "top", "--home", node.home, "--interval", "100ms", "-n", "2"], 80, 24, TERM=term)
        lines.until(lambda t: t.process.poll() is not None, "two lines")
        lines.settle()
        assert lines.raw.count(b"\n") == 2 and b"\x1b" not in lines.raw, lines.raw
        assert lines.ended() == 0
    r = subprocess.run([EXE, "top", "--home", node.home, "--interval", "100ms", "-n", "3"], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert r.returncode == 0 and r.stdout.count("\n") == 3 and "\x1b" not in r.stdout and not r.stderr, r
    for line in r.stdout.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ peers \d+ connections \d+ in \S", line), line


def endings(node):
    """Whatever ends it, the terminal is as before."""
    for how in (b"\x03", b"\x1c", signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        t = top(node, 80, 24)
        t.shows("PEER")
        if isinstance(how, bytes):
            t.type(how)
        else:
            t.process.send_signal(how)
        assert t.ended() == 0, how
    t = top(node, 80, 24)
    t.shows("PEER")
    t.type(b"\x1a")
    pid, status = os.waitpid(t.process.pid, os.WUNTRACED)
    assert pid and os.WIFSTOPPED(status), status
    t.restored()
    t.process.send_signal(signal.SIGCONT)
    t.until(lambda t: t.screen.modes[1049] and "PEER" in t.screen.text(), "the screen after ^Z and fg")
    t.type(b"q")
    assert t.ended() == 0


def lost(node):
    t = top(node, 80, 24)
    t.shows("PEER")
    node.kill()
    t.shows("The node is not running")
    no_faults(t)
    assert t.process.poll() is None and "PEER" in t.screen.text(), "what was known last"
    node.start()
    t.shows("healthy", "no connections")
    node.signal(signal.SIGSTOP)
    time.sleep(0.3)
    begin = time.monotonic()
    t.type(b"q")
    assert t.ended() == 0 and time.monotonic() - begin < 20, "q beside a node that is stopped"
    t = top(node, 80, 24, "--timeout", "1s")
    assert t.ended() == 10, "a node that never answered"
    node.signal(signal.SIGCONT)
    node.stop()
    assert top(node, 80, 24).ended() == 3, "no node"


def gone_terminal(node):
    """The window is closed: it does not stay behind."""
    t = top(node, 80, 24)
    t.shows("PEER")
    os.close(t.side)
    os.close(t.main)
    t.main = -1
    t.process.wait(30)


def report(node):
    node.stop()
    db = sqlite3.connect(node.home + "/data/silktalk.db")
    hour = int(time.time()) // 3600 * 3600
    db.execute("DELETE FROM figures")
    for i in range(1, 9 * 24):
        db.execute("INSERT OR REPLACE INTO figures(span_s, at_ms, up_seconds, connections, connections_max, messages_in, bytes_in,"
                   " latency_p95_ms, operations, operations_failed) VALUES(3600, ?, 3600, ?, ?, 10, ?, 25, 100, 2)",
                   ((hour - i * 3600) * 1000, 200 - i // 24 * 10, 210 - i // 24 * 10, 5 << 20))
    db.commit()
    db.close()
    node.start()
    r = node.cli("report", code=0).json
    assert list(r)[:2] == ["schema", "since"] and r["schema"] == "silktalk.report/1" and r["hours"] >= 9 * 24 - 1, r
    figures = {i["figure"]: i for i in r["items"]}
    for i in r["items"]:
        assert set(i) == {"figure", "unit", "last", "day", "week", "all", "highest", "change_per_day"}, i
    assert abs(figures["connections"]["change_per_day"] - 10) < 1 and abs(figures["errors"]["week"] - 2) < .1, figures
    room = {i["limit"]: i for i in r["capacity"]}["connections (maxConnections)"]
    assert room["max"] == 400 and 15 < room["reached_in_seconds"] / 86400 < 26, room
    text = node.cli("report", as_json=False, code=0).out
    show("report", text)
    assert "\x1b" not in text and "FIGURE" in text and "5.0 MiB" in text and re.search(r"connections \(.*in \d+d", text), text
    t = Terminal([EXE, "report", "--home", node.home], 120, 60)
    t.until(lambda t: t.process.poll() is not None, "the report on a terminal")
    t.settle()
    assert b"\x1b[1mFIGURE" in t.raw and t.ended() == 0
    assert max(map(len, text.splitlines())) <= 80, "wider than a terminal: " + max(text.splitlines(), key=len)
    t = Terminal([EXE, "report", "--home", node.home], 120, 60, NO_COLOR="1")
    t.until(lambda t: t.process.poll() is not None, "the report without colours")
    t.settle()
    assert b"\x1b" not in t.raw and t.ended() == 0


def main():
    nodes, crowd = [], None
    try:
        node = silktalk.SilkTalk(ini=INI, binary=EXE)
        nodes.append(node)
        for i in (1, 2):
            nodes.append(silktalk.SilkTalk(ini="[http]\nlisten = off\n", binary=EXE))
            nodes[-1].connect(node.addr)
            node.cli("peer", "name", nodes[-1].peer_id, NAME if i == 1 else "ship-2", code=0)
        sizes(node, 2)
        crowd = subprocess.Popen([ATTACKER, "crowd", f"127.0.0.1:{node.port}", f"count={CROWD}"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        assert crowd.stdout.readline() == f"crowd={CROWD}\n"
        silktalk.wait_for("300 connections", lambda: node.ctl("diag.loop")["connections"] == CROWD + 2, 30)
        sizes(node, CROWD + 2)
        hostile(node)
        scrolling(node)
        resizing(node)
        colours(node)
        endings(node)
        gone_terminal(node)
        crowd.stdin.close()
        crowd.wait(30)
        for other in nodes[1:]:
            other.stop()
        report(node)
        lost(node)
    finally:
        for n in nodes:
            if n.process is not None:
                n.signal(signal.SIGCONT)
            n.kill()
            n.drop_home()
        if crowd is not None and crowd.poll() is None:
            crowd.kill()
    print("top in 8 sizes with 2 and 300 connections, keys, signals, a lost node; report")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as e:
        sys.exit(f"FAIL: {e}")
