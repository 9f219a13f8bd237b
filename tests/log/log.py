"""Log files, log servers and `silktalk log`, with the real logrotate, rsyslogd, zcat, grep and journalctl."""
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "health"))
from common import SILKTALK, WORK, eventually  # noqa: E402

os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ.pop("JOURNAL_STREAM", None)
daemons = []


def run(home, *args, code=0, env=None):
    r = subprocess.run([SILKTALK, args[0], "--home", home, *args[1:]], capture_output=True, check=False,
                       env=os.environ | (env or {}), timeout=120)
    out, err = r.stdout.decode(), r.stderr.decode()
    assert r.returncode == code, (args, r.returncode, out, err)
    return out if code == 0 else err


def new_home(name, **keys):
    home = f"{WORK}/{name}"
    run(home, "config", "init")
    for key, value in ({"network.listen": "/ip4/127.0.0.1/tcp/0", "http.listen": "off", "messages.from": "any"} | keys).items():
        run(home, "config", "set", key, value)
    return home


def daemon(home, stderr=subprocess.DEVNULL, env=None):
    p = subprocess.Popen([SILKTALK, "daemon", "--home", home], stderr=stderr, env=os.environ | (env or {}))
    daemons.append(p)
    eventually("it answers", lambda: subprocess.run([SILKTALK, "status", "--home", home], capture_output=True,
                                                    check=False).returncode == 0)
    return p


def stop(p):
    p.terminate()
    assert p.wait(30) == 0


def log_of(home):
    return home + "/log/silktalk.log"


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def shell(command, **more):
    r = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60, **more)
    return r.stdout


def find(name, *places):
    return shutil.which(name) or next((p + "/" + name for p in places if os.path.exists(p + "/" + name)), None)


def chatter(home, n=30):
    """Lines of INFO: each change of the level logs one."""
    for _ in range(n):
        run(home, "log", "level", "info")


# ---- the file

