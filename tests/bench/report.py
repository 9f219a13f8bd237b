"""RESULTS.md and the curves, from the figures that bench.py took."""
import json
import os
import platform
import re
import subprocess
import time

import curves
from servers import BENCH, KINDS, ROOT, SILKTALK

OURS, GO, JS, RUST = "silktalk", "go-libp2p", "js-libp2p", "rust-libp2p"
SERVERS = tuple(kind.name for kind in KINDS)
STORES = ("disk", "disk + 5 ms", "disk + 50 ms", "tmpfs")
SIZE_AIM = 3 << 20

# figure, what it is called, decimals, and whether more is better
FIGURES = (
    ("start_ms", "start to listening, ms", 1, False),
    ("rss_kib 0", "idle RSS, KiB", 0, False),
    ("rss_kib 100", "RSS with 100 connections, KiB", 0, False),
    ("rss_kib 300", "RSS with 300 connections, KiB", 0, False),
    ("connection_kib 100", "each of 100 connections, KiB", 1, False),
    ("connection_kib 300", "each of 300 connections, KiB", 1, False),
    ("setups 1 per_s", "connection set-ups per second, 1 in flight", 0, True),
    ("setups 64 per_s", "connection set-ups per second, 64 in flight", 0, True),
    ("setups 64 per_cpu_s", "connection set-ups per CPU second, 64 in flight", 0, True),
    ("ping p50_us", "ping, median, us", 0, False),
    ("ping p99_us", "ping, p99, us", 0, False),
    ("requests 1 per_s", "small requests per second, 1 in flight", 0, True),
    ("requests 64 per_s", "small requests per second, 64 in flight", 0, True),
    ("requests 64 per_cpu_s", "small requests per CPU second, 64 in flight", 0, True),
    ("bulk down 1 GB/s", "bulk from the server, 1 stream, GB/s", 3, True),
    ("bulk up 1 GB/s", "bulk to the server, 1 stream, GB/s", 3, True),
    ("bulk down 10 GB/s", "bulk from the server, 10 streams, GB/s", 3, True),
    ("bulk up 10 GB/s", "bulk to the server, 10 streams, GB/s", 3, True),
    ("bulk down 1 cpu_s/GB", "CPU seconds per GB sent, 1 stream", 3, False),
    ("bulk up 1 cpu_s/GB", "CPU seconds per GB taken, 1 stream", 3, False),
    ("bulk down 10 cpu_s/GB", "CPU seconds per GB sent, 10 streams", 3, False),
    ("bulk up 10 cpu_s/GB", "CPU seconds per GB taken, 10 streams", 3, False),
    ("client down GB/s", "as client: bulk from a go-libp2p server, GB/s", 3, True),
    ("client up GB/s", "as client: bulk to a go-libp2p server, GB/s", 3, True),
    ("client down cpu_s/GB", "as client: CPU seconds per GB taken", 3, False),
    ("client up cpu_s/GB", "as client: CPU seconds per GB sent", 3, False),
)

METHOD = """
## How it is measured
- One load generator (`peers/load`, Go) is the client of all servers. It does as little as it can: its part of a
  handshake is one or two Diffie-Hellman operations of three, nothing is verified or signed, bulk is sealed and opened
  without a copy. Where its share of a core and the server's together are near the number of cores, the machine is full.
- A set-up is TCP, multistream, Noise, Yamux, and a ping answered. A small request is a new stream of `/perf/1.0.0` with
  multistream-select, 64 bytes there, 64 bytes back, closed on both sides, all on one connection. Bulk is `/perf/1.0.0`.
- CPU seconds are user and system time of the server's process. Limits are raised out of the way in all; the rest
  of SilkTalk is as a new home has it, the others serve TCP, Noise, Yamux, identify, ping and perf only.
- Idle connections are held for longer than any keep-alive interval, all servers at the same time.
- A message goes from one SilkTalk node to another, from the request at the sender's control socket to its answer after
  the receiver's receipt: it is then on both disks. Rates and `busy` latencies are with 1,000 under way, the others with
  one, sent when both nodes are idle again. `accepted` is the answer of a send that does not wait. Added sync time is slept in `fsync` and `fdatasync`.
"""


def ratio(text_of, a, b, more):
    if not a or not b:
        return "-"
    return text_of(a / b if more else b / a)


