#!/usr/bin/env python3
"""What watching costs (tests/http/COST.md): CPU of the node for scrapes beside 300 connections, `health` from cron, growth
over 10,000 scrapes, and a node beside clients that do not behave. Not of CI: figures of one machine.

usage: cost.py ATTACKER      (build/abuse/attacker: `make check-scripts T=page/page` builds it)"""
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

EXE = os.path.abspath(os.environ.get("SILKTALK", "build/silktalk"))
SECONDS = 60
CROWD = 300


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        v = f.read().rsplit(")", 1)[1].split()
    return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def get(port, path):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        n = 0
        while part := s.recv(1 << 16):
            n += len(part)
    return n


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def share(pid, work, seconds=SECONDS):
    """Of one core, while `work` is done once a second."""
    began, before = time.monotonic(), cpu(pid)
    for i in range(seconds):
        work()
        time.sleep(max(0, began + i + 1 - time.monotonic()))
    return (cpu(pid) - before) / (time.monotonic() - began) * 100


def cron(home, runs=100):
    walls, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(runs):
        began = time.monotonic()
        subprocess.run([EXE, "health", "--home", home], stdout=subprocess.DEVNULL, check=False)
        walls.append(time.monotonic() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / runs
    # of a child of a small program: what is measured begins with what its parent had
    rss = subprocess.run(["/usr/bin/time", "-f", "%M", "sh", "-c", f"exec {EXE} health --home {home} >/dev/null"],
                         capture_output=True, text=True, check=False).stderr.split()[-1]
    return used * 1000, sorted(walls)[runs // 2] * 1000, sorted(walls)[int(runs * .95)] * 1000, int(rss) / 1024


def main():
    home, port, peers = tempfile.mkdtemp() + "/home", free_port(), free_port()
    subprocess.run([EXE, "config", "init", "-q", "--home", home], stdout=subprocess.DEVNULL, check=True)
    with open(home + "/config.ini", "w", encoding="utf-8") as f:
        f.write(f"[network]\nlisten = /ip4/127.0.0.1/tcp/{peers}\n[http]\nlisten = 127.0.0.1:{port}\n[connection]\nmaxConnections = 400\n"
                "maxConnectionsPerAddress = 1000\ninboundConnectionThreshold = 1000/s\nmaxIncomingPendingConnections = 1000\nreservedForTrusted = 0\n"
                "idleTimeout = 1h\n")
    node = subprocess.Popen([EXE, "daemon", "--home", home], stderr=subprocess.DEVNULL)
    crowd = None
    try:
        time.sleep(1.5)
        print(f"health from cron, an idle node: CPU %.1f ms, wall median %.1f ms, p95 %.1f ms, RSS %.1f MiB" % cron(home))
        crowd = subprocess.Popen([sys.argv[1], "crowd", f"127.0.0.1:{peers}", f"count={CROWD}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(crowd.stdout.readline().strip())
        print(f"health from cron, {CROWD} connections: CPU %.1f ms, wall median %.1f ms, p95 %.1f ms, RSS %.1f MiB" % cron(home))
        idle = share(node.pid, lambda: None)
        print(f"{CROWD} connections, nobody asks: {idle:.2f} % of a core")
        for path in ("/metrics", "/health"):
            size, used = get(port, path), share(node.pid, lambda p=path: get(port, p))
            print(f"{path} once a second: {used:.2f} % of a core, {used - idle:.2f} % more; {size} bytes")
        for _ in range(500):
            get(port, "/metrics")
        before, began, used = resident(node.pid), time.monotonic(), cpu(node.pid)
        for _ in range(10000):
            get(port, "/metrics")
        took, used = time.monotonic() - began, cpu(node.pid) - used
        print(f"10,000 scrapes in {took:.0f} s: {used / 10000 * 1e6:.0f} us of CPU each, {max(0, resident(node.pid) - before) >> 10} KiB more memory")
        idlers = []
        for _ in range(1000):
            idlers.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        slow = share(node.pid, lambda: get(port, "/health"), 20)
        print(f"beside 1,000 idle connections /health once a second: {slow:.2f} % of a core, {resident(node.pid) >> 10} KiB resident")
        for s in idlers:
            s.close()
        loop = json.loads(subprocess.run([EXE, "diag", "loop", "--json", "--home", home], capture_output=True, text=True, check=True).stdout)
        print(f"longest turn of the loop in all this: {loop['max_us'] / 1000:.1f} ms; {loop['slow']} of {loop['turns']} over 10 ms")
    finally:
        if crowd is not None:
            crowd.stdin.close()
            crowd.wait(30)
        node.terminate()
        node.wait(30)


main()
