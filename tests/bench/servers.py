"""Starts and measures the servers that `make bench` compares, and runs the load generator against them."""
import json
import os
import shutil
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
BENCH = os.path.join(BUILD, "bench")
SILKTALK = os.path.join(BUILD, "silktalk")
TWIN = os.path.join(BENCH, "silktalk")  # the same objects with BENCH_SYNC_DELAY_MS added to each sync
LOAD = os.path.join(BENCH, "load")
TICK = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGESIZE") // 1024

# As the others: no limit in the way. All else is as a new home has it.
CONFIG = """[network]
listen = /ip4/127.0.0.1/tcp/{port}
perf = yes
[connection]
maxConnections = 10000
maxConnectionsPerAddress = 10000
maxConnectionsPerPeer = 100
inboundConnectionThreshold = 1000/s
maxIncomingPendingConnections = 1000
maxStreams = 4096
[messages]
from = any
ratePerPeer = 10000/s
outboxMax = 10000000
outboxMaxPerPeer = 10000000
inboxMax = 100000000
inboxPerPeer = 100000000
inboxBytesPerPeer = 1TiB
inboxMaxBytes = 1TiB
inboxBytesStrangers = 1TiB
[limits]
messages_in_flight = 4096
"""


class BenchError(Exception):
    """A measurement could not be made."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


class Server:
    """One server process; its folder keeps its key, so that a second start finds it."""
    name = ""

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.port, self.process, self.peer_id = free_port(), None, ""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {k: v for k, v in os.environ.items() if not k.startswith("SILKTALK_")}

    def start(self):
        """Milliseconds from its start until it takes a connection."""
        with open(os.path.join(self.folder, "log"), "ab") as log:
            begin = time.perf_counter()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=self.environment(), cwd=self.folder)
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    took = time.perf_counter() - begin
                    break
            if self.process.poll() is not None or time.perf_counter() > begin + 30:
                raise BenchError(f"{self.name} did not start; see {self.folder}/log")
            time.sleep(0.0002)
        self.started()
        return took * 1000

    def started(self):
        self.peer_id = json.loads(self.process.stdout.readline())["peer_id"]

    def stop(self):
        if self.process is None:
            return
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def addr(self):
        return f"/ip4/127.0.0.1/tcp/{self.port}/p2p/{self.peer_id}"

    def cpu(self):
        """Seconds of user and system time since its start."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * PAGE_KIB

    def transfer(self, addr, up=0, down=0):
        """As a client: seconds of one perf transfer."""
        line = json.dumps({"addr": addr, "up": up, "down": down}) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchError(f"{self.name} as a client failed; see {self.folder}/log")
        return json.loads(answer)["seconds"]


class SilkTalk(Server):
    name = "silktalk"
    binary = SILKTALK
    delay_ms = 0

    def __init__(self, folder, name=None, delay_ms=0, binary=SILKTALK):
        self.name, self.delay_ms, self.binary = name or self.name, delay_ms, binary
        super().__init__(folder)
        with open(os.path.join(self.folder, "config.ini"), "w", encoding="utf-8") as f:
            f.write(CONFIG.format(port=self.port))

    def command(self):
        return [self.binary, "daemon", "--home", self.folder]

    def environment(self):
        return super().environment() | {"BENCH_SYNC_DELAY_MS": str(self.delay_ms)}

    @property
    def socket_path(self):
        return os.path.join(self.folder, "control.sock")

    def started(self):
        until = time.monotonic() + 10
        while self.peer_id == "":
            try:
                self.peer_id = self.ask("id")["peer_id"]
            except OSError as error:
                if time.monotonic() > until:
                    raise BenchError("the control socket does not answer") from error
                time.sleep(0.01)

    def ask(self, method, **params):
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rwb") as f:
            s.connect(self.socket_path)
            f.write(json.dumps({"v": 1, "id": 1, "method": method, "params": params}).encode() + b"\n")
            f.flush()
            answer = json.loads(f.readline())
        if "result" not in answer:
            raise BenchError(f"{method}: {answer}")
        return answer["result"]

    def transfer(self, addr, up=0, down=0):
        self.ask("connect", peer=addr)
        r = self.ask("perf", peer=addr.rsplit("/", 1)[1], up=up, down=down)
        return r["up_seconds"] + r["down_seconds"]


class Go(Server):
    name = "go-libp2p"

    def command(self):
        return [os.path.join(BENCH, "go-server"), "-listen", f"/ip4/127.0.0.1/tcp/{self.port}", "-key", "key"]


class Js(Server):
    name = "js-libp2p"

    def command(self):
        js = os.path.join(BENCH, "js")
        return [os.path.realpath(os.path.join(js, "node")), os.path.join(js, "server.js"),
                f"/ip4/127.0.0.1/tcp/{self.port}", "key"]


class Rust(Server):
    name = "rust-libp2p"
    binary = os.path.join(BENCH, "rust-server")

    def command(self):
        return [self.binary, f"/ip4/127.0.0.1/tcp/{self.port}", "key"]


# go-libp2p is the far end of others, too, so its place is fixed; rust-libp2p only where a Rust toolchain built it
KINDS = (SilkTalk, Go, Js) + ((Rust,) if os.path.exists(Rust.binary) else ())


def load(server, command, *options, timeout=60):
    """One run of the load generator: its JSON, with server_cpu, what the server's process spent meanwhile."""
    before = server.cpu()
    done = subprocess.run([LOAD, command, "-addr", f"127.0.0.1:{server.port}", *map(str, options)],
                          capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise BenchError(f"load {command} {options} against {server.name}: {done.stderr.strip()}")
    r = json.loads(done.stdout)
    r["server_cpu"] = max(server.cpu() - before, 1 / TICK)
    if r.get("failed"):
        raise BenchError(f"{command} against {server.name}: {r['failed']} failed: {r['error']}")
    return r


class Hold:
    """Connections that stay: the load generator holds them, each with an identity of its own."""

    def __init__(self, server, most):
        self.process = subprocess.Popen([LOAD, "hold", "-addr", f"127.0.0.1:{server.port}", "-count", str(most)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server = server

    def reach(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        r = json.loads(self.process.stdout.readline())
        if r["held"] != count:
            raise BenchError(f"{self.server.name} holds {r['held']} connections, not {count}: {r['error']}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    return folder