def number(value, decimals):
    return "-" if value is None else f"{value:,.{decimals}f}"


def times(value):
    return f"{value:.2f}x" if value < 10 else f"{value:.0f}x"


class Aims:
    def __init__(self):
        self.rows = []

    def add(self, text, aim, got, value, reached):
        state = "not measured" if value is None else "reached" if reached else "**missed**"
        self.rows.append(f"| {text} | {aim} | {'-' if value is None else got} | {state} |")

    def at_least(self, text, value, aim, unit="", decimals=0):
        self.add(text, f"at least {aim:,}{unit}", f"{number(value, decimals)}{unit}", value,
                 value is not None and value >= aim)

    def at_most(self, text, value, aim, unit="", decimals=0):
        self.add(text, f"at most {aim:,}{unit}", f"{number(value, decimals)}{unit}", value,
                 value is not None and value <= aim)

    def faster(self, text, ours, theirs, factor, more):
        """ours against theirs: by `factor`, or simply better when it is 1."""
        value = None if not ours or not theirs else ours / theirs if more else theirs / ours
        self.add(text, f"{factor}x" if factor > 1 else "better", times(value) if value else "-", value,
                 value is not None and (value >= factor if factor > 1 else value > 1))


def aims(m):
    def get(figure, server=OURS):
        return m.get(figure, {}).get(server)

    def pair(text, figure, other, factor, more):
        a.faster(f"{text}, against {other}", get(figure), get(figure, other), factor, more)

    a = Aims()
    pair("start to listening", "start_ms", JS, 20, False)
    pair("start to listening", "start_ms", GO, 1, False)
    a.at_most("idle RSS", get("rss_kib 0"), 6144, " KiB")
    a.at_most("each further connection (of 300)", get("connection_kib 300"), 40, " KiB", 1)
    pair("connection set-ups, 64 in flight", "setups 64 per_s", JS, 20, True)
    pair("connection set-ups per CPU second", "setups 64 per_cpu_s", GO, 1, True)
    for way, text in (("down", "bulk sent, one stream"), ("up", "bulk taken, one stream")):
        pair(text, f"bulk {way} 1 GB/s", JS, 4, True)
        pair(text + ", per CPU second", f"bulk {way} 1 cpu_s/GB", GO, 1, False)
    pair("small requests, 64 in flight", "requests 64 per_s", JS, 10, True)
    pair("small requests, 64 in flight", "requests 64 per_s", GO, 1, True)
    a.at_least("messages on tmpfs", get("messages per_s", "tmpfs"), 50000, "/s")
    a.at_least("messages with 5 ms added to each sync", get("messages per_s", "disk + 5 ms"), 5000, "/s")
    sync = get("limit syncs_per_s", "machine")
    for store, added in (("disk", 0), ("disk + 5 ms", 5), ("disk + 50 ms", 50), ("tmpfs", None)):
        one = 0 if added is None else added + (1000 / sync if sync else 0)
        a.at_most(f"message latency from the sender's commit, median, {store} (5 ms and one sync)", get("messages latency_ms", store), round(5 + one, 1),
                  " ms", 1)
    a.at_most("300 idle connections, of a core", get("idle_percent 300"), 1, " %", 2)
    a.at_most("3,000 idle connections, of a core", get("idle_percent 3000"), 5, " %", 2)
    a.at_most("executable", os.path.getsize(SILKTALK), SIZE_AIM, " bytes")
    return ["| figure | aim | measured | |", "|---|---|---|---|", *a.rows]


def comparison(m):
    others = [s for s in SERVERS if s != OURS]
    rows = ["| figure | SilkTalk | " + " | ".join(others) + " | " +
            " | ".join(f"better than {s.split('-')[0]}" for s in others) + " |", "|---|--:|" + "--:|" * 2 * len(others)]
    for figure, text, decimals, more in FIGURES:
        got = m.get(figure)
        if got is None:
            continue
        cells = [number(got.get(s), decimals) for s in (OURS, *others)]
        cells += [ratio(times, got.get(OURS), got.get(s), more) for s in others]
        rows.append(f"| {text} | " + " | ".join(cells) + " |")
    return rows


