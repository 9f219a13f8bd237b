#!/usr/bin/env python3
"""`make bench`: measures SilkTalk beside go-, js- and rust-libp2p on this machine and writes RESULTS.md and the curves.

    tests/bench/run [SECTION...]     start memory setups requests bulk client messages idle limits
    QUICK=1: one round of each, shorter. OUT=folder: where the results go (default tests/bench, QUICK: build/bench)

Each figure is the median of 5 rounds; within a round the servers take turns, so that all of them see the same minute.
"""
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import report
from servers import BENCH, KINDS, TWIN, BenchError, Hold, SilkTalk, fresh, load, median

QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if QUICK else 5
SECONDS = 0.4 if QUICK else 1.0
COUNTS = (1, 300) if QUICK else (1, 10, 100, 300, 3000)
IDLE_SECONDS = 5 if QUICK else 31  # the longest of the servers' keep-alive intervals is 30 s
DISK = os.path.join(BENCH, "homes")
MEMORY_DISK = "/dev/shm/silktalk-bench"


class Table(dict):
    """figure -> server -> the rounds' values"""

    def put(self, figure, server, value):
        self.setdefault(figure, {}).setdefault(server, []).append(value)


def say(text):
    print(f"  bench: {text}", flush=True)


def start(t):
    for _ in range(ROUNDS + 1):
        for kind in KINDS:
            server = kind(DISK)
            took = server.start()
            server.stop()
            t.put("start_ms", server.name, took)
    for values in t["start_ms"].values():
        del values[0]  # the first makes the key and warms the page cache


def reach(holds, count):
    with ThreadPoolExecutor(len(holds)) as pool:
        list(pool.map(lambda h: h.reach(count), holds))


def memory(t):
    """RSS with 0, 100 and 300 connections, two seconds after the last change."""
    for _ in range(ROUNDS):
        servers = [kind(DISK) for kind in KINDS]
        holds = []
        try:
            for s in servers:
                s.start()
            time.sleep(2)
            for s in servers:
                t.put("rss_kib 0", s.name, s.rss_kib())
                holds.append(Hold(s, 300))
            for count in (100, 300):
                reach(holds, count)
                time.sleep(2)
                for s in servers:
                    t.put(f"rss_kib {count}", s.name, s.rss_kib())
        finally:
            for h in holds:
                h.__exit__()
            for s in servers:
                s.stop()
    for name, idle in t["rss_kib 0"].items():
        for count in (100, 300):
            t.setdefault(f"connection_kib {count}", {})[name] = [
                (much - base) / count for base, much in zip(idle, t[f"rss_kib {count}"][name])]


def each_server(t, measure):
    """measure(table, server) for each server, ROUNDS times, each server warm from a first, uncounted round."""
    servers = [kind(DISK) for kind in KINDS]
    try:
        for s in servers:
            s.start()
        for i in range(ROUNDS + 1):
            for s in servers:
                measure(t if i > 0 else Table(), s)
    finally:
        for s in servers:
            s.stop()


def rates(t, server, command, flight):
    r = load(server, command, "-flight", flight, "-seconds", SECONDS)
    name = f"{command} {flight}"
    t.put(f"{name} per_s", server.name, r["ops"] / r["seconds"])
    t.put(f"{name} per_cpu_s", server.name, r["ops"] / r["server_cpu"])
    t.put(f"{name} p50_ms", server.name, r["p50_us"] / 1000)
    t.put(f"{name} client_cpu", server.name, r["client_cpu"] / r["seconds"])
    t.put(f"{name} server_cpu", server.name, r["server_cpu"] / r["seconds"])


def setups(t):
    for flight in (1, 64):
        each_server(t, lambda t, s, flight=flight: rates(t, s, "setups", flight))


def requests(t):
    def pings(t, s):
        r = load(s, "ping", "-count", 300 if QUICK else 2000)
        t.put("ping p50_us", s.name, r["p50_us"])
        t.put("ping p99_us", s.name, r["p99_us"])

    each_server(t, pings)
    for flight in (1, 64):
        each_server(t, lambda t, s, flight=flight: rates(t, s, "requests", flight))


def bulk(t):
    sizes = {}

    def transfers(t, s):
        for way in ("down", "up"):
            for streams in (1, 10):
                figure = f"bulk {way} {streams}"
                size = sizes.get((s.name, figure), 64 << 20)
                r = load(s, "bulk", f"-{way}", size, "-streams", streams)
                rate = r["bytes"] / r["seconds"]
                sizes[s.name, figure] = int(rate * SECONDS) >> 20 << 20
                t.put(f"{figure} GB/s", s.name, rate / 1e9)
                t.put(f"{figure} cpu_s/GB", s.name, r["server_cpu"] / r["bytes"] * 1e9)
                t.put(f"{figure} client_cpu", s.name, r["client_cpu"] / r["seconds"])
                t.put(f"{figure} server_cpu", s.name, r["server_cpu"] / r["seconds"])

    each_server(t, transfers)


def client(t):
    """Each library as the client of the same go-libp2p server."""
    with KINDS[1](DISK + "-far") as far:
        def transfers(t, s):
            for way in ("down", "up"):
                size = 128 << 20
                before = s.cpu()
                seconds = s.transfer(far.addr, **{way: size})
                t.put(f"client {way} GB/s", s.name, size / seconds / 1e9)
                t.put(f"client {way} cpu_s/GB", s.name, (s.cpu() - before) / size * 1e9)

        each_server(t, transfers)


