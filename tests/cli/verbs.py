"""Verbs in their failing cases, a terminal's progress, Ctrl-C, broken control clients, another user, bad files."""
import json
import os
import pty
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SILKTALK = os.path.realpath(os.environ.get("SILKTALK", "build/silktalk"))
WORK = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
NOBODY = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"


def run(home, *args, **more):
    return subprocess.run([SILKTALK, *args, "--home", home], capture_output=True, text=True, check=False, timeout=60, **more)


def good(home, *args, **more):
    r = run(home, *args, **more)
    assert r.returncode == 0, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout


def fails(home, code, text, *args, **more):
    r = run(home, *args, **more)
    said = r.stderr + r.stdout
    assert r.returncode == code and text in said, f"{args}: exit {r.returncode}, not {code}, or no '{text}' in: {said}"
    assert "silktalk: " not in r.stdout, r.stdout  # errors are on stderr
    if "--json" not in args and code not in (8,) and not more:
        j = run(home, *args, "--json")
        error = json.loads((j.stderr.strip().splitlines() or ["{}"])[-1]) if j.stderr.strip().startswith("{") else {}
        assert j.returncode == code, (args, "--json", j)
        if error:
            assert error["schema"] == "silktalk.error/1" and error["code"] == code, (args, error)
    return r