def idle(m):
    counts = sorted(int(f.split()[1]) for f in m if f.startswith("idle_percent"))
    if not counts:
        return []
    rows = ["", "## Idle connections", "| connections | " + " | ".join(f"{s}, % of a core | {s}, RSS MiB" for s in SERVERS) +
            " |", "|--:|" + "--:|" * 2 * len(SERVERS)]
    for n in counts:
        cells = []
        for s in SERVERS:
            rss = m[f"curve_rss_kib {n}"].get(s)
            cells += [number(m[f"idle_percent {n}"].get(s), 2), number(rss / 1024 if rss else None, 1)]
        rows.append(f"| {n:,} | " + " | ".join(cells) + " |")
    return rows


def messages(m):
    if "messages per_s" not in m:
        return []
    columns = (("messages per_s", "per second", 0), ("messages cpu_us", "CPU us each, both nodes", 0),
               ("messages latency_ms", "latency (from the sender's commit) p50, ms", 2),
               ("messages p50_ms", "from the request p50, ms", 2), ("messages p99_ms", "p99, ms", 2),
               ("messages accepted_ms", "accepted p50, ms", 2), ("messages busy_p50_ms", "busy p50, ms", 1),
               ("messages busy_p99_ms", "busy p99, ms", 1))
    rows = ["", "## Messages", "| store | " + " | ".join(c[1] for c in columns) + " |", "|---|" + "--:|" * len(columns)]
    for store in STORES:
        rows.append(f"| {store} | " + " | ".join(number(m[f].get(store), d) for f, _, d in columns) + " |")
    return rows


def shares(m):
    """What the machine can do at all, and how much of it we reach."""
    limit = {f[6:]: row["machine"] for f, row in m.items() if f.startswith("limit ")}
    if not limit:
        return []

    def ours(figure, server=OURS):
        return m.get(figure, {}).get(server)

    def inverse(value):
        return 1 / value if value else None

    seal, opened, tcp_cpu = limit["seal_GB/s"], limit["open_GB/s"], limit["tcp_cpu_s/GB"] / 2  # a half for each end
    rows = (
        ("handshake cryptography of one end, per second of a core", limit["handshake_per_s"], "set-ups per CPU second",
         ours("setups 64 per_cpu_s"), 0),
        ("sealing ChaCha20-Poly1305, GB per second of a core", seal, "bulk sent per CPU second",
         inverse(ours("bulk down 1 cpu_s/GB")), 3),
        ("sealing and one end of loopback TCP, GB per second of a core", 1 / (1 / seal + tcp_cpu), "bulk sent per CPU second",
         inverse(ours("bulk down 1 cpu_s/GB")), 3),
        ("opening ChaCha20-Poly1305, GB per second of a core", opened, "bulk taken per CPU second",
         inverse(ours("bulk up 1 cpu_s/GB")), 3),
        ("opening and one end of loopback TCP, GB per second of a core", 1 / (1 / opened + tcp_cpu),
         "bulk taken per CPU second", inverse(ours("bulk up 1 cpu_s/GB")), 3),
        ("copying memory, GB/s", limit["copy_GB/s"], "bulk sent, GB/s", ours("bulk down 1 GB/s"), 3),
        ("loopback TCP, GB/s", limit["tcp_GB/s"], "bulk sent, GB/s", ours("bulk down 1 GB/s"), 3),
        ("loopback TCP, round trips per second", limit["tcp_round_trips_per_s"], "small requests per second, 1 in flight",
         ours("requests 1 per_s"), 0),
        ("loopback TCP, connections per second", limit["tcp_connections_per_s"], "set-ups per second, 64 in flight",
         ours("setups 64 per_s"), 0),
        ("the store of both nodes on tmpfs, without all else; messages per second of a core",
         limit.get("store_messages_per_s") or 1, "messages per CPU second, tmpfs",
         1e6 / ours("messages cpu_us", "tmpfs") if ours("messages cpu_us", "tmpfs") else None, 0),
        ("syncs of the disk per second", limit["syncs_per_s"], "messages per second, one at a time (two syncs each)",
         1000 / ours("messages p50_ms", "disk") if ours("messages p50_ms", "disk") else None, 0),
    )
    out = ["", "## The machine's limits (limits.c), and our share", "| alone | limit | ours | | share |", "|---|--:|---|--:|--:|"]
    for what, most, mine, value, decimals in rows:
        share = "-" if not value else f"{100 * value / most:.0f} %"
        out.append(f"| {what} | {number(most, max(decimals, 0) if most >= 100 else 2)} | {mine} | {number(value, decimals)} | "
                   f"{share} |")
    rest = ", ".join(f"{f} {limit[f]:,.6g}" for f in sorted(limit))
    return out + ["", f"All of them: {rest}."]


