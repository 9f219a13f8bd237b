"""Drives one real libp2p peer (tests/interop/peers) from a test: Peer("go") or Peer("js").

A command is one JSON line to the peer and one back; commands may run side by side (start, then Call.wait).
`build()` makes the peers with peers/build.sh, and raises Skip with the reason where that can't be done.
"""
import json
import os
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILT = os.path.join(ROOT, "build", "interop")
SKIPPED = 77


class Skip(Exception):
    """This machine can't run the test; the text says why."""


class PeerError(Exception):
    """A command failed, or the peer is gone."""


def build(*kinds):
    done = subprocess.run([os.path.join(HERE, "peers", "build.sh"), *kinds], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode == SKIPPED:
        raise Skip(done.stdout.strip().splitlines()[-1])
    if done.returncode != 0:
        raise PeerError(f"peers/build.sh failed with {done.returncode}")


class Call:
    """A command under way."""

    def __init__(self, what):
        self.what = what
        self.done = threading.Event()
        self.answer = None

    def wait(self, timeout=120):
        """Its answer's fields, or PeerError."""
        if not self.done.wait(timeout):
            raise PeerError(f"{self.what}: no answer in {timeout} s")
        if not self.answer.get("ok"):
            raise PeerError(f"{self.what}: {self.answer.get('error')}")
        return self.answer


class Peer:
    """One peer process: a context manager with `peer_id` and `addrs` (each with /p2p/)."""

    def __init__(self, kind, *flags, listen=("/ip4/127.0.0.1/tcp/0",), key_type=None, key_file=None, psk=None):
        args = [os.path.join(BUILT, f"{kind}-peer")]
        for addr in listen:
            args += ["--listen", addr]
        for flag, value in (("--key-type", key_type), ("--key-file", key_file), ("--psk", psk)):
            if value is not None:
                args += [flag, value]
        self.kind = kind
        self.process = subprocess.Popen([*args, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, encoding="utf-8")
        self._lock = threading.Lock()
        self._calls = {}
        self._next = 0
        self.stderr = []
        self._threads = [threading.Thread(target=self._read_stderr, daemon=True)]
        self._threads[0].start()
        first = self.process.stdout.readline()
        ready = json.loads(first) if first else {"error": "it ended without a word"}
        if not ready.get("ready"):
            self.stop()
            raise PeerError(f"{kind}-peer did not start: {ready.get('error')}")
        self.peer_id, self.addrs = ready["peer_id"], ready["addrs"]
        self._threads.append(threading.Thread(target=self._read, daemon=True))
        self._threads[1].start()

    @property
    def addr(self):
        return self.addrs[0]

    def _read_stderr(self):
        for line in self.process.stderr:
            self.stderr.append(line)

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self._lock:
                call = self._calls.pop(answer.get("id"), None)
            if call is not None:
                call.answer = answer
                call.done.set()
        with self._lock:
            lost, self._calls = self._calls, None
        for call in lost.values():
            call.answer = {"ok": False, "error": "the peer is gone: " + "".join(self.stderr[-5:])}
            call.done.set()

    def start(self, cmd, **params):
        """Sends a command; the Call's wait() has its answer."""
        call = Call(f"{self.kind} {cmd}")
        with self._lock:
            if self._calls is None:
                raise PeerError(f"{call.what}: the peer is gone")
            self._next += 1
            number = self._next
            self._calls[number] = call
        line = json.dumps({"id": number, "cmd": cmd, **params})
        try:
            with self._lock:
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()
        except OSError as error:
            raise PeerError(f"{call.what}: {error}") from error
        return call

    def cmd(self, cmd, **params):
        """A command and its answer. A `timeout` parameter is the peer's own limit, in seconds."""
        return self.start(cmd, **params).wait(params.get("timeout", 60) + 30)

    def fails(self, cmd, **params):
        """The error text of a command that has to fail."""
        try:
            answer = self.cmd(cmd, **params)
        except PeerError as error:
            return str(error)
        raise AssertionError(f"{self.kind} {cmd} was to fail, but answered {answer}")

    def stop(self):
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:  # they end with the process
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def swarm_key(path, secret):
    """Writes a private network's key file; secret: 32 bytes."""
    with open(path, "w", encoding="ascii") as f:
        f.write("/key/swarm/psk/1.0.0/\n/base16/\n" + secret.hex() + "\n")
    return path
