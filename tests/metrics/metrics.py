"""Metrics of a running node: names, kinds and labels as operations.md S4 has them, both text formats, their cost."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

SILKTALK = os.environ.get("SILKTALK", "build/silktalk")
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
WORK = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
SCRAPES = 2000


def run(home, *args):
    r = subprocess.run([SILKTALK, args[0], "--home", home, *args[1:]], capture_output=True, text=True, check=False)
    assert r.returncode == 0, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout


class Node:
    def __init__(self, name):
        self.home = f"{WORK}/{name}"
        run(self.home, "config", "init")
        run(self.home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
        run(self.home, "config", "set", "messages.from", "any")
        run(self.home, "config", "set", "http.listen", "unix:" + self.home + "/http.sock")
        run(self.home, "start")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(self.home + "/control.sock")
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def scrape(self, open_format=False):
        request = {"v": 1, "id": 1, "method": "metrics", "params": {"openmetrics": open_format}}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.lines.readline())["result"]["text"]


def table():
    with open(os.path.join(DATA, "deliveries.tsv"), encoding="utf-8") as f:
        state = dict(line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#"))
    with open(os.path.join(DATA, "metrics.tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]
    return {n if n.startswith("process_") else "silktalk_" + n: (kind, labels) for n, kind, labels, d in rows
            if state[d] != "later"}


def check_names(text):
    kinds = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds, f"{name} twice"
            kinds[name] = kind
    wanted = table()
    assert set(kinds) == set(wanted), f"missing {set(wanted) - set(kinds)}, too many {set(kinds) - set(wanted)}"
    helped = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP ")}
    assert helped == set(kinds)
    for name, (kind, _) in wanted.items():
        assert kinds[name] == kind, f"{name} is a {kinds[name]}"
    seen = {}
    for family in prometheus(text):
        for s in family.samples:
            full = family.name + "_total" if family.name + "_total" in wanted else family.name
            labels = set(s.labels) - ({"le"} if s.name.endswith("_bucket") else set())
            assert labels == set(filter(None, wanted[full][1].split(","))), f"{s.name} has labels {labels}"
            seen[full] = True
    # what nothing tells yet (no checks, certificate, clock, HTTP requests, undelivered messages) has no samples
    may_lack = {"silktalk_health_status", "silktalk_health_check_status", "silktalk_clock_offset_seconds",
                "silktalk_outbox_oldest_timestamp_seconds", "silktalk_certificate_not_after_timestamp_seconds",
                "silktalk_http_requests_total"}
    assert set(wanted) - set(seen) <= may_lack, f"no samples of {set(wanted) - set(seen) - may_lack}"


def values(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def check_formats(a, b):
    old, new = a.scrape(), a.scrape(True)
    check_names(old)
    r = subprocess.run(["promtool", "check", "metrics"], input=old, capture_output=True, text=True, check=False)
    assert r.returncode == 0 and not r.stderr.strip(), f"promtool: {r.stdout}{r.stderr}"
    families = list(openmetrics(new))
    assert len(families) == len(table())
    for f in families:
        assert f.type == {n.removesuffix("_total"): k for n, (k, _) in table().items()}[f.name], f
    x, y = values(prometheus(old)), values(families)
    assert set(x) == set(y), set(x) ^ set(y)
    peer = json.loads(run(b.home, "id", "--json"))["peer_id"]
    assert peer not in old, "a metric names a peer"
    assert x[("silktalk_messages_total", (("direction", "out"), ("status", "stored")))] == 3
    assert x[("silktalk_connections", (("direction", "out"), ("path", "direct")))] == 1
    assert x[("silktalk_db_commit_seconds_count", ())] > 0
    assert 0 < x[("silktalk_disk_used_ratio", (("use", "data"),))] <= 1
    assert x[("process_resident_memory_bytes", ())] > 1 << 20
    return x


def get(a, accept):
    """/metrics over HTTP: its type and body."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(a.home + "/http.sock")
    s.sendall(f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while more := s.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return {k.lower(): v for k, v in fields.items()}["content-type"], body.decode()


def check_http(a):
    kind, text = get(a, "*/*")
    assert kind == "text/plain; version=0.0.4; charset=utf-8" and "# EOF" not in text, kind
    kind, text = get(a, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text; version=1.0.0") and text.endswith("# EOF\n"), kind
    seen = values(openmetrics(text))
    assert seen[("silktalk_http_requests_total", (("code", "200"), ("path", "/metrics")))] == 1
    assert set(table()) >= {"silktalk_health_status"} and seen[("silktalk_health_check_status", (("check", "disk"),))] >= 0


# What nothing here can make happen at will, and where else it is made to.
NOT_PROVOKED = {"silktalk_loop_overruns_total": "a turn of over 10 ms needs a slow machine (tests/loop/loop_test.c)",
                "silktalk_log_dropped_total": "needs a log disk that is full (tests/crash)",
                "silktalk_db_errors_total": "needs a database disk that fails (tests/crash)"}


def check_moves(a, b):
    """A change for each counter and histogram that can be made to move, and for gauges; each is seen to move."""
    before = [values(prometheus(n.scrape())) for n in (a, b)]
    c = Node("c")
    ids = {n: json.loads(run(n.home, "id", "--json"))["peer_id"] for n in (a, b, c)}
    addrs = {n: json.loads(run(n.home, "id", "--addrs", "--json"))["addrs"][0] for n in (a, b, c)}

    def quietly(n, *args):
        subprocess.run([SILKTALK, args[0], "--home", n.home, *args[1:]], capture_output=True, check=False, timeout=60)

    def moved(n, name, **labels):
        key = (name, tuple(sorted(labels.items())))
        end = time.monotonic() + 20
        first = before[(a, b).index(n)].get(key, 0)
        while (now := values(prometheus(n.scrape())).get(key, 0)) == first:
            assert time.monotonic() < end, f"{name}{labels} does not move from {first}"
            time.sleep(0.05)
        return now

    quietly(a, "connect", "/ip4/127.0.0.1/tcp/1/p2p/" + ids[c], "--timeout", "2s")
    moved(a, "silktalk_dials_total", result=next(k[1][0][1] for k, v in values(prometheus(a.scrape())).items()
                                                 if k[0] == "silktalk_dials_total" and v > before[0].get(k, 0)))
    run(a.home, "config", "set", "access.denyPeers", ids[c])
    quietly(c, "connect", addrs[a], "--timeout", "3s")
    moved(a, "silktalk_access_denied_total", rule="denyPeers")
    host, port = addrs[a].split("/")[2], int(addrs[a].split("/")[4])
    with socket.create_connection((host, port), timeout=10) as s:
        s.sendall(b"\x13/multistream/1.0.0\nGET / HTTP/1.1\r\n\r\n" * 20)
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass
    bad = [k for k, v in values(prometheus(a.scrape())).items() if k[0] == "silktalk_handshakes_failed_total" and v > before[0].get(k, 0)]
    assert bad, "garbage is no failed handshake"
    run(b.home, "config", "set", "messages.from", "allowed")
    run(b.home, "config", "set", "files.from", "any")
    quietly(a, "send", ids[b], "refused", "--wait")
    moved(a, "silktalk_messages_total", direction="out", status="denied")
    moved(b, "silktalk_messages_total", direction="in", status="denied")
    moved(a, "silktalk_operations_total", result="failed")
    run(b.home, "config", "set", "messages.from", "any")
    for i in range(3):
        run(a.home, "send", ids[b], "x" * 1000, "--wait")
    moved(a, "silktalk_messages_total", direction="out", status="stored")
    moved(b, "silktalk_inbox_messages", state="unread")
    for n, way in ((a, "out"), (b, "in")):
        moved(n, "silktalk_message_bytes_total", direction=way)
        moved(n, "silktalk_protocol_bytes_total", direction=way, protocol="/silktalk/message/1.0.0")
        moved(n, "silktalk_network_bytes_total", direction=way)
    moved(a, "silktalk_message_latency_seconds_count")
    moved(a, "silktalk_operations_total", result="ok")
    with open(WORK + "/file", "wb") as f:
        f.write(os.urandom(3 << 20))
    run(a.home, "send", ids[b], "-f", WORK + "/file", "--wait")
    moved(a, "silktalk_file_bytes_total", direction="out")
    moved(b, "silktalk_file_bytes_total", direction="in")
    moved(a, "silktalk_streams_opened_total", direction="out", protocol="/silktalk/file/1.0.0")
    run(a.home, "config", "set", "messages.outboxMax", "1")
    quietly(a, "send", ids[c], "waits")
    quietly(a, "send", ids[c], "is too many")
    limit = "outbox_messages"
    moved(a, "silktalk_limit_hits_total", limit=limit, outcome="send refused")
    moved(a, "silktalk_outbox_messages")
    moved(a, "silktalk_outbox_bytes")
    moved(a, "silktalk_outbox_oldest_timestamp_seconds")
    moved(a, "silktalk_limit_used", limit=limit)
    assert moved(a, "silktalk_limit_max", limit=limit) == 1
    quietly(a, "disconnect", ids[b])
    moved(a, "silktalk_connections", direction="out", path="direct")
    moved(a, "silktalk_peers_connected")
    closed = [k for k, v in values(prometheus(a.scrape())).items() if k[0] == "silktalk_connections_closed_total" and v > before[0].get(k, 0)]
    assert closed, "no connection was closed"
    run(b.home, "connect", addrs[a])
    moved(a, "silktalk_connections_opened_total", direction="in")
    moved(a, "silktalk_peers_known")
    moved(a, "silktalk_handshake_duration_seconds_count")
    moved(a, "silktalk_db_commit_seconds_count")
    moved(a, "silktalk_loop_turn_seconds_count")
    moved(a, "process_cpu_seconds_total")
    for level in ("info", "warn"):
        moved(a, "silktalk_log_lines_total", level=level)
    get(a, "*/*")
    moved(a, "silktalk_http_requests_total", code="200", path="/metrics")
    with open(a.home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("\n[nonsense]\nx = 1\n")
    quietly(a, "reload")
    assert moved(a, "silktalk_config_reload_ok") == 0
    moved(a, "silktalk_log_lines_total", level="error")
    changed = set()
    for n, old in zip((a, b), before):
        changed |= {k[0].removesuffix("_count") for k, v in values(prometheus(n.scrape())).items() if v != old.get(k, 0)}
    still = {n for n, (kind, _) in table().items() if kind in ("counter", "histogram")} - changed
    assert still <= set(NOT_PROVOKED), f"nothing moves {still - set(NOT_PROVOKED)}"
    run(c.home, "stop")


def memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def check_cost(a):
    pid = json.loads(run(a.home, "status", "--json"))["node"]["pid"]
    for _ in range(100):
        a.scrape()
    before = memory(pid)
    cpu = float(a.scrape().split("\nprocess_cpu_seconds_total ")[1].split("\n")[0])
    for _ in range(SCRAPES):
        a.scrape()
    grown = memory(pid) - before
    time.sleep(1.1)  # the node looks at itself once a second
    cpu = float(a.scrape().split("\nprocess_cpu_seconds_total ")[1].split("\n")[0]) - cpu
    assert grown < 2 << 20, f"{SCRAPES} scrapes: {grown} bytes more memory"
    print(f"a scrape takes {cpu / SCRAPES * 1e6:.0f} us; {SCRAPES} of them, {max(grown, 0) >> 10} KiB more memory")


def main():
    a, b = Node("a"), Node("b")
    address = json.loads(run(b.home, "id", "--addrs", "--json"))["addrs"][0]
    run(a.home, "connect", address)
    for i in range(3):
        run(a.home, "send", address, f"message {i}", "--wait")
    a.scrape()  # asks for the counts of the store
    end = time.monotonic() + 20
    while "\nsilktalk_inbox_messages{" not in a.scrape() or "\nsilktalk_disk_used_ratio{" not in a.scrape() or (
            "\nsilktalk_host_cpu_ratio " not in a.scrape()):
        assert time.monotonic() < end, "the store's counts do not come"
        time.sleep(0.05)
    first = check_formats(a, b)
    check_http(a)
    check_moves(a, b)
    check_cost(a)
    later = values(prometheus(a.scrape()))
    for (name, labels), v in first.items():
        if name.endswith(("_total", "_bucket", "_count")):
            assert later[(name, labels)] >= v, f"{name} {labels} went back"
    for n in (a, b):
        run(n.home, "stop")


try:
    main()
except AssertionError as e:
    sys.exit(f"FAIL: {e}")
finally:
    for name in ("a", "b", "c"):
        subprocess.run([SILKTALK, "stop", "--home", f"{WORK}/{name}"], capture_output=True, check=False)
    shutil.rmtree(WORK, ignore_errors=True)
