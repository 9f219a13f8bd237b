"""Each check's real fault, found by that check alone; the node dead and stopped; the Nagios line."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

from common import BUSY, WORK, Daemon, answer, bad, eventually, good, health, new_home, run

TWIN = os.path.join(os.environ.get("BUILD", "build"), "abuse", "silktalk")
STRANGER = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
CHECKS = ("node cpu memory disk connections latency errors outbox peers database backup identity certificate files clock "
          "audit logs limits alerts").split()  # the fault of alerts: tests/alerts/node.py


def only(home, name, status, level, what):
    eventually(f"{what}: {name} is {status}, alone: {bad(home)}", lambda: bad(home) == {name: (status, level)})
    verdict, code = health(home)
    if not BUSY & {c["name"] for c in verdict["checks"] if c["status"] != "ok"}:
        assert verdict["status"] == ("unhealthy" if status == "critical" else "degraded"), verdict
        assert code == {"warning": 1, "critical": 2, "unknown": 3}[status], code
    one = run(home, "health", "-c", name)
    assert one.returncode == {"warning": 1, "critical": 2}[status] and f" {status.upper()} - {name} " in one.stdout, one
    print(f"ok {what}: {one.stdout.split('|')[0].strip()}")


def well(home, what):
    eventually(f"{what}: all is well: {bad(home)}", lambda: bad(home) == {})


def set_keys(home, **keys):
    for key, value in keys.items():
        key = key.replace("_", ".", 1)
        good(home, *(["config", "unset", key] if value is None else ["config", "set", key, value]))


def the_line(home):
    r = run(home, "health", "-v")
    line, *rest = r.stdout.splitlines()
    m = re.fullmatch(r"SILKTALK (OK|WARNING|CRITICAL|UNKNOWN) - ([^|]+) \|((?: [a-z]+=(?:U|[-\d.]+(?:%|s|));[\d.:]*;[\d.:]*;0(?:;100)?)+)", line)
    assert m, line
    names = [p.split("=")[0] for p in m[3].split()]
    assert names == [c for c in CHECKS if c not in ("database", "identity", "files", "audit", "logs")], names
    assert [x.split()[0] for x in rest[:len(CHECKS)]] == CHECKS, rest
    assert " cpu=" in line and ";70;90;0;100" in line and re.search(r" latency=(U|[\d.e-]+s);0\.5;1;0( |$)", line), line
    assert run(home, "health", "-c", "nothing").returncode == 3 and run(home, "health", "--nothing").returncode == 3
    assert run(home, "health", "-c", "backup").returncode == 3  # who asks for it by name is told
    for part in ("delivery D",):
        assert part in run(home, "health", "-c", "backup").stdout


def dead_and_stopped():
    home = new_home("dead")
    r = run(home, "health")
    assert r.returncode == 2 and r.stdout.startswith("SILKTALK CRITICAL - node is not running |"), r
    d = Daemon(home)
    d.p.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    r = run(home, "health")
    took = time.monotonic() - began
    assert r.returncode == 2 and "node is stopped" in r.stdout and took < 3, (r, took)
    checks = {c["name"]: c for c in health(home)[0]["checks"]}
    assert checks["node"]["level"] == "P0" and checks["disk"]["status"] != "unknown", checks["disk"]
    d.p.send_signal(signal.SIGCONT)
    well(home, "after it goes on")
    d.end(signal.SIGKILL)
    assert bad(home) == {"node": ("critical", "P0")}, bad(home)
    os.rename(home + "/identity.key", home + "/aside")
    assert set(bad(home)) == {"node", "identity"}, bad(home)
    os.rename(home + "/aside", home + "/identity.key")
    with open(home + "/data/silktalk.db", "r+b") as f:
        f.write(b"no database")
    assert set(bad(home)) == {"node", "database"}, bad(home)
    print("ok dead, stopped, and its files")


def faults_of_files(home):
    key = home + "/identity.key"
    os.chmod(key, 0o644)
    only(home, "files", "critical", "P1", "an identity that others may read")
    with open(home + "/log/silktalk.log", encoding="utf-8") as f:
        assert "ERROR node: Identity permissions" in f.read()
    os.chmod(key, 0o600)
    well(home, "mode of the identity")
    os.rename(key, key + ".aside")
    only(home, "identity", "critical", "P1", "the identity is gone")
    os.rename(key + ".aside", key)
    well(home, "identity")
    with open(home + "/swarm.key", "w", encoding="utf-8") as f:
        f.write("x")
    os.chmod(home + "/swarm.key", 0o644)
    only(home, "files", "warning", "P2", "a secret that others may read")
    os.unlink(home + "/swarm.key")
    well(home, "mode of a secret")
    db = home + "/data/silktalk.db"
    os.rename(db, db + ".aside")
    only(home, "database", "critical", "P1", "the database is gone")
    os.rename(db + ".aside", db)
    well(home, "database")


def faults_of_logs(home):
    """The log file is removed, and then replaced, under the node."""
    path = home + "/log/silktalk.log"
    for what, replace in (("removed", False), ("replaced", True)):
        os.unlink(path)
        if replace:
            with open(path, "w", encoding="utf-8") as f:
                f.write("another\n")
        only(home, "logs", "warning", "P2", f"a log file that was {what}")
        good(home, "reload")
        well(home, f"the log file was {what}")
    os.rename(path, path + ".1")  # as logrotate does it
    good(home, "reload")
    time.sleep(1)
    well(home, "a log that was turned from outside")


def quick(home, *methods):
    """Requests over one connection to the control socket, each after the answer to the last."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(home + "/control.sock")
        answers = s.makefile()
        for method, params in methods:
            s.sendall(json.dumps({"v": 1, "id": 1, "method": method, "params": params}).encode() + b"\n")
            assert "result" in json.loads(answers.readline()), method