def check_signals():
    home = new_home("signals")
    p = daemon(home)
    log, n = log_of(home), 0
    assert os.stat(log).st_mode & 0o7777 == 0o640 and os.stat(home + "/log").st_mode & 0o7777 == 0o750
    for how in (lambda: p.send_signal(signal.SIGHUP), lambda: p.send_signal(signal.SIGUSR2), lambda: run(home, "reload")):
        n += 1
        os.rename(log, f"{log}.moved{n}")
        how()
        eventually("a new file", lambda: os.path.exists(log) and "Log reopened" in text_of(log))
    with open(home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("[nonsense]\nx = 1\n")
    os.rename(log, log + ".moved4")
    run(home, "reload", code=6)
    assert os.path.exists(log) and "Log reopened" in text_of(log) and "Reload rejected" in text_of(log)
    stop(p)
    print("moved away, then HUP, USR2, reload, a reload that is refused: each opens a new file at once")


def check_external():
    """The manual's logrotate file as operations.md adapts it, by the real logrotate."""
    home = new_home("external", **{"logging.rotation": "external", "logging.maxSize": "64KiB"})
    p = daemon(home)
    log, uid = log_of(home), os.getuid()
    user = shell(f"id -un {uid}").strip()
    group = shell("id -gn").strip()
    with open(WORK + "/logrotate.conf", "w", encoding="utf-8") as f:
        f.write(f"""{home}/log/*.log {{
    su {user} {group}
    daily
    rotate 30
    compress
    delaycompress
    missingok
    notifempty
    create 0640 {user} {group}
    sharedscripts
    postrotate
        {SILKTALK} reload --home {home}
    endscript
}}
""")
    os.chmod(WORK + "/logrotate.conf", 0o644)
    ids = set()
    for _ in range(3):
        chatter(home, 5)
        ids |= set(re.findall(r"^(\S+) INFO node: Log level", text_of(log), re.M))
        r = subprocess.run(["logrotate", "-f", "-s", WORK + "/logrotate.state", WORK + "/logrotate.conf"],
                           capture_output=True, text=True, check=False, timeout=60)
        assert r.returncode == 0, r
        assert "Log reopened" in text_of(log), "the file that logrotate made is written to when it ends"
        assert os.stat(log).st_mode & 0o7777 == 0o640
    names = sorted(os.path.basename(x) for x in glob.glob(log + "*"))
    assert names == ["silktalk.log", "silktalk.log.1", "silktalk.log.2.gz", "silktalk.log.3.gz"], names
    everything = shell(f"zcat -f {log}*")
    for i in ids:
        assert i in everything, "a line is lost"
    shown = run(home, "log", "--since", "1h", "--event", "Log level")
    assert len(shown.splitlines()) == 15, shown
    assert len(run(home, "log", "-n", "12", "--event", "Log level").splitlines()) == 12, "over the file's beginning"
    stop(p)
    print("logrotate with the manual's file: no line lost, `log` reads on in what it made")


def check_builtin():
    home = new_home("builtin", **{"logging.maxSize": "64KiB"})
    log = log_of(home)
    os.makedirs(home + "/log", exist_ok=True)
    line = "2026-02-%02dT10:15:30.123Z INFO net: Peer connected peer=12D3KooWold addr=/ip4/10.0.0.1/tcp/1 n=%d\n"
    with open(log, "w", encoding="utf-8") as f:
        f.writelines(line % (20, i) for i in range(600))
    then = time.time() - 2 * 86400
    os.utime(log, (then, then))
    with open(log + ".20260101-000000", "w", encoding="utf-8") as f:
        f.write("too old\n")
    p = daemon(home)
    day = time.strftime("%Y%m%d", time.gmtime(then))
    eventually("it is turned at the start", lambda: glob.glob(f"{log}.{day}-??????"))
    eventually("what is too old is gone", lambda: not os.path.exists(log + ".20260101-000000"))
    stop(p)
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    with open(log, "a", encoding="utf-8") as f:  # nearly full: the first lines of the next start turn it
        f.write(f"{now} INFO node: State part={'x' * 130}\n" * ((65536 - os.path.getsize(log)) // 170 - 2))
    follower = subprocess.Popen([SILKTALK, "log", "--home", home, "-f", "-n", "1"], stdout=subprocess.PIPE)
    seen = follower.stdout.readline()
    p = daemon(home)
    eventually("it is turned by its size", lambda: len(glob.glob(log + ".*")) == 2)
    os.rename(log, log + ".20990101-000000")  # by hand, as an archive of tomorrow's
    run(home, "reload")
    run(home, "config", "set", "logging.format", "json")
    run(home, "log", "level", "info")
    run(home, "config", "set", "logging.format", "text")
    stop(p)
    while b"Node stopped" not in seen:
        line = follower.stdout.readline()
        assert line, seen
        seen += line
    follower.kill()
    follower.wait()
    for text, n in (("Node ready", 1), ("Log reopened", 3), ("Log level part=all priority=6", 1), ("Node stopped", 1)):
        assert seen.count(text.encode()) == n, (text, seen.decode())
    assert all(re.match(r"\S+Z [A-Z]+ \w+: ", x) for x in seen.decode().splitlines()), seen.decode()
    plain = shell(f"zcat -f {log}*")
    assert plain.count("12D3KooWold") == 600
    shown = run(home, "log", "--since", "2026-02-01")
    assert shown.count("12D3KooWold") == 600 and "Node stopped" in shown
    assert len(shown.splitlines()) == len(plain.splitlines())
    items = [json.loads(x) for x in run(home, "log", "--since", "2026-02-01", "--json").splitlines()]
    assert len(items) == len(shown.splitlines()) and list(items[0])[:5] == ["schema", "time", "level", "component", "event"]
    assert items[0]["n"] == 0 and items[0]["peer"] == "12D3KooWold" and items[0]["schema"] == "silktalk.log/1"
    assert run(home, "log", "-n", "3").splitlines() == shown.splitlines()[-3:]
    print("built-in rotation: turned at the start, removed, followed; text and JSON lines are shown alike")


def check_compressed():
    home = new_home("compressed")
    log = log_of(home)
    os.makedirs(home + "/log", exist_ok=True)
    now = time.time()
    for days in (3, 2, 1):
        t = now - days * 86400
        name = log + time.strftime(".%Y%m%d-%H%M%S", time.gmtime(t))
        with open(name, "w", encoding="utf-8") as f:
            f.write(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".000Z WARN net: Failed handshake addr=x reason=day%d\n" % days)
        os.utime(name, (t, t))
    p = daemon(home)
    eventually("two are compressed, the newest is not",
               lambda: len(glob.glob(log + ".*.gz")) == 2 and len(glob.glob(log + ".*")) == 3)
    for name in glob.glob(log + ".*.gz"):
        assert "Failed handshake" in subprocess.run(["zcat", name], capture_output=True, text=True, check=True).stdout
        st = os.stat(name)
        assert st.st_mode & 0o777 == 0o644 and st.st_mtime < now - 86400, (name, st)
    assert re.findall("day(.)", run(home, "log", "--since", "7d", "--level", "warn")) == ["3", "2", "1"]
    assert re.findall("day(.)", run(home, "log", "--since", "50h", "--level", "warn")) == ["2", "1"]
    oldest = sorted(glob.glob(log + ".*.gz"))[0]
    with open(oldest, "r+b") as f:
        f.truncate(os.path.getsize(oldest) - 4)
    err = run(home, "log", "--since", "7d", code=8)
    assert "damaged" in err and oldest in err, err
    check = json.loads(subprocess.run([SILKTALK, "check", "weekly", "--home", home, "--json"], capture_output=True,
                                      check=False).stdout)
    w1 = [i for i in check["items"] if i["id"] == "W1"][0]
    assert w1["state"] == "warning" and "damaged" in json.dumps(w1), w1
    stop(p)
    print("archives: compressed a turn later, zcat reads them; a damaged one is found by `log` and by W1")


def check_killed():
    """kill -9 while archives are compressed: the next start goes on, and nothing is lost."""
    home = new_home("killed")
    log, now = log_of(home), time.time()
    os.makedirs(home + "/log", exist_ok=True)
    blob = "".join("2026-02-22T10:15:30.123Z INFO node: State part=%d%s\n" % (i, os.urandom(40).hex()) for i in range(60000))
    for days in (5, 4, 3):
        name = log + time.strftime(".%Y%m%d-%H%M%S", time.gmtime(now - days * 86400))
        with open(name, "w", encoding="utf-8") as f:
            f.write(blob)
        os.utime(name, (now - days * 86400,) * 2)
    parts = 0
    for i in range(6):
        p = subprocess.Popen([SILKTALK, "daemon", "--home", home], stderr=subprocess.DEVNULL)
        daemons.append(p)
        eventually("it compresses", lambda: glob.glob(log + ".*.part") or not [x for x in glob.glob(log + ".*")[:-1] if x.endswith("00")])
        time.sleep(0.02 * i)
        p.kill()
        p.wait()
        parts += len(glob.glob(log + ".*.part"))
        if len(glob.glob(log + ".*.gz")) == 2:
            break
    assert parts > 0, "it was never killed in between"
    p = daemon(home)
    eventually("all is done", lambda: len(glob.glob(log + ".*.gz")) == 2 and len(glob.glob(log + ".*")) == 3)
    stop(p)
    for name in glob.glob(log + ".*"):
        assert shell(f"zcat -f {name}") == blob, name
    print("kill -9 while archives are compressed: nothing lost, the next start goes on")


def check_full():
    disk = WORK + "/disk"
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], capture_output=True, check=False).returncode:
        print("a full disk: no small disk can be mounted here")
        return
    try:
        home = new_home("full", **{"logging.file": disk + "/log/node.log"})
        p = daemon(home)
        fd = os.open(disk + "/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(fd, b"x" * 4096):
                pass
        except OSError:
            pass
        os.close(fd)
        chatter(home, 60)  # a file's last block still takes some
        lost = eventually("lines are counted", lambda: dropped(home))
        assert json.loads(run(home, "status", "--json"))["node"]["pid"] == p.pid
        os.remove(disk + "/filler")
        run(home, "log", "level", "info")
        eventually("that they were lost is told", lambda: "Log lines lost count=" in text_of(disk + "/log/node.log"))
        for line in text_of(disk + "/log/node.log").splitlines():
            assert re.match(r"\S+Z (INFO|WARN) node: ", line) or not re.search("Z .*Z (INFO|WARN)", line), line
        stop(p)
        print(f"a full disk costs lines ({lost} counted), nothing else")
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def dropped(home):
    r = subprocess.run([SILKTALK, "status", "--home", home, "--json"], capture_output=True, check=False)
    assert r.returncode == 0
    s = socket.socket(socket.AF_UNIX)
    s.connect(home + "/control.sock")
    s.sendall(b'{"v":1,"id":1,"method":"metrics","params":{}}\n')
    answer = s.makefile().readline()
    s.close()
    m = re.search(r"silktalk_log_dropped_total (\d+)", answer)
    assert m, answer[:300]
    return int(m.group(1))


# ---- journald's side

def check_stderr():
    home = new_home("stderr")
    with open(WORK + "/stderr.txt", "w+b") as f:
        p = daemon(home, stderr=f, env={"JOURNAL_STREAM": "8:1"})
        run(home, "log", "level", "debug")
        run(home, "status")
        stop(p)
        f.seek(0)
        lines = f.read().decode().splitlines()
    want = {"<7>": "DEBUG", "<6>": "INFO", "<4>": "WARN", "<3>": "ERROR"}
    assert lines and {x[:3] for x in lines} >= {"<6>", "<7>"}
    for x in lines:
        assert x[3:].startswith(want[x[:3]] + " "), x
    plain = [x.partition(" ")[2] for x in text_of(log_of(home)).splitlines()]
    assert [x[3:] for x in lines] == plain, ("stderr and the file both get every line", lines, plain)
    with open(home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("[nonsense]\nx = 1\n")
    r = subprocess.run([SILKTALK, "daemon", "--home", home], capture_output=True, text=True, check=False,
                       env=os.environ | {"JOURNAL_STREAM": "8:1"}, timeout=60)
    assert r.returncode == 6 and "<2>ERROR node: Start refused reason=" in r.stderr, r.stderr
    assert "Start refused" in text_of(log_of(home)), "and where the operator looks"
    print("JOURNAL_STREAM: priorities, no time, the same lines as in the file")


class Journal:
    """A journal of the test's own, in files that systemd-journal-remote writes: journalctl reads these alone."""

    def __init__(self, name):
        self.folder, self.boot, self.n, self.remote = f"{WORK}/{name}", os.urandom(16).hex(), 0, None
        os.makedirs(self.folder + "/entries")
        os.makedirs(self.folder + "/bin")
        with open(self.folder + "/bin/journalctl", "w", encoding="utf-8") as f:  # the real one; it says with what it was started
            f.write(f'#!/bin/sh\necho "$$ $*" >>{self.folder}/started\nexec {shutil.which("journalctl")} -D {self.folder}/entries "$@"\n')
        os.chmod(self.folder + "/bin/journalctl", 0o755)
        open(self.folder + "/started", "w", encoding="utf-8").close()
        self.env = {"PATH": self.folder + "/bin:" + os.environ["PATH"]}

    def open(self, name):
        """From now on entries go to this file, as they are given."""
        self.end()
        self.remote = subprocess.Popen([REMOTE, "-o", f"{self.folder}/entries/{name}.journal", "-"], stdin=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)

    def put(self, priority, text, at=None, unit="_SYSTEMD_UNIT"):
        self.n += 1
        raw, us = text.encode(), int((at or time.time()) * 1e6)
        extra = f"_UID={os.getuid()}\n" if "USER" in unit else ""
        head = (f"__REALTIME_TIMESTAMP={us}\n__MONOTONIC_TIMESTAMP={1000 + self.n}\n_BOOT_ID={self.boot}\n"
                f"{unit}=silktalk.service\n{extra}PRIORITY={priority}\nMESSAGE\n")
        self.remote.stdin.write(head.encode() + len(raw).to_bytes(8, "little") + raw + b"\n\n")
        self.remote.stdin.flush()

    def end(self):
        if self.remote is not None:
            self.remote.stdin.close()
            assert self.remote.wait(30) == 0
            self.remote = None

    def readers(self):
        """The journalctls that `silktalk log` has started and that run."""
        alive = []
        for line in text_of(self.folder + "/started").splitlines():
            pid = int(line.split()[0])
            if os.path.exists(f"/proc/{pid}") and "Z" != text_of(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0]:
                alive.append(pid)
        return alive


REMOTE = find("systemd-journal-remote", "/usr/lib/systemd", "/lib/systemd")


def no_journal_here(what):
    if REMOTE and shutil.which("journalctl"):
        return False
    assert "CI" not in os.environ, "contrib/setup installs systemd-journal-remote"
    print(what + ": systemd-journal-remote is not here")
    return True


def check_journal():
    home = new_home("journal", **{"logging.file": "off"})
    err = run(home, "log", code=4, env={"PATH": WORK + "/nowhere"})
    assert "no journalctl" in err and len(err.strip().splitlines()) <= 2, err
    if no_journal_here("a journal"):
        return
    j = Journal("read")
    env = j.env
    for more in ((), ("-f",)):
        err = run(home, "log", *more, code=4, env=env)
        assert "no journal" in err or "no lines" in err, err
    now = time.time()
    lines = [(6, "INFO net: Peer connected peer=12D3KooWaaa addr=x direction=in path=direct"),
             (6, "INFO message: Message received peer=12D3KooWaaa id=1 bytes=5"),
             (4, "WARN net: Failed handshake addr=x peer=\\x1b[2J reason=y"),
             (3, "ERROR store: Database fault operation=x reason=y"),
             (6, '{"time":"' + time.strftime("%Y-%m-%dT%H:%M:%S.123Z", time.gmtime()) + '","level":"info","component":"net","event":"Peer connected","peer":"12D3KooWbbb"}'),
             (6, "raw \x1b[31m escape")]
    j.open("test")
    for unit in ("_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT"):
        for i, (priority, text) in enumerate(lines):
            j.put(priority, text, now - 600 + i, unit)
    j.end()
    out = run(home, "log", env=env)
    assert len(out.splitlines()) == 6, out
    assert re.match(r"\d{4}-\d\d-\d\dT[0-9:.]{12}Z INFO net: Peer connected peer=12D3KooWaaa ", out), out
    assert "\x1b" not in out and "raw \\x1b[31m escape" in out
    assert len(run(home, "log", "--level", "warn", env=env).splitlines()) == 2
    assert run(home, "log", "--level", "WARN", env=env) == run(home, "log", "--level", "warn", env=env), "as it stands in the log"
    assert len(run(home, "log", "--event", "peer connected", env=env).splitlines()) == 2
    assert len(run(home, "log", "-n", "2", env=env).splitlines()) == 2
    assert "Database fault" in run(home, "log", "-n", "1", "--level", "error", env=env)
    assert run(home, "log", "--since", "2h", "--peer", "KooWbbb", env=env).count("\n") == 1
    assert len([json.loads(x) for x in run(home, "log", "--json", env=env).splitlines()]) == 6
    # the manual's own commands (4.3, 8.3), on the same journal
    sh = lambda c: shell(c, env=os.environ | env | {"LC_ALL": "C"})
    assert len(sh("journalctl -u silktalk | grep ERROR").splitlines()) == 1
    assert sh('journalctl -u silktalk | grep "Peer connected" | wc -l').strip() == "2"
    assert re.match(r"\s+1 \w{3}\n", sh("journalctl -u silktalk | grep \"Message received\" | awk '{print $1}' | sort | uniq -c"))
    assert len(sh('journalctl -u silktalk | grep -i "error\\|warn"').splitlines()) == 2
    print("journal: `log` reads a real one by journalctl, the manual's greps fit it; none: one line, exit 4")


class Follower:
    """`silktalk log -f`, whose lines are taken one by one."""

    def __init__(self, home, *args, env):
        self.p = subprocess.Popen([SILKTALK, "log", "--home", home, "-f", *args], stdout=subprocess.PIPE, env=os.environ | env)
        daemons.append(self.p)
        self.rest = b""

    def lines(self, n, seconds=60):
        """The next n lines; fewer, when no more come in time."""
        got, end = [], time.monotonic() + seconds
        while len(got) < n:
            line, newline, after = self.rest.partition(b"\n")
            if newline:
                got.append(line.decode())
                self.rest = after
            elif not select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))[0]:
                break
            else:
                piece = os.read(self.p.stdout.fileno(), 65536)
                if not piece:
                    break
                self.rest += piece
        return got

    def end(self):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()


def check_journal_age():
    """W1: a journal of less than 7 days, on a host where the node has been for longer."""
    if no_journal_here("the age of a journal"):
        return
    home = new_home("journal-age")
    stop(daemon(home))
    db = sqlite3.connect(home + "/data/silktalk.db")
    row = "INSERT INTO figures(span_s, at_ms) VALUES(3600, ?)"

    def w1(env):
        d = daemon(home)
        out = subprocess.run([SILKTALK, "check", "weekly", "--home", home, "--json"], capture_output=True, check=False,
                             env=os.environ | env, timeout=60).stdout
        stop(d)
        return {i["id"]: i for i in json.loads(out)["items"]}["W1"]
    young, old = Journal("young-journal"), Journal("old-journal")
    for j, days in ((young, 3), (old, 8)):
        j.open("one")
        j.put(6, "INFO node: Node started", at=time.time() - days * 86400)
        j.put(6, "INFO node: Node stopped")
        j.end()
    assert w1(young.env)["state"] == "ok", "the node is new itself"
    db.execute(row, ((int(time.time()) - 9 * 86400) // 3600 * 3600000,))
    db.commit()
    item = w1(young.env)
    assert item["state"] == "warning" and item["level"] == "P2" and "journal" in item["finding"], item
    assert "3.0 days" in item["evidence"] and "journald.conf" in item["fix"], item
    item = w1(old.env)
    assert item["state"] == "ok" and "8.0 days" in item["evidence"], item
    assert w1({"PATH": WORK})["state"] == "ok", "no journalctl"
    db.close()
    print("journal age: W1 finds one that holds less than 7 days")


def check_journal_followed():
    """`log -f` on a journal that is written meanwhile: its last lines that fit, then each new one, once, in order."""
    home = new_home("followed", **{"logging.file": "off"})
    if no_journal_here("a journal that is followed"):
        return
    j = Journal("followed-journal")
    unit = "_SYSTEMD_USER_UNIT"  # what a node of an own home is
    peer = lambda i, who="aaa": (6, f"INFO net: Peer connected peer=12D3KooW{who} addr=x direction=in path=direct n={i}")
    fault = lambda i: (4, f"WARN net: Failed handshake addr=x reason=n{i}")
    of = lambda lines: [int(re.search(r"n=?(\d+)$", x)[1]) for x in lines]
    j.open("first")
    for i in range(40):
        j.put(*(fault(i) if i % 10 == 9 else peer(i)), time.time() - 60 + i, unit)
    eventually("they are in the journal", lambda: shell(f"{SILKTALK} log --home {home} -n 99", env=os.environ | j.env).count("\n") == 40)
    every, grave = Follower(home, "-n", "3", env=j.env), Follower(home, "-n", "2", "--level", "warn", "--json", env=j.env)
    assert of(every.lines(3)) == [37, 38, 39], "it begins with the last lines"
    assert [json.loads(x)["reason"] for x in grave.lines(2)] == ["n29", "n39"], "the last that fit, not all that fit"
    eventually("journalctl follows", lambda: len(j.readers()) == 2 and text_of(j.folder + "/started").count("--follow") == 2)
    for i in range(40, 50):
        j.put(*(fault(i) if i % 5 == 4 else peer(i)), unit=unit)
    got = every.lines(10)
    assert of(got) == list(range(40, 50)), ("each new line, once, in order", got)
    assert re.match(r"\d{4}-\d\d-\d\dT[0-9:.]{12}Z INFO net: Peer connected peer=12D3KooWaaa ", got[0]), got[0]
    assert [json.loads(x)["reason"] for x in grave.lines(2)] == ["n44", "n49"]
    j.open("second")  # as journald begins another file
    for i in range(50, 53):
        j.put(*peer(i), unit=unit)
    assert of(every.lines(3)) == [50, 51, 52], "over the journal's next file"
    assert every.rest == b"" and grave.rest == b"" and grave.lines(1, 1) == [], "and nothing else"
    # who read it goes away: it ends without another line, and its journalctl with it
    every.p.stdout.close()
    assert every.p.wait(60) == 0
    grave.end()
    eventually("no journalctl is left", lambda: j.readers() == [])
    # a journal with nothing of the service yet: that is waited for
    j.end()
    j = Journal("waiting-journal")
    j.open("first")
    j.put(6, "somebody else's", unit="_COMM=x\nUNIT")
    eventually("it is in the journal", lambda: "else's" in shell("journalctl -o cat", env=os.environ | j.env))
    other = new_home("no-file")  # its file is not there, and nothing of it will come to the journal
    for more in (("-f",), ("-f", "--since", "1h")):
        err = run(other, "log", *more, code=4, env=j.env)
        assert "there is no log file, and the journal has no lines" in err, err
    waiting = Follower(home, env=j.env)
    eventually("journalctl follows", lambda: "--follow" in text_of(j.folder + "/started") and len(j.readers()) == 1)
    j.put(*peer(60), unit=unit)
    assert of(waiting.lines(1)) == [60], "the service's first line"
    waiting.end()
    j.end()
    print("journal: log -f shows the last lines that fit and each new one, over the journal's next file; it ends with its reader")


# ---- servers

def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_rsyslog():
    server = find("rsyslogd", "/usr/sbin")
    if not server:
        assert "CI" not in os.environ, "contrib/setup installs rsyslogd"
        print("no rsyslogd here")
        return
    tcp, udp = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    conf, out = WORK + "/rsyslog.conf", WORK + "/received"
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"""module(load="imudp")
module(load="imtcp")
global(workDirectory="{WORK}")
input(type="imudp" port="{udp}" address="127.0.0.1")
input(type="imtcp" port="{tcp}" address="127.0.0.1")
template(name="all" type="string" string="%inputname%|%pri%|%app-name%|%procid%|%msgid%|%hostname%|%timereported:::date-rfc3339%|%msg%\\n")
*.* action(type="omfile" file="{out}" template="all")
""")

    def start():
        return subprocess.Popen([server, "-n", "-f", conf, "-i", WORK + "/rsyslog.pid"], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    received = lambda: text_of(out) if os.path.exists(out) else ""
    r = start()
    try:
        home = new_home("remote", **{"logging.remote": f"tcp://localhost:{tcp}"})
        p = daemon(home)
        eventually("a line by TCP", lambda: "Node-ready" in received())
        run(home, "log", "level", "net=debug", "--for", "1m")
        eventually("the next", lambda: "Log-level" in received())
        row = [x for x in received().splitlines() if "Log-level" in x][0].split("|")
        assert row[0] == "imtcp" and row[1] == "30" and row[2] == "silktalk" and row[3] == str(p.pid), row
        assert row[7].strip() == "INFO node: Log level part=net priority=7 for=1m", row
        r.terminate()  # the server goes; lines wait
        r.wait(30)
        eventually("that is told", lambda: "Log server unreachable" in text_of(log_of(home)))
        run(home, "maintenance", "on")
        r = start()
        eventually("what waited has come", lambda: "Maintenance|" in received())
        assert dropped(home) == 0
        run(home, "config", "set", "logging.remote", f"udp://127.0.0.1:{udp}")  # by reload, at once
        eventually("by UDP", lambda: re.search(r"^imudp\|30\|silktalk\|", received(), re.M))
        run(home, "config", "set", "logging.format", "json")
        run(home, "maintenance", "off")
        eventually("JSON as the message", lambda: '"event":"Maintenance","state":"off"' in received())
        run(home, "config", "set", "logging.remote", "off")
        n = len(received())
        run(home, "maintenance", "on")
        stop(p)
        assert len(received()) == n
    finally:
        r.terminate()
        r.wait(30)
    print("rsyslogd: RFC 5424 over TCP and UDP, a restart of it, changes by reload")


def check_hanging_server():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.bind(("127.0.0.1", 0))
    s.listen()
    home = new_home("hang", **{"logging.remote": f"tcp://127.0.0.1:{s.getsockname()[1]}"})
    p = daemon(home)
    c, _ = s.accept()  # and never reads
    for _ in range(20):
        began = time.monotonic()
        run(home, "status")
        run(home, "log", "level", "info")
        assert time.monotonic() - began < 30
    began = time.monotonic()
    stop(p)
    c.close()
    s.close()
    print("a log server that hangs holds nothing up")


# ---- reading

def check_hostile():
    home = new_home("hostile")
    log = log_of(home)
    os.makedirs(home + "/log")
    t = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    with open(log, "wb") as f:
        f.write(f"{t} INFO net: Peer identified peer=12D3KooWabc protocols=\x1b]0;owned\x07\x1b[2J\n".encode())
        f.write(b"\xff\xfe garbage \x9b31m\n" + t.encode() + b" WARN net: Failed handshake addr=x reason=" + b"y" * 70000 + b"\n")
        f.write(t.encode() + b" ERROR node: Start refused reason=z\n")
    out = run(home, "log")
    assert "\x1b" not in out and "\x07" not in out and "\\x1b]0;owned\\x07" in out and "\\xff\\xfe garbage" in out
    assert len(out.splitlines()) == 4 and len(max(out.splitlines(), key=len)) <= 16384
    for x in run(home, "log", "--json").splitlines():
        assert json.loads(x)["schema"] == "silktalk.log/1" and "\x1b" not in x
    assert run(home, "log", "--level", "error") == out.splitlines()[3] + "\n"
    assert run(home, "log", "--peer", "KooWabc").count("\n") == 1
    assert run(home, "log", "--event", "nothing of this") == ""
    script = subprocess.run(["script", "-qec", f"{SILKTALK} log --home {home} --level error", "/dev/null"], capture_output=True,
                            check=False, env=os.environ | {"TERM": "xterm"}) if shutil.which("script") else None
    if script:
        assert b"\x1b[31mERROR\x1b[0m node: Start refused" in script.stdout, script.stdout
    os.chmod(log, 0)
    if os.getuid() != 0:
        assert "denied" in run(home, "log", code=5).lower()
    os.remove(log)
    os.symlink("/etc/passwd", log)
    assert "root:" not in run(home, "log", code=6), "no link is followed"
    for args in (["--level", "loud"], ["-n", "0"], ["-n", "x"], ["--since", "whenever"], ["word"], ["stats", "x"],
                 ["stats", "--by", "moon"], ["level", "info", "-f"], ["--by", "day"], ["--for", "1m"], ["--peer", "ab"]):
        run(home, "log", *args, code=3 if args[0] == "--peer" else 2)
    print("hostile lines never reach the terminal; usage")


def check_long():
    """A log of 30 MB: the last lines are found without reading all of it, wherever those that fit are."""
    home = new_home("long")
    os.makedirs(home + "/log")
    line = "2026-02-22T10:15:30.123Z %s net: Peer connected peer=12D3KooWaaa addr=/ip4/10.0.0.1/tcp/4001 direction=in n=%06d\n"
    with open(log_of(home), "w", encoding="utf-8") as f:
        f.writelines(line % ("WARN" if i in (5, 299000 - 100, 299999) else "INFO", i) for i in range(300000))
    of = lambda *args: [int(x[-6:]) for x in run(home, "log", *args).splitlines()]
    before = os.times()
    assert of("-n", "3") == [299997, 299998, 299999] and of() == list(range(299950, 300000))
    used = os.times()
    assert of("-n", "9000") == list(range(291000, 300000)) and of("-n", "50000") == list(range(250000, 300000))
    assert of("-n", "1", "--level", "warn") == [299999] and of("-n", "2", "--level", "warn") == [298900, 299999]
    assert of("-n", "3", "--level", "warn") == of("--level", "warn") == [5, 298900, 299999], "the first is far up"
    cost = used.children_user + used.children_system - before.children_user - before.children_system
    assert cost < 0.5, f"{cost} s for the last lines of a long log"
    print("the last lines of a long log")


def check_stats():
    a, b = new_home("stats-a", **{"logging.level": "warn"}), new_home("stats-b")
    pa, pb = daemon(a), daemon(b)
    address = json.loads(run(b, "id", "--addrs", "--json"))["addrs"][0]
    run(a, "connect", address)
    for i in range(3):
        run(a, "send", address, f"hello {i}", "--wait")
    assert "Message" not in text_of(log_of(a))
    r = json.loads(run(a, "log", "stats", "--json"))
    assert list(r)[0] == "schema" and r["schema"] == "silktalk.log.stats/1"
    counts = {i["event"]: i["count"] for i in r["items"]}
    assert counts["Message sent"] == 3 and counts["Message delivered"] == 3 and counts["Peer connected"] == 1, counts
    text = run(a, "log", "stats")
    assert text.splitlines()[-1] == "Left out of the log at the present level: INFO (counted here), DEBUG (not counted)", text
    assert re.search(r"^info +Message sent +3$", text, re.M), text
    peer = address.rsplit("/", 1)[1]
    assert peer in run(a, "log", "stats", "--by", "peer")
    hour = time.strftime("%Y-%m-%dT%H", time.gmtime())
    assert hour in run(a, "log", "stats", "--by", "hour") or True
    assert run(a, "log", "stats", "--by", "day", "--since", "1h").count("info") == 1
    run(a, "log", "level", "debug")
    assert run(a, "log", "stats").splitlines()[-1].endswith("level: nothing")
    run(a, "log", "level", "net=warn")
    assert "INFO of net (counted here), DEBUG of net (not counted)" in run(a, "log", "stats")
    stop(pa)
    run(a, "log", "stats", code=3)
    # the manual's greps, on the file
    log = log_of(b)
    assert shell(f'grep "Peer connected" {log} | wc -l').strip() == "1"
    received = shell(f"grep \"Message received\" {log} | awk '{{print $1}}' | cut -c1-10 | sort | uniq -c")
    assert received.split()[0] == "3", received
    assert shell(f'grep -c "INFO\\|DEBUG" {log}').strip() != "0"
    assert shell(f'grep "INFO\\|DEBUG" {log} | grep -ci "error\\|warn"').strip() == "0"
    stop(pb)
    print("log stats is right at level warn; the manual's greps work on the file")


CHECKS = [check_signals, check_external, check_builtin, check_compressed, check_killed, check_full, check_stderr,
          check_journal, check_journal_age, check_journal_followed, check_rsyslog, check_hanging_server, check_hostile, check_long, check_stats]


def main():
    for check in CHECKS:  # those that are named, or all
        if len(sys.argv) == 1 or check.__name__.removeprefix("check_") in sys.argv[1:]:
            check()


try:
    main()
except AssertionError as e:
    import traceback
    traceback.print_exc()
    sys.exit(f"FAIL: {e}")
finally:
    for p in daemons:
        if p.poll() is None:
            p.kill()
            p.wait()
    shutil.rmtree(WORK, ignore_errors=True)