def busy(m):
    """Whose work bounds a rate: shares of a core, server + client. Near the number of cores, the machine is full."""
    wanted = (("setups 64", "set-ups, 64 in flight"), ("requests 64", "small requests, 64 in flight"),
              ("bulk down 1", "bulk from the server, 1 stream"), ("bulk up 1", "bulk to the server, 1 stream"),
              ("bulk down 10", "bulk from the server, 10 streams"), ("bulk up 10", "bulk to the server, 10 streams"))
    rows = []
    for figure, text in wanted:
        server, client = m.get(f"{figure} server_cpu"), m.get(f"{figure} client_cpu")
        if server and client:
            rows.append(f"| {text} | " + " | ".join(
                f"{server[s]:.2f} + {client[s]:.2f}" if s in server and s in client else "-" for s in SERVERS) + " |")
    if not rows:
        return []
    return ["", f"## Who was busy: cores used, server + load generator, of {os.cpu_count()}",
            "| figure | " + " | ".join(SERVERS) + " |", "|---|" + "--:|" * len(SERVERS), *rows]


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip().split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return "?"


def versions():
    with open(os.path.join(ROOT, "tests/interop/peers/go/go.mod"), encoding="utf-8") as f:
        go = re.search(r"go-libp2p (v\S+)", f.read()).group(1)
    with open(os.path.join(ROOT, "tests/interop/peers/js/package.json"), encoding="utf-8") as f:
        js = json.load(f)["dependencies"]["libp2p"]
    node = first_line(os.path.join(BENCH, "js", "node"), "--version")
    built = first_line("go", "version", os.path.join(BENCH, "go-server")).split()[-1]
    rust = ""
    if RUST in SERVERS:
        with open(os.path.join(BENCH, "rust", "Cargo.lock"), encoding="utf-8") as f:
            rust = re.search(r'name = "libp2p"\nversion = "([^"]+)"', f.read()).group(1)
        rust = f"; rust-libp2p {rust} ({first_line('rustc', '--version')})"
    return (f"{first_line(SILKTALK, 'version')}; go-libp2p {go} ({built}); "
            f"js-libp2p {js} (Node {node}){rust}")


def machine():
    cpu, memory = platform.machine(), 0
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        found = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(re.search(r"MemTotal:\s*(\d+)", f.read()).group(1))
    return (f"{found.group(1) if found else cpu}, {os.cpu_count()} cores, {memory / 1048576:.0f} GiB, "
            f"Linux {platform.release()}, load average before and while measuring {os.getloadavg()[2]:.1f}")


def raw(t):
    out = ["", "## Raw figures", "Every round, in the order it was taken; the tables above give the median.", "```"]
    for figure, row in t.items():
        if figure == "failed":
            continue
        for server, values in row.items():
            out.append(f"{figure:<26} {server:<13} " + " ".join(f"{v:.6g}" for v in values))
    return out + ["```"]


def write(folder, m, t, how):
    lines = ["# Speed", "Made by `make bench` (tests/bench/bench.py); not edited by hand.", "",
             f"- date: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {how['seconds']:.0f} s, "
             f"{'one quick round' if how['quick'] else 'median of ' + str(how['rounds']) + ' rounds'}",
             f"- machine: {machine()}", f"- versions: {versions()}"]
    lines += [f"- **{section} failed**: {text}" for section, text in t.get("failed", {}).items()]
    lines += ["", "## Aims", *aims(m), "", "## Beside " + ", ".join(s for s in SERVERS if s != OURS), *comparison(m)]
    drawn = curves.draw(folder, m)
    lines += messages(m) + idle(m) + shares(m) + busy(m)
    if drawn:
        lines += ["", "## Curves", *(f"![{title}]({name})" for name, title in drawn)]
    lines += METHOD.split("\n")[:-1]
    lines += ["", "What bounds the figures that miss their aims: [ANALYSIS.md](ANALYSIS.md).", *raw(t)]
    with open(os.path.join(folder, "RESULTS.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(aims(m) + busy(m)))