def fault_of_log_server(home):
    """A server that takes the connection and never reads; then nobody is there, by TCP and by UDP."""
    fix = lambda: next(c["fix"] for c in health(home)[0]["checks"] if c["name"] == "logs")
    with open(home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("\n[limits]\nlog_remote = 65536\n")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind(("127.0.0.1", 0))
        s.listen()
        set_keys(home, logging_remote=f"tcp://127.0.0.1:{s.getsockname()[1]}")
        c, _ = s.accept()
        well(home, "a log server that is there")

        def flooded():  # of one event a hundred lines are written in 10 s
            quick(home, *[("log.level", {"level": "debug"}), ("reload", {}), ("log.level", {"level": "debug"})] * 40)
            return bad(home)
        eventually("a log server that does not read", lambda: flooded() != {}, 180)
        only(home, "logs", "warning", "P2", "a log server that does not read")
        assert "server did not take " in run(home, "health", "-c", "logs").stdout and "logging.remote" in fix()
        assert re.search(r"^silktalk_log_dropped_total [1-9]", metrics(home), re.M)
        set_keys(home, logging_remote=None)
        c.close()
    well(home, "no log server any more")
    for kind in ("tcp", "udp"):
        with socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            if kind == "udp":
                s.close()  # bound by TCP, it is nobody's as long as nobody listens
            set_keys(home, logging_remote=f"{kind}://127.0.0.1:{port}")
            eventually("it is known", lambda: "server unreachable: 127.0.0.1:" in run(home, "health", "-c", "logs").stdout)
            only(home, "logs", "warning", "P2", f"a log server that is not there ({kind})")
            assert "logging.remote" in fix(), fix()
            set_keys(home, logging_remote=None)
            well(home, "no log server any more")


def metrics(home):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(home + "/control.sock")
        s.sendall(b'{"v":1,"id":1,"method":"metrics","params":{}}\n')
        return json.dumps(json.loads(s.makefile().readline())).replace("\\n", "\n")


def thresholds(home):
    set_keys(home, health_memoryNormal="0", health_memoryWarning="0")
    only(home, "memory", "warning", "P2", "memory over its threshold")
    set_keys(home, health_memoryWarning=None, health_memoryNormal=None)
    set_keys(home, health_diskNormal="0", health_diskWarning="0", health_diskCritical="0.001")
    only(home, "disk", "critical", "P1", "a disk over its threshold")
    with open(home + "/log/silktalk.log", encoding="utf-8") as f:
        assert "WARN store: Disk space low" in f.read()
    set_keys(home, health_diskCritical=None, health_diskWarning=None, health_diskNormal=None)
    well(home, "thresholds")


def full_disk(home):
    folder = WORK + "/small"
    os.mkdir(folder)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False).returncode:
        print("no small disk can be mounted: left out")
        return
    home = new_home("small-home", files_receiveDir=folder)
    d = Daemon(home)
    try:
        well(home, "an empty disk")
        with open(folder + "/x", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass  # that is what is wanted
        only(home, "disk", "critical", "P1", "a full disk")
        os.unlink(folder + "/x")
        well(home, "a disk that is empty again")
    finally:
        d.end()
        subprocess.run(["umount", folder], check=False)


def peers_and_messages(home, a, b_home, b):
    good(home, "connect", b.address, "--yes")
    good(b_home, "connect", a.address, "--yes")
    well(home, "connected")
    set_keys(home, health_connectionsNormal="0", health_connectionsWarning="1")
    only(home, "connections", "warning", "P2", "connections over their threshold")
    set_keys(home, health_connectionsWarning=None, health_connectionsNormal=None)
    set_keys(home, health_minSamples="3")
    b.p.send_signal(signal.SIGSTOP)
    for i in range(3):
        good(home, "send", b.id, f"slow {i}")
    time.sleep(1.2)  # this is the fault
    b.p.send_signal(signal.SIGCONT)
    only(home, "latency", "critical", "P1", "a peer that is slow to answer")
    set_keys(home, health_minSamples="1000", health_outboxAgeWarning="1s")
    good(home, "send", STRANGER, "never")
    only(home, "outbox", "warning", "P2", "a message that nobody takes")
    set_keys(home, health_outboxAgeWarning=None, messages_outboxMax="1")
    assert run(home, "send", STRANGER, "too many").returncode == 9
    only(home, "limits", "warning", "P2", "a limit that was hit")
    for o in answer(home, "outbox")["items"]:
        good(home, "outbox", "cancel", o["id"], "--yes")


def refused(name):
    """Messages that the other side refuses; then it goes away."""
    home, b_home = new_home(name, health_minSamples="3"), new_home(name + "-b", messages_from="allowed")
    a, b = Daemon(home), Daemon(b_home)
    good(home, "connect", b.address, "--yes")
    for i in range(3):
        good(home, "send", b.id, f"refused {i}")
    only(home, "errors", "critical", "P1", "messages that are refused")
    set_keys(home, health_minSamples="1000")
    well(home, "too few samples")
    b.end()
    only(home, "peers", "critical", "P1", "the only peer is gone")
    a.end()


def certificates():
    for days, status, level in ((1, "critical", "P1"), (10, "warning", "P2"), (400, "", "")):
        home = new_home(f"certificate{days}")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        str(days), "-subj", "/CN=test", "-keyout", home + "/tls.key", "-out", home + "/tls.pem"],
                       check=True, capture_output=True)
        os.chmod(home + "/tls.key", 0o600)
        with open(home + "/config.ini", "a", encoding="utf-8") as f:  # both at once: they go together
            f.write(f"\n[http]\ntlsCert = {home}/tls.pem\ntlsKeyFile = {home}/tls.key\n")
        d = Daemon(home)
        if status:
            only(home, "certificate", status, level, f"a certificate of {days} days")
            with open(home + "/log/silktalk.log", encoding="utf-8") as f:
                assert "WARN node: Certificate expires" in f.read()
        else:
            well(home, "a good certificate")
            the_line(home)
            subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", home + "/tls.key"],
                           check=True, capture_output=True)
            os.chmod(home + "/tls.key", 0o600)
            only(home, "certificate", "critical", "P1", "a key that does not fit")
        d.end()


