"""Runs a SilkTalk node for a test: a home in a folder of its own, `build/silktalk daemon` on a loopback port.

    with SilkTalk(ini="[messages]\\nfrom = any\\n") as node:
        node.ctl("peers.list")             # the control socket: JSON lines
        node.cli("connect", addr)          # the executable itself, with --json: .code .json .out .err
        node.wait_log("Peer connected", peer=peer_id)
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BINARY = os.environ.get("SILKTALK_BINARY", os.path.join(ROOT, "build", "silktalk"))
WIRE_TOOL = os.environ.get("SILKTALK_WIRE_TOOL", os.path.join(ROOT, "build", "tests", "interop", "wire_tool"))
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class NodeError(Exception):
    """The node, or a call to it, failed."""


def base58(data):
    number, out = int.from_bytes(data, "big"), ""
    while number > 0:
        number, digit = divmod(number, 58)
        out = BASE58[digit] + out
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + out


def ed25519_peer_id(key_file):
    """The peer id of a libp2p protobuf private key: worked out here, not asked of the node."""
    with open(key_file, "rb") as f:
        raw = f.read()
    if raw[:4] != bytes([0x08, 0x01, 0x12, 0x40]) or len(raw) != 68:
        raise NodeError(f"{key_file} is no Ed25519 private key")
    return base58(bytes([0x00, 0x24, 0x08, 0x01, 0x12, 0x20]) + raw[36:])


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def clean_environment():
    """No setting of the machine reaches the node."""
    drop = ("SILKTALK_", "JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY")
    return {k: v for k, v in os.environ.items() if not k.startswith(drop)}


def wait_for(what, done, timeout=10.0):
    """done(), as soon as it is true."""
    until = time.monotonic() + timeout
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout} s in vain: {what() if callable(what) else what}")
        time.sleep(0.01)


class Result:
    """What a run of the executable gave."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.args = done.args

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise NodeError(f"{self.args}: no JSON object: {self.out!r} {self.err!r}") from error

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Control:
    """One connection to a control socket."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.file = self.socket.makefile("rwb")
        self.next = 0

    def send(self, method, params=None):
        self.next += 1
        self.file.write(json.dumps({"v": 1, "id": self.next, "method": method, "params": params or {}}).encode()
                        + b"\n")
        self.file.flush()
        return self.next

    def read(self):
        line = self.file.readline()
        if not line:
            raise NodeError("the node closed the control socket")
        return json.loads(line)

    def call(self, method, params=None):
        number = self.send(method, params)
        answer = self.read()
        if answer.get("id") != number:
            raise NodeError(f"answer to another question: {answer}")
        if "error" in answer:
            raise NodeError(f"{method}: {answer['error']}")
        return answer["result"]

    def stream(self, method, params=None):
        """The events of a streaming method, until its end."""
        number = self.send(method, params)
        while True:
            answer = self.read()
            if "error" in answer:
                raise NodeError(f"{method}: {answer['error']}")
            if answer.get("id") == number and answer.get("end"):
                return
            yield answer["event"]

    def close(self):
        self.file.close()
        self.socket.close()


class SilkTalk:
    """A node and its home. It listens on a free loopback port; `network` are more lines of that section, `ini`
    the sections after it."""

    def __init__(self, ini="", network="", listen=None, key_file=None, swarm_key=None, home=None, binary=BINARY,
                 start=True):
        self.binary = binary
        self.own_folder = None if home else tempfile.mkdtemp(prefix="silktalk-interop-")
        self.home = home or os.path.join(self.own_folder, "home")
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        self.port = free_port()
        self.listen = listen or f"/ip4/127.0.0.1/tcp/{self.port}"
        with open(os.path.join(self.home, "config.ini"), "w", encoding="utf-8") as f:
            f.write(f"[network]\nlisten = {self.listen}\n{network}\n{ini}")
        for source, name in ((key_file, "identity.key"), (swarm_key, "swarm.key")):
            if source:
                target = os.path.join(self.home, name)
                shutil.copyfile(source, target)
                os.chmod(target, 0o600)
        self.process = None
        self.log_path = os.path.join(self.home, "daemon.stderr")
        if start:
            try:
                self.start()
            except BaseException:
                self.drop_home()
                raise

    # ---- the process

    def start(self, timeout=15):
        with open(self.log_path, "ab") as log:
            seen = log.tell()
            self.process = subprocess.Popen([self.binary, "daemon", "--home", self.home], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=clean_environment())

        def ready():
            if self.process.poll() is not None:
                raise NodeError(f"the node ended with {self.process.returncode}:\n{self.log()[seen:]}")
            return "Node ready" in self.log()[seen:]

        try:
            wait_for(lambda: "Node ready in\n" + self.log()[seen:], ready, timeout)
        except BaseException:
            self.kill()
            raise
        return self

    @property
    def peer_id(self):
        return ed25519_peer_id(os.path.join(self.home, "identity.key"))

    @property
    def addr(self):
        return f"{self.listen.split(',')[0].strip()}/p2p/{self.peer_id}"

    def stop(self, timeout=10):
        """SIGTERM; its exit status, which is 0 after an orderly stop."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the node did not stop in {timeout} s") from None
        self.process = None
        return code

    def kill(self):
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # ---- what it says

    def log(self):
        if not os.path.exists(self.log_path):  # never started
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_lines(self, event, **keys):
        """The lines with this event text whose keys have these values."""
        wanted = [f" {key}={value}" for key, value in keys.items()]
        return [line for line in self.log().splitlines() if f": {event}" in line
                and all(f"{w} " in line + " " for w in wanted)]

    def wait_log(self, event, timeout=10.0, **keys):
        return wait_for(f"log line {event} {keys}", lambda: self.log_lines(event, **keys), timeout)[-1]

    # ---- what it is asked

    @property
    def socket_path(self):
        return os.path.join(self.home, "control.sock")

    def control(self, timeout=30):
        return Control(self.socket_path, timeout)

    def ctl(self, method, **params):
        control = self.control()
        try:
            return control.call(method, params)
        finally:
            control.close()

    def cli(self, *words, stdin=None, timeout=60, as_json=True, code=None):
        """`silktalk WORDS --home HOME --json`. `code`: the exit code that it has to have."""
        args = [self.binary, *map(str, words), "--home", self.home] + (["--json"] if as_json else [])
        result = Result(subprocess.run(args, input=stdin, capture_output=True, text=True, timeout=timeout,
                                       env=clean_environment(), check=False))
        if code is not None and result.code != code:
            raise AssertionError(f"{args}: exit {result.code}, not {code}: {result.out} {result.err}")
        return result

    def connect(self, addr):
        return self.cli("connect", addr, code=0)

    def peers(self):
        return self.cli("peers", code=0).json["items"]

    def connected(self, peer_id):
        return any(p["peer_id"] == peer_id for p in self.peers())

    def wait_peer(self, peer_id, timeout=10.0):
        wait_for(f"peer {peer_id}", lambda: self.connected(peer_id), timeout)

    def wait_gone(self, peer_id, timeout=10.0):
        wait_for(f"peer {peer_id} gone", lambda: not self.connected(peer_id), timeout)

    def peer_show(self, peer_id):
        return self.cli("peer", "show", peer_id, code=0).json

    def inbox(self):
        return self.cli("inbox", code=0).json["items"]

    def read_body(self, message_id):
        """A message's body, as `read -o` saves it."""
        path = os.path.join(self.home, f"body-{message_id}")
        self.cli("read", message_id, "-o", path, code=0)
        with open(path, "rb") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                code = self.stop()
                if code not in (0, None):
                    raise AssertionError(f"the node ended with {code}:\n{self.log()[-4000:]}")
            else:
                print(self.log()[-6000:])
                self.kill()
        finally:
            self.drop_home()

    def drop_home(self):
        if self.own_folder:
            shutil.rmtree(self.own_folder, ignore_errors=True)


def wire(command, addr, key_file=None, swarm_key=None, timeout=120, **numbers):
    """One exchange by tests/interop/wire_tool.c, SilkTalk's own wire without its node; its JSON answer."""
    args = [WIRE_TOOL, command, addr]
    for flag, value in (("key", key_file), ("psk", swarm_key), *numbers.items()):
        if value is not None:
            args += [f"--{flag.replace('_', '-')}", str(value)]
    result = Result(subprocess.run(args, capture_output=True, text=True, timeout=timeout, check=False))
    if result.code != 0:
        raise AssertionError(f"{args}: exit {result.code}: {result.out} {result.err}")
    return result.json


class WireServer:
    """The listening end of wire_tool.c: `addr`, `peer_id`, and a line for each sink that has ended."""

    def __init__(self, swarm_key=None):
        args = [WIRE_TOOL, "serve", "/ip4/127.0.0.1/tcp/0"] + (["--psk", swarm_key] if swarm_key else [])
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.addr, self.peer_id = ready["addr"], ready["peer_id"]
        self.sinks = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.sinks.append(json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.thread.join(10)
        self.process.stdout.close()
