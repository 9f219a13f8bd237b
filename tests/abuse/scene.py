"""Two nodes and the attacker: `victim` is attacked, `good` sends to it all the time and must not notice.

A check says what the attacker sees, which line the victim logs, and that afterwards all is as before."""
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
from silktalk import SilkTalk, NodeError, clean_environment, free_port, wait_for  # noqa: E402,F401

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
BINARY = os.path.abspath(os.environ.get("SILKTALK", os.path.join(BUILD, "silktalk")))
ATTACKER = os.path.join(BUILD, "abuse", "attacker")
CLOCKED = os.path.join(BUILD, "abuse", "silktalk")  # with the test's clock
RSS_SLACK = 6144  # KiB: what the allocator and SQLite keep after a burst
FD_SLACK = 8      # partly received files stay open: those that one attack leaves
FILES_OPEN = 32   # and no more than so many in all (lib/store/files.h)
INI = """[connection]
inboundConnectionThreshold = 1000
maxConnectionsPerAddress = 1000
handshakeTimeout = 2s
[messages]
ratePerPeer = 10000
inboxPerPeer = 1000000
"""


def attacker(*words, timeout=60, code=0, **options):
    """One attack; its lines."""
    args = [ATTACKER, *map(str, words), *(f"{k}={v}" for k, v in options.items())]
    done = subprocess.run(args, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != code:
        raise AssertionError(f"{args}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))]


class Sender(threading.Thread):
    """Sends small messages with --wait, one after the other, until stopped."""

    def __init__(self, node, to, pause=0.01):
        super().__init__(daemon=True)
        self.control, self.to, self.pause = node.control(timeout=30), to, pause
        self.times, self.error, self.ended = [], None, threading.Event()

    def run(self):
        try:
            while not self.ended.is_set():
                begin = time.monotonic()
                result = self.control.call("send", {"peer": self.to, "body": "x", "wait": True})
                assert result["items"][0]["state"] == "stored", result
                self.times.append(time.monotonic() - begin)
                self.ended.wait(self.pause)
        except Exception as error:  # noqa: BLE001  it is told by stop
            self.error = error

    def stop(self):
        self.ended.set()
        self.join(40)
        self.control.close()
        if self.error is not None:
            raise AssertionError(f"the good peer's message failed: {self.error}")
        assert self.times, "the good peer sent nothing"
        return self.times


class Node(SilkTalk):
    """Remembered, so that after a failure none of ours runs on."""
    all = []

    def __init__(self, *args, **options):
        Node.all.append(self)
        self.process, self.own_folder = None, None
        super().__init__(*args, **{"binary": BINARY, **options})


def end_all():
    for node in Node.all:
        node.kill()
        node.drop_home()


class Scene:
    def __init__(self, ini=INI, network="", binary=BINARY, swarm_key=None):
        self.victim = Node(ini=ini, network=network, binary=binary, swarm_key=swarm_key)
        self.good = Node(binary=binary, swarm_key=swarm_key)
        self.victim.cli("peer", "name", self.good.peer_id, "good", code=0)
        self.good.connect(self.victim.addr)
        self.host = f"127.0.0.1:{self.victim.port}"
        self.send(5)
        self.victim.cli("peers", code=0)
        self.before = self.now()
        self.names = 0
        self.lock = threading.Lock()

    def send(self, n=1):
        """n messages, one by one; the time each took."""
        control, times = self.good.control(), []
        for _ in range(n):
            begin = time.monotonic()
            result = control.call("send", {"peer": self.victim.peer_id, "body": "x", "wait": True})
            assert result["items"][0]["state"] == "stored", result
            times.append(time.monotonic() - begin)
        control.close()
        return times

    def now(self):
        pid = self.victim.process.pid
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            rss = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        return {"rss": rss, "fds": len(os.listdir(f"/proc/{pid}/fd")),
                "connections": self.victim.ctl("diag.loop")["connections"]}

    def as_before(self, fds=FD_SLACK):
        """Connections, descriptors and memory are back where they were."""
        seen = {}

        def back():
            seen.update(self.now())
            return (seen["connections"] <= self.before["connections"]
                    and seen["fds"] <= self.before["fds"] + fds and seen["rss"] <= self.before["rss"] + RSS_SLACK)

        assert self.victim.alive(), self.victim.log()[-3000:]
        wait_for(lambda: f"as before: {self.before}, now {seen}", back, 20)

    def known(self, seed):
        peer = attacker("id", seed=seed)[0]
        with self.lock:
            self.names += 1
            name = f"k{self.names}"
        self.victim.ctl("peer.name", peer=peer, name=name)
        return peer

    def lines(self, *words):
        return [line for line in self.victim.log().splitlines() if any(w in line for w in words)]

    def close(self):
        for node in (self.good, self.victim):
            code = node.stop(30)
            assert code == 0, f"exit {code}: {node.log()[-3000:]}"
            assert "ERROR" not in node.log(), [x for x in node.log().splitlines() if "ERROR" in x][:5]
            node.drop_home()