def clocks():
    """A peer whose clock is 7 s behind: the twin of the executable with a clock that the test sets."""
    if not os.path.exists(TWIN):
        print("there is no twin with a clock of its own: left out")
        return
    home, b_home, clock = new_home("clock", health_minSamples="1000"), new_home("clock-b", messages_from="any"), WORK + "/clock.ms"
    with open(clock, "wb") as f:
        f.write(struct.pack("<qq", -7000, 0))
    a, b = Daemon(home), Daemon(b_home, TWIN, ABUSE_CLOCK=clock)
    try:
        good(home, "connect", b.address, "--yes")
        good(home, "send", b.id, "what time is it", "--wait")
        only(home, "clock", "warning", "P2", "a clock that is 7 s ahead of a peer's")
        with open(home + "/log/silktalk.log", encoding="utf-8") as f:
            assert "WARN node: Clock offset offset=7s" in f.read()
        assert "7s ahead of that of 1 peer" in run(home, "netcheck").stdout
        with open(clock, "r+b") as f:
            f.write(struct.pack("<qq", 0, 0))
        good(home, "send", b.id, "and now", "--wait")
        well(home, "the clocks agree again")
    finally:
        a.end()
        b.end()


def wrong_clock():
    """Our own clock is 70 s fast. Real time belongs to the whole host: a time namespace moves only the clocks that run
    from boot, and settimeofday would move it for all that runs here. So the node is the twin, whose system calls are
    answered with the wrong time. One or two peers that disagree may themselves be wrong (P2); three are believed (P1)."""
    if not os.path.exists(TWIN):
        return
    home, clock = new_home("fast", health_minSamples="1000"), WORK + "/fast.ms"
    with open(clock, "wb") as f:
        f.write(struct.pack("<qq", 70000, 0))
    a, peers = Daemon(home, TWIN, ABUSE_CLOCK=clock), []
    try:
        for i, (status, level) in enumerate((("warning", "P2"), ("warning", "P2"), ("critical", "P1"))):
            peers.append(Daemon(new_home(f"fast-{i}", messages_from="any")))
            good(home, "connect", peers[-1].address, "--yes")
            good(home, "send", peers[-1].id, "what time is it", "--wait")
            told = f"1m10s ahead of that of {i + 1} peer"
            eventually(told, lambda told=told: told in run(home, "health", "-c", "clock").stdout)
            only(home, "clock", status, level, f"a clock that is 70 s ahead of those of {i + 1}")
        with open(home + "/log/silktalk.log", encoding="utf-8") as f:
            assert "WARN node: Clock offset offset=70s" in f.read()
        with open(clock, "r+b") as f:
            f.write(struct.pack("<qq", 0, 0))  # set back, as by hand, while the node runs
        for p in peers:
            good(home, "send", p.id, "and now", "--wait")
        well(home, "the clock was set right")
    finally:
        for d in [a, *peers]:
            d.end()


def processor(home):
    BUSY.clear()
    set_keys(home, health_cpuNormal="0", health_cpuWarning="0", health_cpuCritical="100")
    eventually("cpu over its threshold", lambda: bad(home).get("cpu", ("", ""))[0] in ("warning", "critical"), 120)
    assert set(bad(home)) == {"cpu"}, bad(home)


def main():
    home, b_home = new_home("a"), new_home("b")
    daemons = []
    try:
        dead_and_stopped()
        a = Daemon(home)
        daemons.append(a)
        well(home, "a fresh node")
        verdict, code = health(home)
        assert [c["name"] for c in verdict["checks"]] == CHECKS and verdict["peer_id"] == a.id, verdict
        the_line(home)
        b = Daemon(b_home)
        daemons.append(b)
        peers_and_messages(home, a, b_home, b)
        refused("refused")
        if shutil.which("openssl"):
            certificates()
        clocks()
        wrong_clock()
        full_disk(home)
        processor(b_home)
        BUSY.add("cpu")
        c_home = new_home("c")
        daemons.append(Daemon(c_home))
        thresholds(c_home)
        faults_of_files(c_home)
        faults_of_logs(c_home)
        fault_of_log_server(c_home)
    finally:
        for d in daemons:
            d.end()


main()
