"""What the machine itself and its users may do to a node: control socket, files, disk, memory, descriptors, clock, terminal."""
import array
import contextlib
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from scene import BINARY, CLOCKED, HERE, Node, Scene, attacker, clean_environment, end_all, free_port, wait_for

TESTS = {}


def test(function):
    TESTS[function.__name__] = function
    return function


# ---- control socket

def client(scene):
    s = socket.socket(socket.AF_UNIX)
    s.connect(scene.victim.socket_path)
    s.settimeout(20)
    return s


def answers_of(s):
    """Until the node closes."""
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


@test
def control_socket():
    scene = Scene()
    for line in (b"garbage", b"{", b'{"v":1}', b'{"v":99,"id":1,"method":"id"}', b"[" * 100000, b"\xff\xfe\x00\x01",
                 b'{"v":1,"id":1,"method":"no.such"}', b'{"v":1,"id":1,"method":"send","params":7}',
                 b'{"v":1,"id":1,"method":"peer.name","params":{"peer":"x","name":"\\u0000"}}', b'"' + b"a" * 70000):
        s = client(scene)
        s.sendall(line + b"\n")
        answer = json.loads(s.makefile("rb").readline())
        assert "error" in answer, f"{line[:40]!r}: {answer}"
        s.sendall(b'{"v":1,"id":5,"method":"id"}\n')  # and it goes on with the next line
        assert json.loads(s.makefile("rb").readline())["id"] == 5
        s.close()
    s = client(scene)  # a line without end
    try:
        for _ in range(9 * 16):
            s.sendall(b"a" * 65536)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert b"error" in answers_of(s)
    s.close()
    s = client(scene)  # half a line, then nothing more is heard
    s.sendall(b'{"v":1,"id":1,"meth')
    s.close()
    slow = client(scene)  # a byte now and then
    begun = time.monotonic()
    for byte in b'{"v":1,"id":1,"method":"id"}\n':
        slow.sendall(bytes([byte]))
        time.sleep(0.01)
    assert json.loads(slow.makefile("rb").readline())["id"] == 1 and time.monotonic() - begun > 0.2
    slow.close()
    scene.send()
    scene.as_before()
    scene.close()


