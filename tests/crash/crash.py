"""The receiver is killed 20 times at random moments while messages pour in; prints where the kills fell."""
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
KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("TEST_SEED", random.randrange(1 << 32)))


def cli(home, *args):
    return subprocess.run([SILKTALK, *args, "--home", home], capture_output=True, text=True, check=True).stdout


def start(home):
    p = subprocess.Popen([SILKTALK, "daemon", "--home", home], stderr=subprocess.DEVNULL)
    for _ in range(500):
        if subprocess.run([SILKTALK, "id", "--addrs", "--home", home], capture_output=True, check=False).returncode == 0:
            return p
        time.sleep(0.02)
    sys.exit("the node does not start")


def stored(home):
    """The ids in the database as the crash left it, read from a copy."""
    with tempfile.TemporaryDirectory() as copy:
        for name in os.listdir(home + "/data"):
            if name.startswith("silktalk.db") and not name.endswith("-shm"):
                shutil.copy(home + "/data/" + name, copy)
        with sqlite3.connect(copy + "/silktalk.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            return [r[0].hex() for r in db.execute("SELECT id FROM inbox ORDER BY seq")]


def waiting(home):
    """The ids that the sender still keeps: what is not here any more was acknowledged."""
    with sqlite3.connect(f"file:{home}/data/silktalk.db?mode=ro", uri=True, timeout=10) as db:
        return {r[0].hex() for r in db.execute("SELECT id FROM outbox")}


def main():
    rng = random.Random(SEED)
    work = tempfile.mkdtemp(prefix="silktalk-crash-")
    a, b = work + "/a", work + "/b"
    for home in (a, b):
        cli(home, "config", "init")
        cli(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
        cli(home, "config", "set", "messages.ratePerPeer", "10000/s")
        cli(home, "config", "set", "messages.outboxMaxPerPeer", "100000")
        cli(home, "config", "set", "messages.outboxMax", "100000")
        cli(home, "config", "set", "messages.inboxPerPeer", "1000000")
        cli(home, "config", "set", "connection.redialMin", "100ms")
        cli(home, "config", "set", "connection.redialMax", "200ms")
        cli(home, "config", "set", "connection.inboundConnectionThreshold", "1000/s")
        cli(home, "config", "set", "messages.retryMin", "100ms")
    pa, pb = start(a), start(b)
    address = cli(b, "id", "--addrs").split()[0]
    cli(b, "config", "set", "network.listen", address.split("/p2p/")[0])
    cli(a, "connect", address)
    ids = {home: cli(home, "id").strip() for home in (a, b)}
    cli(b, "peer", "name", ids[a], "sender")
    sent, stop = [], threading.Event()

    def load():
        s = socket.socket(socket.AF_UNIX)
        s.connect(a + "/control.sock")
        lines = s.makefile()
        while not stop.is_set():
            requests = [json.dumps({"v": 1, "id": i, "method": "send", "params": {"peer": ids[b], "body": "x" * 200}})
                        for i in range(40)]
            s.sendall(("\n".join(requests) + "\n").encode())
            for _ in requests:
                answer = json.loads(lines.readline())
                if "result" in answer:
                    sent.append(answer["result"]["items"][0]["id"])
            time.sleep(0.002)

    thread = threading.Thread(target=load)
    thread.start()
    between = 0
    kill = 0
    while kill < KILLS or (between * 5 < kill and kill < 8 * KILLS):
        time.sleep(rng.uniform(0.05, 0.5))
        pb.send_signal(signal.SIGKILL)
        pb.wait()
        known = list(sent)  # before the outbox is looked at: these were in it
        receipts = set(known) - waiting(a)
        there = stored(b)
        lost = receipts - set(there)
        assert not lost, f"kill {kill}: {len(lost)} acknowledged messages are gone (seed {SEED})"
        assert len(there) == len(set(there)), f"kill {kill}: a message is there twice (seed {SEED})"
        unacknowledged = len(set(there) - receipts)
        between += unacknowledged > 0
        print(f"kill {kill + 1}: {len(there)} stored, {len(receipts)} acknowledged, "
              f"{unacknowledged} between commit and receipt known to the sender", flush=True)
        kill += 1
        pb = start(b)
    stop.set()
    thread.join()
    for _ in range(600):
        if not waiting(a):
            break
        time.sleep(0.1)
    pb.send_signal(signal.SIGTERM)
    assert pb.wait(10) == 0
    there = stored(b)
    assert sorted(there) == sorted(sent), f"{len(sent)} sent, {len(there)} stored, {len(set(there))} different (seed {SEED})"
    assert there == sent, "the order of sending is kept"
    pa.send_signal(signal.SIGTERM)
    assert pa.wait(10) == 0
    shutil.rmtree(work)
    print(f"{len(sent)} messages, {kill} kills, {between} of them between a commit and its receipt")
    assert between * 5 >= kill, f"too few kills fell between commit and receipt (seed {SEED})"


main()
