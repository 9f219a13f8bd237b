"""Nodes are killed (SIGKILL) at random moments while messages pour in; prints where the kills fell.

ROUNDS=n rounds (1) of KILLS=n kills (20), every fourth of the sender, the others of the receiver. DAEMON: the
executable that is killed: build/crash/silktalk loses what it had not synced, as a power cut would.
"""
import collections
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

SILKTALK = os.environ.get("SILKTALK", "build/silktalk")
DAEMON = os.environ.get("DAEMON", SILKTALK)
KILLS = int(os.environ.get("KILLS", "20"))
ROUNDS = int(os.environ.get("ROUNDS", "1"))
SEED = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))
BETWEEN, BEFORE, IDLE = "between a commit and its receipt", "with messages under way, none committed", "idle"


def cli(home, *args):
    return subprocess.run([SILKTALK, *args, "--home", home], capture_output=True, text=True, check=True).stdout


def start(home):
    p = subprocess.Popen([DAEMON, "daemon", "--home", home], stderr=subprocess.DEVNULL)
    for _ in range(500):
        if subprocess.run([SILKTALK, "id", "--addrs", "--home", home], capture_output=True, check=False).returncode == 0:
            return p
        time.sleep(0.02)
    sys.exit("the node does not start")


def rows(home, query):
    """Of the database as the crash left it, read from a copy."""
    with tempfile.TemporaryDirectory() as copy:
        for name in os.listdir(home + "/data"):
            if name.startswith("silktalk.db") and not name.endswith("-shm"):
                shutil.copy(home + "/data/" + name, copy)
        with sqlite3.connect(copy + "/silktalk.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", home
            return [r[0].hex() for r in db.execute(query)]


def stored(home):
    return rows(home, "SELECT id FROM inbox ORDER BY seq")


def waiting(home, crashed=False):
    """The ids that the sender still keeps: what is not here any more was acknowledged."""
    if crashed:
        return set(rows(home, "SELECT id FROM outbox"))
    with sqlite3.connect(f"file:{home}/data/silktalk.db?mode=ro", uri=True, timeout=10) as db:
        return {r[0].hex() for r in db.execute("SELECT id FROM outbox")}


class Load(threading.Thread):
    """Sends through the control socket of a node that may die at any time. `sent`: ids that were answered."""

    def __init__(self, home, peer):
        super().__init__()
        self.home, self.peer, self.sent, self.stop = home, peer, [], threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.home + "/control.sock")
                self.pour(s, s.makefile())
            except (OSError, ValueError):
                time.sleep(0.01)

    def pour(self, s, lines):
        request = {"v": 1, "method": "send", "params": {"peer": self.peer, "body": "x" * 200}}
        while not self.stop.is_set():
            s.sendall("".join(json.dumps(request | {"id": i}) + "\n" for i in range(40)).encode())
            for _ in range(40):
                answer = json.loads(lines.readline())
                if "result" in answer:
                    self.sent.append(answer["result"]["items"][0]["id"])
            time.sleep(0.002)


def prepare(work):
    a, b = work + "/a", work + "/b"
    for home in (a, b):
        cli(home, "config", "init")
        for key, value in (("network.listen", "/ip4/127.0.0.1/tcp/0"), ("messages.ratePerPeer", "10000/s"),
                           ("messages.outboxMaxPerPeer", "100000"), ("messages.outboxMax", "100000"),
                           ("messages.inboxPerPeer", "10000000"), ("messages.inboxMax", "10000000"),
                           ("messages.inboxBytesPerPeer", "1TiB"), ("messages.inboxMaxBytes", "1TiB"), ("connection.redialMin", "100ms"),
                           ("connection.redialMax", "200ms"), ("connection.inboundConnectionThreshold", "1000/s"),
                           ("messages.retryMin", "100ms"), ("messages.retryMax", "1s")):
            cli(home, "config", "set", key, value)
    nodes = {"a": start(a), "b": start(b)}
    ids = {home: cli(home, "id").strip() for home in (a, b)}
    cli(a, "connect", address := cli(b, "id", "--addrs").split()[0])
    cli(b, "config", "set", "network.listen", address.split("/p2p/")[0])
    cli(a, "config", "set", "discovery.bootstrap", address)  # a sender that was killed finds it again
    cli(b, "peer", "name", ids[a], "sender")
    return a, b, nodes, Load(a, ids[b])


def kill_receiver(a, b, nodes, load, where):
    nodes["b"].send_signal(signal.SIGKILL)
    nodes["b"].wait()
    known = list(load.sent)  # before the outbox is looked at: these were in it
    kept = waiting(a)
    receipts, there = set(known) - kept, stored(b)
    assert not receipts - set(there), f"{len(receipts - set(there))} acknowledged messages are gone (seed {SEED})"
    assert len(there) == len(set(there)), f"a message is there twice (seed {SEED})"
    fell = BETWEEN if set(there) - receipts else BEFORE if kept else IDLE
    where["receiver, " + fell] += 1
    nodes["b"] = start(b)
    return fell == BETWEEN


def kill_sender(a, b, nodes, load, where):
    nodes["a"].send_signal(signal.SIGKILL)
    nodes["a"].wait()
    answered = list(load.sent)
    kept = waiting(a, crashed=True)
    time.sleep(0.05)  # what the receiver has read it stores
    there = set(stored(b))
    lost = set(answered) - kept - there
    assert not lost, f"{len(lost)} messages that `send` had answered are gone (seed {SEED})"
    where["sender, " + (BETWEEN if kept & there else BEFORE if kept else IDLE)] += 1
    nodes["a"] = start(a)


def finish(a, b, nodes, load):
    load.stop.set()
    load.join()
    for _ in range(900):
        if not waiting(a):
            break
        time.sleep(0.1)
    for node in nodes.values():
        node.send_signal(signal.SIGTERM)
        assert node.wait(10) == 0
    there, position = stored(b), {}
    for i, message in enumerate(there):
        position[message] = i
    assert len(position) == len(there), f"a message is there twice (seed {SEED})"
    missing = [m for m in load.sent if m not in position]
    assert not missing, f"{len(load.sent)} sent, {len(missing)} not delivered (seed {SEED})"
    places = [position[m] for m in load.sent]
    assert places == sorted(places), f"the order of sending was not kept (seed {SEED})"
    return len(load.sent)


def play(rng, where):
    work = tempfile.mkdtemp(prefix="silktalk-crash-")
    a, b, nodes, load = prepare(work)
    load.start()
    between = receivers = kill = 0
    while kill < KILLS or (ROUNDS == 1 and between * 5 < receivers and kill < 8 * KILLS):
        time.sleep(rng.uniform(0.05, 0.5))
        if kill % 4 == 3:
            kill_sender(a, b, nodes, load, where)
        else:
            between += kill_receiver(a, b, nodes, load, where)
            receivers += 1
        kill += 1
    messages = finish(a, b, nodes, load)
    shutil.rmtree(work)
    return messages, kill, between, receivers


def main():
    rng = random.Random(SEED)
    where = collections.Counter()
    total = [0, 0, 0, 0]
    for _ in range(ROUNDS):
        total = [x + y for x, y in zip(total, play(rng, where))]
    messages, kills, between, receivers = total
    print(f"{os.path.basename(os.path.dirname(DAEMON))}: {messages} messages, {kills} kills:")
    for name, count in sorted(where.items()):
        print(f"  {count:5} {'#' * (count * 60 // kills):60} {name}")
    assert between * 5 >= receivers, f"too few kills fell between commit and receipt (seed {SEED})"


main()
