"""A node under everything at once for MINUTES: messages, files, connections that come and go, and abuse.

Samples its memory, descriptors and the latency of messages, and asserts that none of them grows. KEEP=1 writes
tests/soak/RESULTS.md and soak.svg.
"""
import datetime
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SILKTALK = os.environ.get("SILKTALK", "build/silktalk")
MINUTES = float(os.environ.get("MINUTES", "0.5"))
FILE_BYTES = 20 << 20
HERE = os.path.dirname(os.path.abspath(__file__))


def cli(home, *args, check=True):
    return subprocess.run([SILKTALK, *args, "--home", home], capture_output=True, text=True, check=check).stdout


class Control:
    """One connection to a node's control socket; requests one after another."""

    def __init__(self, home):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(home + "/control.sock")
        self.lines = self.socket.makefile()

    def ask(self, method, **params):
        self.socket.sendall((json.dumps({"v": 1, "id": 1, "method": method, "params": params}) + "\n").encode())
        while "event" in (answer := json.loads(self.lines.readline())):
            pass
        return answer


class Soak:
    def __init__(self, work):
        self.homes = {name: f"{work}/{name}" for name in ("hub", "messages", "files", "visitor")}
        self.stop = threading.Event()
        self.latencies, self.lock = [], threading.Lock()
        self.count = {"messages": 0, "files": 0, "visits": 0, "abuse": 0}
        self.errors = []
        self.big = work + "/big"
        with open(self.big, "wb") as f:
            f.write(random.randbytes(FILE_BYTES))

    def begin(self):
        for home in self.homes.values():
            cli(home, "config", "init")
            cli(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
            cli(home, "config", "set", "logging.level", "error")
        hub = self.homes["hub"]
        cli(hub, "config", "set", "messages.ratePerPeer", "10000/s")
        cli(hub, "config", "set", "messages.inboxPerPeer", "10000000")
        cli(hub, "config", "set", "messages.inboxMax", "10000000")
        for home in self.homes.values():
            cli(home, "start", "-q")
        self.address = cli(hub, "id", "--addrs").split()[0]
        self.port = int(self.address.split("/")[4])
        self.hub_id = cli(hub, "id").strip()
        self.pid = json.loads(cli(hub, "status", "--json"))["node"]["pid"]
        for name, home in self.homes.items():
            if name != "hub":
                cli(home, "connect", self.address)
                cli(hub, "peer", "name", cli(home, "id").strip(), name)

    # ---- what goes on
    def guarded(self, work):
        try:
            while not self.stop.is_set():
                work()
        except Exception as e:  # told at the end: one thread's fault must not hide in silence
            if not self.stop.is_set():
                self.errors.append(f"{work.__name__}: {e!r}")

    def messages(self):
        control = Control(self.homes["messages"])
        while not self.stop.is_set():
            began = time.monotonic()
            answer = control.ask("send", peer=self.hub_id, body="x" * 200, wait=True)
            state = answer["result"]["items"][0]["state"] if "result" in answer else str(answer)
            if state != "stored":
                raise RuntimeError(state)
            with self.lock:
                self.latencies.append((time.monotonic() - began) * 1000)
                self.count["messages"] += 1
            time.sleep(0.02)

    def files(self):
        out = cli(self.homes["files"], "send", self.hub_id, "-f", self.big, "--wait=60s", check=False)
        if "stored" not in out:
            raise RuntimeError(out)
        self.count["files"] += 1
        for item in json.loads(cli(self.homes["hub"], "file", "list", "--json"))["items"]:
            cli(self.homes["hub"], "file", "cancel", item["id"], "--yes", check=False)
        self.stop.wait(3)

    def visits(self):
        cli(self.homes["visitor"], "disconnect", self.hub_id, check=False)
        cli(self.homes["visitor"], "connect", self.address)
        self.count["visits"] += 1
        self.stop.wait(0.3)

    def abuse(self):
        s = socket.socket()
        s.bind((f"127.0.{random.randrange(1, 250)}.{random.randrange(1, 250)}", 0))
        s.settimeout(2)
        try:
            s.connect(("127.0.0.1", self.port))
            kind = random.randrange(4)
            if kind == 0:
                s.sendall(random.randbytes(random.randrange(1, 2000)))
            elif kind == 1:
                s.sendall(b"\x13/multistream/1.0.0\n\x07/noise\n" + random.randbytes(300))
            elif kind == 2:
                s.sendall(b"\x13/multistream/1.0.0\n")
                self.stop.wait(0.2)
            self.count["abuse"] += 1
        except OSError:
            pass
        finally:
            s.close()
        self.stop.wait(0.05)

    # ---- what is looked at
    def sample(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
        with self.lock:
            latest, self.latencies = sorted(self.latencies), []
        return {"rss": rss, "fds": len(os.listdir(f"/proc/{self.pid}/fd")),
                "p50": latest[len(latest) // 2] if latest else 0,
                "p99": latest[len(latest) * 99 // 100] if latest else 0}

    def run(self):
        self.begin()
        threads = [threading.Thread(target=self.guarded, args=(w,))
                   for w in (self.messages, self.files, self.visits, self.abuse, self.abuse)]
        for t in threads:
            t.start()
        samples, end = [], time.monotonic() + MINUTES * 60
        step = max(1.0, MINUTES * 60 / 120)
        while time.monotonic() < end and not self.errors:
            time.sleep(step)
            samples.append(self.sample() | {"at": MINUTES * 60 - (end - time.monotonic())})
        self.stop.set()
        for t in threads:
            t.join()
        for home in self.homes.values():
            cli(home, "stop", "-q", check=False)
        return samples


def mean(samples, key):
    return sum(s[key] for s in samples) / max(len(samples), 1)


def picture(samples, path):
    width, height, rows = 760, 110, (("rss", "resident memory, KiB"), ("fds", "descriptors"), ("p50", "latency p50, ms"),
                                     ("p99", "latency p99, ms"))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 40}" height="{(height + 40) * len(rows)}" '
           'font-family="sans-serif" font-size="12">']
    last = samples[-1]["at"]
    for i, (key, title) in enumerate(rows):
        top, most = i * (height + 40) + 25, max(max(s[key] for s in samples), 1)
        points = " ".join(f"{20 + s['at'] / last * width:.1f},{top + height - s[key] / most * height:.1f}" for s in samples)
        out.append(f'<text x="20" y="{top - 6}">{title} (top: {most:.0f}); {last / 60:.1f} minutes</text>'
                   f'<rect x="20" y="{top}" width="{width}" height="{height}" fill="none" stroke="#ccc"/>'
                   f'<polyline points="{points}" fill="none" stroke="#06c"/>')
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n</svg>\n")


def main():
    work = tempfile.mkdtemp(prefix="silktalk-soak-")
    soak = Soak(work)
    samples = soak.run()
    shutil.rmtree(work, ignore_errors=True)
    print(f"{MINUTES} minutes: {soak.count}")
    if soak.errors:
        sys.exit("\n".join(soak.errors))
    third = len(samples) // 3
    middle, last = samples[third:2 * third], samples[2 * third:]
    lines = [f"{key}: middle third {mean(middle, key):.1f}, last third {mean(last, key):.1f}, most "
             f"{max(s[key] for s in samples):.1f}" for key in ("rss", "fds", "p50", "p99")]
    print("\n".join(lines))
    if os.environ.get("KEEP"):
        picture(samples, HERE + "/soak.svg")
        with open(HERE + "/RESULTS.md", "w", encoding="utf-8") as f:
            f.write(f"# Soak: {MINUTES:g} minutes of everything at once\n{datetime.date.today()}, {os.cpu_count()} cores, "
                    f"Linux {platform.release()}: {soak.count}\n\n" + "".join(f"- {line}\n" for line in lines) +
                    "\n![memory, descriptors, latency over time](soak.svg)\n")
    assert mean(last, "rss") <= mean(middle, "rss") * 1.1 + 1024, "memory grows"
    assert mean(last, "fds") <= mean(middle, "fds") + 5, "descriptors grow"
    assert mean(last, "p50") <= mean(middle, "p50") * 3 + 5, "latency grows"
    assert soak.count["files"] > 0 and soak.count["visits"] > 0 and soak.count["abuse"] > 0, "not all of it happened"


main()