def idle(t):
    """Share of a core, in percent, for connections on which nothing happens but keep-alives."""
    servers = [kind(DISK) for kind in KINDS]
    holds = []
    try:
        for s in servers:
            s.start()
            holds.append(Hold(s, max(COUNTS)))
        for count in COUNTS:
            reach(holds, count)
            time.sleep(3)
            before = [s.cpu() for s in servers]
            begin = time.monotonic()
            time.sleep(IDLE_SECONDS)
            seconds = time.monotonic() - begin
            for s, b in zip(servers, before):
                t.put(f"idle_percent {count}", s.name, (s.cpu() - b) / seconds * 100)
                t.put(f"curve_rss_kib {count}", s.name, s.rss_kib())
    finally:
        for h in holds:
            h.__exit__()
        for s in servers:
            s.stop()


STORES = (("disk", DISK, 0), ("disk + 5 ms", DISK, 5), ("disk + 50 ms", DISK, 50), ("tmpfs", MEMORY_DISK, 0))


def run_messages(t, store, delay, a, b):
    def run(flight, seconds, *more):
        return load(a, "messages", "-socket", a.socket_path, "-peer", b.peer_id, "-flight", flight, "-seconds", seconds,
                    *more)

    pause = 0.005 + 2 * delay / 1000  # the syncs that follow a receipt are over then
    quiet = (0.5 if QUICK else 1.5) + (0.02 if QUICK else 0.06) * delay
    for i in range(ROUNDS + 1):
        to = t if i > 0 else Table()
        time.sleep(4)  # at 10,000/s, the most that a peer may be allowed, its burst of 50,000 fills again
        before = b.cpu()
        r = run(1000, SECONDS, "-count", 40000, "-wait")
        to.put("messages per_s", store, r["ops"] / r["seconds"])
        to.put("messages cpu_us", store, (r["server_cpu"] + b.cpu() - before) / r["ops"] * 1e6)
        to.put("messages busy_p50_ms", store, r["p50_us"] / 1000)
        to.put("messages busy_p99_ms", store, r["p99_us"] / 1000)
        r = run(1, quiet, "-count", 1000, "-pause", pause, "-wait")
        p50 = r["p50_us"] / 1000
        to.put("messages p50_ms", store, p50)
        to.put("messages p99_ms", store, r["p99_us"] / 1000)
        r = run(1, quiet / 2, "-count", 1000, "-pause", pause)
        to.put("messages accepted_ms", store, r["p50_us"] / 1000)
        to.put("messages latency_ms", store, p50 - r["p50_us"] / 1000)  # as design.md defines it: from the sender's commit


def messages(t):
    """Node to node: from the request at the sender's control socket to the receipt, which follows the receiver's sync."""
    for store, folder, delay in STORES:
        fresh(folder)
        binary = {"binary": TWIN} if delay else {}
        with SilkTalk(folder, "a", delay, **binary) as a, SilkTalk(folder, "b", delay, **binary) as b:
            a.ask("connect", peer=b.addr)
            run_messages(t, store, delay, a, b)
        fresh(folder)


def limits(t):
    """What the machine itself can do (limits.c)."""
    for _ in range(ROUNDS):
        done = subprocess.run([os.path.join(BENCH, "limits"), DISK], capture_output=True, text=True, check=True)
        for figure, value in json.loads(done.stdout).items():
            t.put(f"limit {figure}", "machine", value)


SECTIONS = {f.__name__: f for f in (start, memory, setups, requests, bulk, client, messages, idle, limits)}


def main():
    wanted = sys.argv[1:] or list(SECTIONS)
    unknown = [w for w in wanted if w not in SECTIONS]
    if unknown:
        sys.exit(f"unknown section {unknown[0]}; there are: {' '.join(SECTIONS)}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    t, begin = Table(), time.monotonic()
    for name in wanted:
        fresh(DISK)
        since = time.monotonic()
        try:
            SECTIONS[name](t)
        except BenchError as error:
            say(f"{name} failed: {error}")
            t.setdefault("failed", {})[name] = str(error)
        say(f"{name}: {time.monotonic() - since:.0f} s")
    for folder in (DISK, DISK + "-far", MEMORY_DISK):
        fresh(folder)
        os.rmdir(folder)
    seconds = time.monotonic() - begin
    whole = len(wanted) == len(SECTIONS) and not QUICK
    out = os.environ.get("OUT") or (os.path.dirname(os.path.abspath(__file__)) if whole else BENCH)
    with open(os.path.join(BENCH, "figures.json"), "w", encoding="utf-8") as f:
        json.dump(t, f, indent=1)
    medians = {figure: {s: median(v) for s, v in row.items()} for figure, row in t.items() if figure != "failed"}
    report.write(out, medians, t, {"seconds": seconds, "rounds": ROUNDS, "quick": QUICK})
    say(f"{os.path.relpath(out)}/RESULTS.md written after {seconds:.0f} s")
    if "failed" in t:
        sys.exit(1)


if __name__ == "__main__":
    main()