def eventually(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    sys.exit(f"not so within {seconds} s: {what}")


def new_home(name, **keys):
    home = f"{WORK}/{name}"
    good(home, "config", "init")
    good(home, "config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0")
    for key, value in keys.items():
        good(home, "config", "set", key.replace("_", "."), value)
    return home


def node_down():
    home = new_home("down")
    for verb in (["status"], ["peers"], ["peer", "show", NOBODY], ["peer", "name", NOBODY, "x"], ["connect", NOBODY],
                 ["disconnect", NOBODY], ["ping", NOBODY], ["explain", NOBODY], ["reload"], ["log", "level", "debug"],
                 ["diag", "limits"], ["diag", "loop"]):
        fails(home, 3, "not running", *verb)
    assert "not running" in run(home, "stop").stderr + run(home, "stop").stdout
    print("node down: exit 3, 'not running', and the next step")


def lifecycle():
    home = new_home("life")
    fails(home, 6, "did you mean", "config", "set", "conection.maxConnections", "1")
    with open(home + "/config.ini", encoding="utf-8") as f:
        config = f.read()
    with open(home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("\n[connection]\nmaxConections = 7\n")
    r = run(home, "daemon")
    assert r.returncode == 6 and "maxConnections" in r.stderr and "config.ini:" in r.stderr, r
    assert run(home, "start").returncode == 6
    assert run(home, "config", "check").returncode == 6
    with open(home + "/config.ini", "w", encoding="utf-8") as f:
        f.write(config)
    for name in ("daemon.lock", "data/LOCK.lock", "x.lock"):
        with open(f"{home}/{name}", "w", encoding="ascii") as f:
            f.write("1")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(home + "/control.sock")  # of a node that died
    good(home, "start")
    pid = json.loads(good(home, "status", "--json"))["node"]["pid"]
    good(home, "start")  # it runs already
    assert json.loads(good(home, "status", "--json"))["node"]["pid"] == pid
    with open(home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("\n[connection]\nmaxConnections = 0\n")
    fails(home, 6, "maxConnections", "reload")
    assert json.loads(good(home, "status", "--json"))["peers"]["max"] == 300
    with open(home + "/config.ini", "w", encoding="utf-8") as f:
        f.write(config + "\n[connection]\nmaxConnections = 77\n")
    good(home, "reload")
    assert json.loads(good(home, "status", "--json"))["peers"]["max"] == 77
    good(home, "restart")
    assert json.loads(good(home, "status", "--json"))["node"]["pid"] != pid
    fails(home, 2, "drain", "stop", "--drain", "soon")
    good(home, "stop", "--drain", "1s")
    assert run(home, "status").returncode == 3
    print("daemon, start, stop, restart, reload: bad files are refused and change nothing, leftovers are no lock")


def config_files():
    home = new_home("config")
    conf = home + "/config.ini"
    for key, value, text in (("connection.maxConnections", "0", "1"), ("connection.maxConnections", "many", "number"),
                             ("connection.dialTimeout", "5 parsecs", ""), ("messages.from", "friends", "known"),
                             ("network.listen", "/ip4/127.0.0.1/udp/1", ""), ("access.denyCidrs", "10.0.0.0/33", ""),
                             ("access.allowPeers", "12D3nonsense", ""), ("node.socketMode", "999", ""),
                             ("network.perf", "perhaps", ""), ("nothing.here", "1", ""), ("node", "1", "")):
        before = open(conf, "rb").read()
        fails(home, 6 if key != "node" else run(home, "config", "set", "node", "1").returncode, text, "config", "set", key, value)
        assert open(conf, "rb").read() == before, key
    fails(home, run(home, "config", "get", "nothing.here").returncode, "nothing.here", "config", "get", "nothing.here")
    good(home, "config", "set", "access.denyCidrs", '["10.0.0.0/8", "192.168.0.0/16"]')
    assert good(home, "config", "get", "access.denyCidrs").split() == ["10.0.0.0/8", "192.168.0.0/16"]
    good(home, "config", "set", "access.denyCidrs", "10.1.0.0/16,10.2.0.0/16")
    assert good(home, "config", "get", "access.denyCidrs").split() == ["10.1.0.0/16", "10.2.0.0/16"]
    good(home, "config", "unset", "access.denyCidrs")
    assert good(home, "config", "get", "access.denyCidrs").strip() == ""
    lines = open(conf, encoding="utf-8").read().splitlines()
    assert sum(line.startswith(("#", ";")) for line in lines) > 50
    os.mkdir(home + "/conf.d")
    for name, number in (("20-b.ini", 40), ("10-a.ini", 30)):
        with open(f"{home}/conf.d/{name}", "w", encoding="utf-8") as f:
            f.write(f"[connection]\nmaxConnections = {number}\n")
    items = {i["key"]: i for i in json.loads(good(home, "config", "list", "--json"))["items"]}
    assert str(items["connection.maxConnections"]["value"]) == "40" and "20-b.ini" in items["connection.maxConnections"]["source"]
    with open(home + "/conf.d/30-c.ini", "w", encoding="utf-8") as f:
        f.write("[connection]\nmaxConnections = 1\n\n\nidleTimeout = never\n")
    r = run(home, "config", "check")
    assert r.returncode == 6 and "30-c.ini:5" in r.stderr, r
    print("config: bad keys and values change no byte; lists; conf.d in name order, with its source")


def pair():
    a, b = new_home("a"), new_home("b", messages_from="any")
    for home in (a, b):
        good(home, "start", "-q")
    address = good(b, "id", "--addrs").split()[0]
    good(a, "connect", address)
    good(a, "peer", "name", good(b, "id").strip(), "bob")
    return a, b, address


def peers(a, b, address):
    peer = good(b, "id").strip()
    own = good(a, "id").strip()
    fails(a, 4, "", "peer", "show", NOBODY[-8:])
    fails(a, 2, "", "peer", "show")
    fails(a, 2, "", "peer", "shwo", "bob")
    fails(a, 6, "name", "peer", "name", "bob", "two words")
    fails(a, 4, "", "ping", "nobody-knows")
    fails(a, 2, "", "ping", "bob", "-c", "none")
    fails(a, 10, "", "ping", NOBODY, "-c", "1", "--timeout", "2s")
    fails(a, 4, "", "disconnect", NOBODY)
    fails(a, 6, "", "connect", "/ip4/127.0.0.1/udp/1")
    fails(a, 6, "", "connect", "/ip4/127.0.0.1")
    fails(a, 6, "itself", "connect", good(a, "id", "--addrs").split()[0])
    port = free_port()
    fails(a, 1, "refused", "connect", f"/ip4/127.0.0.1/tcp/{port}/p2p/{NOBODY}")
    wrong = address.rsplit("/", 1)[0] + "/" + NOBODY
    fails(a, 7, peer, "connect", wrong)
    bare = address.split("/p2p/")[0]
    r = run(a, "connect", bare, stdin=subprocess.DEVNULL)
    assert r.returncode == 2 and address in r.stdout + r.stderr, r
    fails(a, 6, "/p2p/", "bootstrap", "add", bare)
    good(a, "bootstrap", "add", address)
    assert peer in good(a, "bootstrap", "list")
    good(a, "bootstrap", "remove", address)
    fails(a, 4, "", "bootstrap", "remove", address)
    fails(a, 2, "", "log", "level", "loud")
    fails(a, 2, "", "log", "level", "tls=debug")
    for ending in (peer[-6:], peer[-10:], "bob", address):
        assert json.loads(good(a, "peer", "show", ending, "--json"))["peer_id"] == peer
    fails(a, 4, "", "peer", "show", peer[-5:])
    assert "connected" in good(a, "explain", "bob")
    fails(a, 6, "itself", "send", own, "x")
    for bad in ([], ["bob", "x", "--expires", "91d"], ["bob", "x", "--expires", "soon"], ["bob", "x", "--reply-to", "zz"],
                ["bob", "-f", WORK], ["bob", "-f", WORK + "/missing"], ["bob", "x", "-s", "s" * 300], ["nobody-knows", "x"]):
        r = run(a, "send", *bad)
        assert r.returncode in (1, 2, 4, 6) and r.stderr.startswith("silktalk"), (bad, r)
    assert json.loads(good(a, "outbox", "--json"))["items"] == []
    print("peers, connect, ping, explain, bootstrap, log level, send: each refusal has its code and a sentence")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def on_terminal(args, env=None, stop=None):
    """The command with a terminal as its stderr: exit status, what it drew, its stdout. stop: sends SIGINT when this is drawn."""
    main, side = pty.openpty()
    p = subprocess.Popen(args, stdin=side, stdout=subprocess.PIPE, stderr=side, env=os.environ | (env or {}), start_new_session=True)
    os.close(side)
    drawn, end = b"", time.monotonic() + 90
    while time.monotonic() < end:
        if main in select.select([main], [], [], 0.05)[0]:
            try:
                data = os.read(main, 65536)
            except OSError:
                break
            if not data:
                break
            drawn += data
            if stop is not None and stop in drawn:
                p.send_signal(signal.SIGINT)
                stop = None
        elif p.poll() is not None:
            break
    out = p.stdout.read()
    status = p.wait(30)
    os.close(main)
    return status, drawn.decode(errors="replace"), out.decode()


def terminal(a, b):
    large = WORK + "/large"
    with open(large, "wb") as f:
        for i in range(48):
            f.write(os.urandom(1 << 20))
    good(b, "config", "set", "files.from", "any")
    good(a, "config", "set", "network.maxUpload", "8MiB")
    command = [SILKTALK, "send", "bob", "-f", large, "--wait=120s", "--home", a]
    status, drawn, _ = on_terminal(command)
    assert status == 0 and "/s" in drawn and "left" in drawn and "%" in drawn, (status, drawn[-600:])
    assert "\x1b[3" not in on_terminal([SILKTALK, "status", "--home", a], {"NO_COLOR": "1"})[1]
    r = subprocess.run(command[:4] + [large, "--wait=1ms", "--home", a], capture_output=True, text=True, check=False)
    assert r.returncode == 8 and "\r" not in r.stderr and "\x1b" not in r.stderr, r
    items = lambda home: json.loads(good(home, "file", "list", "--json"))["items"]
    eventually("the second one arrives too", lambda: sum(i["state"] == "complete" for i in items(b)) == 2, 60)
    # Ctrl-C while it is on its way: it stays queued, and arrives.
    status, drawn, _ = on_terminal(command, stop=b"%")
    assert status not in (0, 1), (status, drawn[-400:])
    good(a, "config", "set", "network.maxUpload", "0")
    eventually("what was interrupted is nothing or all", lambda: all(i["state"] in ("complete", "failed") for i in items(a)), 60)
    r = subprocess.Popen([SILKTALK, "send", NOBODY, "for later", "--wait=60s", "--home", a], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    queued = lambda: [i for i in json.loads(good(a, "outbox", "--json"))["items"] if i["state"] == "queued"]
    eventually("it is in the outbox", lambda: len(queued()) == 1)
    r.send_signal(signal.SIGINT)
    assert r.wait(10) != 0 and len(queued()) == 1
    good(a, "outbox", "cancel", "--yes", queued()[0]["id"])
    os.unlink(large)
    print("terminal: progress with rate and time left, none elsewhere; Ctrl-C loses nothing that was accepted")


def control_clients(a):
    path = a + "/control.sock"

    def client():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(20)
        s.connect(path)
        return s

    def prompt():
        began = time.monotonic()
        good(a, "version", "--json")
        good(a, "id")
        assert time.monotonic() - began < 5
    half = [client() for _ in range(20)]
    for i, s in enumerate(half):
        s.sendall(b'{"v":1,"id":%d,"method":"sta' % i)
    prompt()
    slow = client()
    for c in b'{"id":1,"method":"version"}':
        slow.sendall(bytes([c]))
        time.sleep(0.005)
    slow.sendall(b"\n")
    assert json.loads(slow.makefile().readline())["id"] == 1
    large = client()
    body = "x" * (1 << 20)
    large.sendall(json.dumps({"id": 2, "method": "send", "params": {"peer": NOBODY, "body": body[:1000], "pad": body}}).encode() + b"\n")
    assert json.loads(large.makefile().readline())["id"] == 2
    endless = client()
    try:
        for _ in range(20):
            endless.sendall(b"y" * (1 << 20))
        answer = endless.recv(4096)
    except OSError:
        answer = b""
    assert answer == b"" or b'"error"' in answer, answer[:200]
    garbage = client()
    garbage.sendall(os.urandom(4096).replace(b"\n", b"z") + b"\n")
    assert b'"usage"' in garbage.recv(4096)
    deaf = client()
    deaf.setblocking(False)
    try:
        for i in range(20000):
            deaf.send(b'{"id":1,"method":"config.list"}\n')
    except BlockingIOError:
        pass
    prompt()
    many = []
    try:
        for _ in range(100):
            many.append(client())
            many[-1].sendall(b'{"id":1,"method":"id"}\n')
    except OSError:
        pass  # a limit; who is in is served
    served = 0
    for s in many:
        try:
            served += b"peer_id" in s.recv(65536)
        except OSError:
            pass
    assert served >= 8, served
    for s in half + many + [slow, large, endless, garbage, deaf]:
        s.close()
    eventually("all is as before", lambda: run(a, "status").returncode == 0)
    for i in json.loads(good(a, "outbox", "--json"))["items"]:
        good(a, "outbox", "cancel", "--yes", i["id"])
    print(f"control socket: half, slow, large, endless, garbage, deaf clients disturb nobody; {served} of 100 at once served")


def other_user():
    if os.getuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    home = WORK + "/user"
    os.mkdir(home)
    os.chmod(WORK, 0o711)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    mine = WORK + "/silktalk"
    shutil.copy(SILKTALK, mine)

    def user(*args):
        return subprocess.run([mine, *args], capture_output=True, text=True, check=False, timeout=60, cwd="/",
                              env={"HOME": home, "PATH": os.environ["PATH"]}, user=nobody.pw_uid, group=nobody.pw_gid,
                              extra_groups=[])
    r = user("config", "init")
    assert r.returncode == 0 and os.path.exists(home + "/.silktalk/config.ini"), r
    assert os.stat(home + "/.silktalk/identity.key").st_mode & 0o777 == 0o600
    assert user("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0").returncode == 0
    assert user("start", "-q").returncode == 0
    status = json.loads(user("status", "--json").stdout)
    assert status["node"]["home"] == home + "/.silktalk", status["node"]
    assert user("send", NOBODY, "mine").returncode == 0 and len(json.loads(user("outbox", "--json").stdout)["items"]) == 1
    # Somebody else's node is not theirs.
    other = new_home("private")
    good(other, "start", "-q")
    r = user("status", "--home", other)
    assert r.returncode in (3, 5) and r.returncode != 0 and "ermission" in r.stderr, r
    r = user("config", "set", "node.name", "x", "--home", other)
    assert r.returncode in (5, 6) and "ermission" in r.stderr, r
    good(other, "stop", "-q")
    assert user("stop", "-q").returncode == 0
    print("a plain user has ~/.silktalk, and no way into another's node")


def bad_files():
    home = new_home("files")
    key = home + "/identity.key"
    os.chmod(key, 0o644)
    r = run(home, "daemon")
    assert r.returncode in (5, 6) and "chmod 600" in r.stderr, r
    os.chmod(key, 0o600)
    with open(key, "rb") as f:
        whole = f.read()
    for content in (b"", whole[:10], b"\x08\x02\x12\x03abc", b"garbage " * 10):
        with open(key, "wb") as f:
            f.write(content)
        r = run(home, "daemon")
        assert r.returncode == 6 and "identity.key" in r.stderr, r
        with open(key, "rb") as f:
            assert f.read() == content  # nothing is "repaired"
    with open(key, "wb") as f:
        f.write(whole)
    os.rename(key, key + ".x")
    os.mkdir(key)
    assert run(home, "daemon").returncode in (1, 5, 6)
    os.rmdir(key)
    os.rename(key + ".x", key)
    with open(home + "/config.json", "w", encoding="ascii") as f:
        f.write("{}")
    good(home, "start", "-q")
    eventually("the old file is named", lambda: any(
        "Old installation found" in line and "config.json" in line
        for root, _, names in os.walk(home + "/log") for name in names for line in open(os.path.join(root, name), encoding="utf-8")))
    good(home, "stop", "-q")
    busy = socket.socket()
    busy.bind(("127.0.0.1", 0))
    busy.listen()
    good(home, "config", "set", "network.listen", f"/ip4/127.0.0.1/tcp/{busy.getsockname()[1]}")
    r = run(home, "daemon")
    assert r.returncode != 0 and "network.listen" in r.stderr, r
    busy.close()
    print("identity of a wrong mode or form, an old config.json, a port in use: named, with what to do; nothing is changed")


def closed_streams():
    """With a standard stream closed, no socket or file comes into its place: it is as if it were /dev/null."""
    home = new_home("closed")
    d = subprocess.Popen(["sh", "-c", f"exec {SILKTALK} daemon --home {home} <&- >&- 2>&-"])
    eventually("it answers", lambda: run(home, "status").returncode == 0)
    pid = json.loads(good(home, "status", "--json"))["node"]["pid"]
    at = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)]
    assert at == ["/dev/null"] * 3, at
    for streams in (">&-", "<&- >&-", "<&- >&- 2>&-"):  # its answer would go to the node, which would hang up
        for verb in ("check daily", "send " + NOBODY + " x", "status"):
            r = subprocess.run(f"{SILKTALK} {verb} --home {home} {streams}", shell=True, capture_output=True, text=True, check=False)
            assert r.returncode in ((0, 1, 2) if verb == "check daily" else (0,)) and r.stderr == "", (verb, streams, r)
    good(home, "stop")
    assert d.wait(30) == 0


def stopped():
    """A node that is stopped (SIGSTOP): what waits for it says so in time, and what is on disk is told apart."""
    home = new_home("stopped")
    good(home, "start")
    pid = json.loads(good(home, "status", "--json"))["node"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        fails(home, 10, "is stopped", "events", "--timeout", "2s")
        r = fails(home, 10, "is stopped", "config", "set", "logging.level", "warn", "--timeout", "2s")
        assert "logging.level is in the file" in r.stderr, r
        assert good(home, "config", "get", "logging.level") == "warn\n"
    finally:
        os.kill(pid, signal.SIGCONT)
    good(home, "stop")


def no_time_at_all():
    """A variable that was not set must not make a token that lives for ever, nor delete all."""
    home = new_home("times")
    good(home, "start")
    for args in (("token", "create", "x"), ("maintenance", "on"), ("log", "level", "net=debug")):
        for no in ("0s", "0", "", "-5m", "x"):
            fails(home, 2, "--for: ", *args, "--for", no)
    fails(home, 2, "--older: ", "inbox", "delete", "--older", "", "--yes")
    assert json.loads(good(home, "token", "list", "--json"))["items"] == []
    assert json.loads(good(home, "maintenance", "status", "--json"))["maintenance"] is None
    good(home, "stop")


def main():
    closed_streams()
    no_time_at_all()
    stopped()
    node_down()
    lifecycle()
    config_files()
    bad_files()
    other_user()
    a, b, address = pair()
    try:
        peers(a, b, address)
        control_clients(a)
        terminal(a, b)
    finally:
        for home in (a, b):
            run(home, "stop", "-q")
        shutil.rmtree(WORK, ignore_errors=True)


main()