@test
def control_clients():
    """More of them than there are places; some that never read; some that pass descriptors nobody asked for."""
    scene = Scene()
    many = [client(scene) for _ in range(100)]
    wait_for("the last is told that it is one too many", lambda: b"error" in many[-1].recv(65536))
    for s in many:
        s.close()
    wait_for("places are free again", lambda: scene.victim.cli("id").code == 0)
    deaf = client(scene)
    deaf.setblocking(False)
    asked = 0
    until = time.monotonic() + 3  # without a pause that would be some hundred MiB
    while time.monotonic() < until and asked < 400000:
        try:
            asked += deaf.send(b'{"v":1,"id":1,"method":"config.list"}\n' * 100)
            until = time.monotonic() + 3
        except BlockingIOError:
            time.sleep(0.02)
        except (BrokenPipeError, ConnectionResetError):
            break
    time.sleep(2)
    assert scene.now()["rss"] < scene.before["rss"] + 16384, scene.now()
    scene.send()
    deaf.close()
    giver = client(scene)
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
    for _ in range(20):
        try:
            giver.sendmsg([b'{"v":1,"id":1,"method":"id"}\n'],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        except (BrokenPipeError, ConnectionResetError):
            break
    giver.close()
    for fd in fds:
        os.close(fd)
    scene.send()
    scene.as_before()
    scene.close()


# ---- files

def daemon(home, *more, before=None, timeout=20, binary=BINARY):
    """A node that should not start, or that is stopped after a second: exit code and what it said."""
    try:
        done = subprocess.run([binary, "daemon", "--home", home, *more], capture_output=True, timeout=timeout,
                              env=clean_environment(), preexec_fn=before, check=False)
        return done.returncode, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, late.stderr.decode(errors="replace")


def new_home(folder, name, ini="", key=None, mode=0o600):
    home = os.path.join(folder, name)
    os.makedirs(home, mode=0o700)
    with open(home + "/config.ini", "wb") as f:
        f.write(ini if isinstance(ini, bytes) else f"[network]\nlisten = /ip4/127.0.0.1/tcp/{free_port()}\n{ini}".encode())
    if key is not None:
        with open(home + "/identity.key", "wb") as f:
            f.write(key)
        os.chmod(home + "/identity.key", mode)
    return home


@test
def configuration():
    """A wrong file: exit 6, file and line named; while the node runs: it goes on as it was."""
    with tempfile.TemporaryDirectory() as folder:
        wrong = [b"[network\n", b"nonsense\n", b"[no]\n", b"[no]\nsuch = 1\n", b"[connection]\nmaxConnections = -1\n",
                 b"[connection]\nmaxConnections = 99999999999999999999999\n", b"[network]\nlisten = /ip4/1.2.3\n",
                 os.urandom(3000), b"\0" * 100, b"[messages]\n" + b"x" * 9000 + b" = 1\n",
                 b"[connection]\nmaxConnections = \x1b[31m\n", b"# " + b"x" * 100 * 1024 * 1024, b"\xff\xfe[\0n\0",
                 b"[network]\n" * 100000 + b"nonsense\n", b"= = =\n", b"[connection\n]\nmaxConnections = 1\n",
                 b"[connection]\nmaxConnections = 0x10\n", b"[connection]\nidleTimeout = 1e9d\n",
                 b"[limits]\nno_such_limit = 1\n", b"maxConnections = 1\n", b"[network]\nlisten = " + b"/ip4/127.0.0.1/tcp/1, " * 17 + b"\n"]
        for i, text in enumerate(wrong):
            code, said = daemon(new_home(folder, f"c{i}", text))
            assert code == 6, f"{text[:40]!r}: exit {code}: {said}"
            assert "config.ini" in said and len(said.splitlines()) <= 4, said
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", said), f"{said!r}"
        no_files = (os.mkdir, os.mkfifo, lambda p: os.symlink("/dev/zero", p), lambda p: os.symlink(p, p),
                    lambda p: os.symlink("/proc/self/environ/nothing", p))
        for i, make in enumerate(no_files):  # none is waited for, none is read without end
            home = new_home(folder, f"n{i}")
            os.unlink(home + "/config.ini")
            make(home + "/config.ini")
            code, said = daemon(home)
            assert code in (1, 4, 6) and "config.ini" in said and len(said.splitlines()) <= 4, f"{i}: exit {code}: {said}"
    scene = Scene()
    path = os.path.join(scene.victim.home, "config.ini")
    with open(path, encoding="utf-8") as f:
        good = f.read()
    for i, text in enumerate(wrong[:5]):
        with open(path, "wb") as f:
            f.write(good.encode() + text)
        assert scene.victim.cli("reload").code == 6
        scene.victim.signal(signal.SIGHUP)
        wait_for("a line for each", lambda n=i: len(scene.lines("Reload rejected")) == 2 * (n + 1))
    with open(path, "w", encoding="utf-8") as f:
        f.write(good)
    scene.victim.cli("reload", code=0)
    scene.send()
    scene.victim.stop()
    scene.good.stop()


@test
def identity_file():
    """Readable by others, cut short, of another type, of nothing: no start and no new identity, or a warning."""
    with tempfile.TemporaryDirectory() as folder:
        first = new_home(folder, "first")
        assert subprocess.run([BINARY, "config", "init", "--home", first], capture_output=True, check=False).returncode == 0
        with open(first + "/identity.key", "rb") as f:
            key = f.read()
        rsa = bytes([8, 0, 0x12, 0x80, 2]) + os.urandom(256)
        for i, wrong in enumerate((b"", key[:-1], key[:10], key + b"x", rsa, b"\0" * 68, os.urandom(68),
                                   key[:4] + key[4:36] + os.urandom(32), b"a" * 100000)):
            home = new_home(folder, f"k{i}", key=wrong)
            code, said = daemon(home)
            assert code not in (0, None), f"{i}: {said}"
            assert "identity" in said.lower() and len(said.splitlines()) <= 4, said
            with open(home + "/identity.key", "rb") as f:
                assert f.read() == wrong, "the file was written over"
        home = new_home(folder, "open", key=key, mode=0o644)
        _, said = daemon(home, timeout=1.5)
        assert "Identity permissions" in said, said
        home = new_home(folder, "folder")
        os.mkdir(home + "/identity.key")
        code, said = daemon(home)
        assert code not in (0, None), said


@test
def port_in_use():
    with socket.socket() as s, tempfile.TemporaryDirectory() as folder:
        s.bind(("127.0.0.1", 0))
        s.listen()
        home = new_home(folder, "h", f"[network]\nlisten = /ip4/127.0.0.1/tcp/{s.getsockname()[1]}\n".encode())
        code, said = daemon(home)
        assert code not in (0, None) and "in use" in said and len(said.splitlines()) <= 6, (code, said)
        assert not os.path.exists(home + "/control.sock")


# ---- disk; in a mount namespace of its own

def in_namespace(name):
    """This file's function inside_NAME with mounts of its own; None: the machine does not let us."""
    for how in (["unshare", "-m"], ["unshare", "-rm"]):
        if subprocess.run([*how, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0:
            done = subprocess.run([*how, sys.executable, os.path.join(HERE, "local_abuse.py"), name], check=False)
            assert done.returncode == 0, f"{name}: exit {done.returncode}"
            return
    print("  NOT RUN: mounting is not permitted here")


@test
def full_disk():
    in_namespace("inside_full_disk")


@contextlib.contextmanager
def small_disk(size):
    folder = tempfile.mkdtemp()
    assert subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False).returncode == 0
    try:
        yield folder
    finally:
        end_all()
        subprocess.run(["umount", "-l", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def inside_full_disk():
    with small_disk("12m") as folder:
        node = Node(home=folder + "/h", ini="[messages]\nfrom = any\n")
        other = Node()
        other.connect(node.addr)
        other.cli("send", node.peer_id, "before", "--wait", code=0)
        with open(folder + "/filler", "wb") as f:
            try:
                while True:
                    f.write(b"x" * 65536)
                    f.flush()
            except OSError:
                pass
        refused = 0
        for _ in range(30):  # what the database's files still hold may take some
            done = node.cli("send", other.peer_id, "-", stdin="x" * 200000, timeout=30)
            refused += done.code != 0
            assert done.code in (0, 1, 9), (done.code, done.err)
        assert refused > 10, "nothing was refused"
        done = other.cli("send", node.peer_id, "y" * 90000, "--wait=3s", timeout=30)
        assert done.code != 0, "stored on a full disk"
        assert len(node.log_lines("Database fault")) <= 101 * 2
        assert node.cli("id").code == 0 and node.cli("peers").code == 0
        os.unlink(folder + "/filler")
        other.cli("outbox", "retry", "--all")
        wait_for("what waited comes when there is room", lambda: node.cli("send", other.peer_id, "again").code == 0, 30)
        other.cli("send", node.peer_id, "after", "--wait", code=0)
        bodies = [i["bytes"] for i in node.inbox()]
        assert bodies.count(6) == 1, bodies
        other.stop()
        node.stop()
        other.drop_home()


@test
def read_only_home():
    in_namespace("inside_read_only_home")


def inside_read_only_home():
    with small_disk("20m") as folder:
        node = Node(home=folder + "/h")
        node.stop()
        os.unlink(node.log_path)
        assert subprocess.run(["mount", "-o", "remount,ro", folder], check=False).returncode == 0
        code, said = daemon(node.home)
        assert code not in (0, None) and re.search("ead-only|cannot be written", said) and len(said.splitlines()) <= 6, (code, said)
        for words in (["config", "set", "node.name", "x"], ["send", "12D3KooWAfPDpPRRRBrmqy9is2zjU5srQ4hKuZitiGmh4NTTpS2d", "hi"]):
            done = subprocess.run([BINARY, *words, "--home", node.home], capture_output=True, text=True, check=False)
            assert done.returncode != 0 and re.search("ead-only|cannot be written", done.stderr), (words, done)


# ---- descriptors, memory, time

def limited(scene_ini, resource_name, value):
    """A node with a limit of the system's, as a Scene whose victim was started anew with it."""
    scene = Scene(ini=scene_ini)
    scene.victim.stop()
    log = open(scene.victim.log_path, "ab")
    scene.victim.process = subprocess.Popen(
        [BINARY, "daemon", "--home", scene.victim.home], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        env=clean_environment(), preexec_fn=lambda: resource.setrlimit(resource_name, (value, value)))
    log.close()
    wait_for("it is ready again", lambda: scene.victim.log().count("Node ready") >= 2 and scene.victim.cli("id").code == 0)
    scene.good.connect(scene.victim.addr)
    scene.send(5)
    scene.before = scene.now()
    return scene


@test
def no_more_descriptors():
    """40 of them, and 200 peers: those who are in stay, the others are turned away, and later let in again."""
    ini = "[connection]\ninboundConnectionThreshold = 1000\nmaxConnectionsPerAddress = 1000\nmaxIncomingPendingConnections = 1000\n"
    scene = limited(ini, resource.RLIMIT_NOFILE, 40)
    control = scene.victim.control()  # there is none left for one afterwards
    held = []
    for _ in range(200):
        s = socket.create_connection(("127.0.0.1", scene.victim.port))
        held.append(s)
    scene.send(20)
    begin = control.call("diag.loop")["turns"]
    time.sleep(1)
    turns = control.call("diag.loop")["turns"] - begin
    assert turns < 500, f"{turns} turns of the loop in a second, for those who wait to be accepted"
    control.close()
    for s in held:
        s.close()
    with Node() as newcomer:
        wait_for("new peers get in again", lambda: newcomer.cli("connect", scene.victim.addr).code == 0, 20)
    assert len(scene.victim.log().splitlines()) < 600
    scene.as_before()
    scene.close()


@test
def memory_limit():
    """The system refuses memory: connections and commands may fail, the node goes on."""
    scene = Scene(ini="[connection]\ninboundConnectionThreshold = 1000\n")
    with open(f"/proc/{scene.victim.process.pid}/status", encoding="ascii") as f:
        virtual = int(re.search(r"VmSize:\s+(\d+)", f.read())[1]) * 1024
    scene.victim.stop()
    scene.good.stop()
    scene = limited("[connection]\ninboundConnectionThreshold = 1000\n", resource.RLIMIT_AS, virtual + (24 << 20))
    p = subprocess.Popen([os.path.join(os.path.dirname(CLOCKED), "attacker"), "msg-hoard", scene.host], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    p.stdin.close()
    p.wait(60)
    assert scene.victim.alive(), scene.victim.log()[-2000:]
    wait_for("the good peer sends again", lambda: scene.good.cli("send", scene.victim.peer_id, "x", "--wait=5s").code == 0, 30)
    assert len(scene.victim.log().splitlines()) < 1500
    scene.as_before()
    scene.victim.stop()
    scene.good.stop()


class Clock:
    """Time as the twin sees it: milliseconds added to real time and to time since boot."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "clock")
        with open(self.path, "wb") as f:
            f.write(struct.pack("qq", 0, 0))
        self.real = self.boot = 0

    def jump(self, real=0, boot=0):
        self.real += real
        self.boot += boot
        with open(self.path, "r+b") as f:
            f.write(struct.pack("qq", self.real, self.boot))


DAY = 86400 * 1000


@test
def clock_jumps():
    """Set forward and back by a day and by ten years; asleep for a day; nothing is lost, expired wrongly or stuck."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(folder)
        os.environ["ABUSE_CLOCK"] = clock.path
        scene = Scene(binary=CLOCKED)
        del os.environ["ABUSE_CLOCK"]
        for real, boot in ((DAY, 0), (-DAY, 0), (-2 * DAY, 0), (10 * 365 * DAY, 0), (-10 * 365 * DAY, 0), (2 * DAY, 0)):
            clock.jump(real, boot)
            scene.send(3)
        begin = time.monotonic()
        clock.jump(DAY, DAY)  # as after a suspend: all deadlines are due at once
        wait_for("messages go after a sleep of a day",
                 lambda: scene.good.cli("send", scene.victim.peer_id, "x", "--wait=5s").code == 0, 20)
        assert time.monotonic() - begin < 20
        # a message that waits, over a jump back and forth, is still there; one whose time is over is not delivered
        scene.victim.stop()
        kept = scene.good.ctl("send", peer=scene.victim.peer_id, body="kept")["items"][0]["id"]
        clock.jump(-3 * DAY, 0)
        time.sleep(0.1)
        clock.jump(3 * DAY, 0)
        assert kept in str(scene.good.ctl("outbox.list"))
        clock.jump(8 * DAY, 0)  # its expiry is 7 days
        wait_for("it expired", lambda: kept not in str(scene.good.cli("outbox").json["items"]) or
                 "expired" in str(scene.good.cli("outbox").json["items"]), 70)
        scene.good.stop()


# ---- the terminal

def on_a_terminal(home, *words):
    """What the terminal gets."""
    master, slave = pty.openpty()
    p = subprocess.Popen([BINARY, *words, "--home", home], stdin=slave, stdout=slave, stderr=slave,
                         env={**clean_environment(), "TERM": "xterm-256color", "COLUMNS": "200"}, close_fds=True)
    os.close(slave)
    data, until = b"", time.monotonic() + 20
    while time.monotonic() < until:
        ready, _, _ = select.select([master], [], [], 0.2)
        try:
            chunk = os.read(master, 65536) if ready else b""
        except OSError:
            break
        data += chunk
        if not ready and p.poll() is not None:
            break
    p.wait(20)
    os.close(master)
    return data


@test
def terminal_escapes():
    """Subject, body, agent, protocol names, file name of a peer: no byte of theirs steers a terminal."""
    scene = Scene()
    peer = scene.known(12)
    assert "STORED" in attacker("msg-escapes", scene.host, seed=12)[0]
    attacker("file-good", scene.host, seed=12)
    attacker("id-escapes", scene.host, seed=12)
    attacker("file-path", scene.host, seed=12)
    items = scene.victim.inbox()
    ids = [i["id"] for i in items if i.get("peer_id", peer) == peer or True][:50]
    theirs = [i for i in ids if "subject" in on_a_terminal(scene.victim.home, "read", i).decode(errors="replace")]
    assert theirs, "the message was not shown"
    for words in (["inbox"], ["read", theirs[0]], ["peers"], ["peers", "--all"], ["peer", "show", peer],
                  ["file", "list"], ["explain", peer], ["outbox"]):
        data = on_a_terminal(scene.victim.home, *words).decode("utf-8", errors="surrogateescape")
        for own in ("\x1b[1m", "\x1b[0m", "\x1b[31msilktalk"):  # headings
            data = data.replace(own, "")
        bad = re.findall("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", data)
        assert data and not bad, f"{words}: {bad} in {data!r}"
    log = scene.victim.log()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", log), "in the log"
    scene.send()
    scene.close()


if __name__ == "__main__":
    {"inside_full_disk": inside_full_disk, "inside_read_only_home": inside_read_only_home}[sys.argv[1]]()
