#!/usr/bin/env python3
"""The configuration can not be lost: versions, differences, going back; edits by hand, two commands at once, a full
disk and a kill at every step of a change, files that are none.

Environment: SILKTALK, BUILD. Prints what went wrong; exit 0 when nothing did."""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

EXE = os.environ.get("SILKTALK", "build/silktalk")
FULL = os.path.join(os.environ.get("BUILD", "build"), "full", "silktalk")
PEER = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


class Home:
    def __init__(self, path):
        self.path, self.conf, self.folder = path, path + "/config.ini", path + "/config-history"
        self("config", "init", code=0)

    def __call__(self, verb, *args, code=None, exe=EXE, env=None, stdin=None):
        e = {k: v for k, v in os.environ.items() if not k.startswith("SILKTALK_")}
        e.update(env or {})
        r = subprocess.run([exe, verb, "--home", self.path, *map(str, args)], env=e, input=stdin, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, errors="replace")
        if code is not None:
            check(r.returncode == code, f"{verb} {' '.join(map(str, args))}: exit {r.returncode}, not {code}: "
                                        f"{r.stdout.strip()} {r.stderr.strip()}")
        return r

    def json(self, *args, code=0):
        r = self(*args, "--json", code=code)
        return json.loads(r.stdout) if r.stdout.strip() else {}

    def text(self):
        with open(self.conf, encoding="utf-8") as f:
            return f.read()

    def write(self, text):
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)

    def get(self, key):
        return self("config", "get", key, code=0).stdout.strip()

    def history(self):
        return self.json("config", "history")["items"]

    def version(self, n):
        """The text of a version as the folder has it, without its first line."""
        with open(f"{self.folder}/{n:06}.ini", encoding="utf-8") as f:
            head, text = f.read().split("\n", 1)
        check(head.startswith("; silktalk-config {"), f"version {n}: {head}")
        return text


def versions(home):
    start = home.text()
    before = int(time.time() * 1000)
    home("config", "set", "connection.maxConnections", "500", code=0)
    home("config", "set", "access.denyCidrs", '["10.0.0.0/8", "11.0.0.0/8"]', code=0)
    home("config", "set", "network.dnsServers", "9.9.9.9,1.1.1.1", code=0)
    check(home("config", "get", "access.denyCidrs", code=0).stdout == "10.0.0.0/8\n11.0.0.0/8\n", "a JSON array")
    check(home("config", "get", "network.dnsServers", code=0).stdout == "9.9.9.9\n1.1.1.1\n", "a comma list")
    items = home.history()
    check([i["version"] for i in items] == [4, 3, 2, 1], f"history: {items}")
    check([i["current"] for i in items] == [True, False, False, False], f"current: {items}")
    check(items[2]["changes"] == [{"key": "connection.maxConnections", "old": None, "new": "500"}], f"changes: {items[2]}")
    check(items[2]["command"] == "config set" and items[2]["uid"] == os.getuid(), f"who: {items[2]}")
    me = subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    check(items[2]["user"] == me, f"user {items[2]['user']}, not {me}")
    at = time.mktime(time.strptime(items[2]["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    check(before // 1000 - 1 <= at <= time.time() + 1, f"time: {items[2]['time']}")
    check(home.version(1) == start and home.version(4) == home.text(), "texts of versions")
    check(stat.S_IMODE(os.stat(home.folder).st_mode) == 0o700, "mode of the folder")
    check(all(stat.S_IMODE(os.stat(f"{home.folder}/{n}").st_mode) == 0o600 for n in os.listdir(home.folder)), "modes")
    table = home("config", "history", code=0).stdout
    check(table.startswith("VERSION  TIME ") and "connection.maxConnections = 500" in table, f"table: {table}")
    # a change that changes nothing is no version; a wrong one neither
    home("config", "set", "connection.maxConnections", "500", code=0)
    r = home("config", "set", "connection.maxConnections", "0", code=6)
    check(r.stderr.count("\n") == 1, f"one line: {r.stderr}")
    home("config", "set", "connection.minConnections", "501", code=6)
    home("config", "set", "no.such", "1", code=6)
    check(len(home.history()) == 4, "no version of a change that was none")


def differences(home, work):
    home("config", "diff", "1", code=0)
    diff = home("config", "diff", "1", code=0).stdout
    check("+maxConnections = 500" in diff and diff.startswith("--- version 1\n+++ now\n"), f"diff 1: {diff}")
    last = home("config", "diff", code=0).stdout
    check("dnsServers" in last and "+maxConnections" not in last, f"diff: {last}")
    told = home.json("config", "diff", "1")
    check({i["key"] for i in told["items"]} == {"connection.maxConnections", "access.denyCidrs", "network.dnsServers"},
          f"diff --json: {told['items']}")
    check(told["text"] == diff, "diff --json: text")
    if shutil.which("patch"):
        path = work + "/patched"
        with open(path, "w", encoding="utf-8") as f:
            f.write(home.version(1))
        subprocess.run(["patch", "-s", path], input=diff, text=True, check=True)
        with open(path, encoding="utf-8") as f:
            check(f.read() == home.text(), "patch makes another text of it")
    home("config", "diff", "99", code=4)
    home("config", "diff", "x", code=2)
    home("config", "diff", "0", code=2)


def going_back(home):
    now = home.text()
    r = home("config", "rollback", "1", code=2)
    check("-maxConnections = 500" in r.stdout and home.text() == now, f"rollback asks: {r.stdout} {r.stderr}")
    home("config", "rollback", "1", "--dry-run", code=0)
    check(home.text() == now, "rollback --dry-run")
    r = home("config", "rollback", "1", "--yes", code=0)
    check("version 1: applied at the next start" in r.stdout, f"rollback: {r.stdout}")
    check(home.text() == home.version(1) and home.get("connection.maxConnections") == "300", "rollback")
    check(home.history()[0]["command"] == "config rollback 1", "rollback is recorded")
    home("config", "rollback", "4", "--yes", code=0)
    check(home.text() == now, "and back again")
    check("nothing to do" in home("config", "rollback", "4", "--yes", code=0).stdout, "rollback to what is")
    home("config", "rollback", "99", "--yes", code=4)


def by_hand(home):
    n = len(home.history())
    home.write(home.text() + "\n# by hand\n[messages]\nretention = 7d\n")
    text = home.text()
    items = home.history()
    check(len(items) == n + 1 and items[0]["command"] == "edited by hand" and items[0]["user"] is None, f"by hand: {items[0]}")
    check(items[0]["changes"] == [{"key": "messages.retention", "old": None, "new": "7d"}], f"by hand: {items[0]}")
    home.write(text.replace("500", "400") + "maxConections = 3\n")
    broken = home.text()
    r = home("config", "set", "messages.retention", "8d", code=6)
    check("config.ini:" in r.stderr and r.stderr.count("\n") == 1, f"broken by hand: {r.stderr}")
    check(home.text() == broken, "a broken file stays as it is")
    items = home.history()
    check(home.version(items[0]["version"]) == broken, "even what is broken is kept")
    home("config", "rollback", items[1]["version"], "--yes", code=0)
    check(home.text() == text, "back from a broken file")
    os.unlink(home.conf)
    home("config", "set", "messages.retention", "8d", code=4)
    home("config", "rollback", items[1]["version"], "--yes", code=0)
    check(home.text() == text, "back from no file")


def no_files(home):
    good = home.history()[0]["version"]
    text = home.text()
    for what in ("folder", "large", "binary"):
        os.unlink(home.conf)
        if what == "folder":
            os.mkdir(home.conf)
        elif what == "large":
            home.write("[node]\n" + "# filler\n" * (10 * 1024 * 1024 // 9))
        else:
            with open(home.conf, "wb") as f:
                f.write(bytes(range(256)) * 10)
        for args in (("config", "check"), ("config", "set", "messages.retention", "8d"), ("config", "list")):
            r = home(*args, code=6)
            check(r.stderr.count("\n") == 1 and "config.ini" in r.stderr, f"{what}: {args}: {r.stderr}")
        before = time.monotonic()
        home("config", "rollback", good, "--yes", code=0)
        check(time.monotonic() - before < 10, f"{what}: rollback is slow")
        check(home.text() == text, f"{what}: not back")
        aside = [n for n in os.listdir(home.path) if ".aside-" in n]
        check(len(aside) == (what != "binary"), f"{what}: {aside}")
        for n in aside:
            path = f"{home.path}/{n}"
            os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
        good = home.history()[0]["version"]


def folder_of_more(home):
    os.mkdir(home.path + "/conf.d")
    with open(home.path + "/conf.d/10-x.ini", "w", encoding="utf-8") as f:
        f.write("[messages]\nretryMax = 4m\n")
    r = home("config", "set", "messages.retryMax", "3m", code=0)
    check("conf.d/10-x.ini:2, which counts more" in r.stderr and home.get("messages.retryMax") == "4m", f"conf.d: {r.stderr}")
    check(home.history()[0]["changes"] == [{"key": "messages.retryMax", "old": None, "new": "3m"}], "conf.d: history")
    check(home("config", "unset", "messages.spoolMax", code=0).stderr == "", "a note without need")
    shutil.rmtree(home.path + "/conf.d")


def the_last_ones(home):
    home("config", "set", "node.configHistory", "3", code=0)
    for i in range(1, 8):
        home("config", "set", "messages.outboxMax", str(1000 + i), code=0)
    items = home.history()
    check(len(items) == 4, f"configHistory = 3 keeps {len(items)}: the current one and 3 before it are 4")
    check(items[-1]["changes"] == [{"key": "messages.outboxMax", "old": "1003", "new": "1004"}], f"oldest: {items[-1]}")
    home("config", "unset", "node.configHistory", code=0)


def at_once(home):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keys = ["messages.inboxMax", "messages.outboxMax", "messages.spoolMax", "messages.inboxPerPeer"]
        a = [pool.submit(home, "config", "set", k, "777", code=0) for k in keys]
        b = [pool.submit(home, "bootstrap", "add", f"/ip4/10.0.0.{i}/tcp/1/p2p/{PEER}", code=0) for i in range(1, 9)]
        for future in a + b:
            future.result()
    for k in keys:
        check(home.get(k) == "777", f"{k} was lost")
    check(len(home("bootstrap", "list", code=0).stdout.splitlines()) == 8, "an address was lost")


def faults(home, how):
    """A full disk, or kill -9, at each call of a change: old or new, never anything between, and it goes on."""
    done, at, value = False, 0, 100
    while not done and at < 60:
        at, value = at + 1, value + 1
        old = home.text()
        old_value = home.get("connection.maxConnections")
        env = {"FAIL_AT": str(at), "FAIL_HOW": "kill" if how == "kill" else "full", "FAIL_ON": "always" if how == "always" else ""}
        r = home("config", "set", "connection.maxConnections", value, exe=FULL, env=env)
        now = home.text()
        changed = now != old
        check(now in (old, re.sub(r"(?m)^maxConnections = .*$", f"maxConnections = {value}", old)), f"{how} {at}: a text between")
        done = r.returncode == 0 and at > 20 and changed
        if how == "kill":
            check(r.returncode in (0, -signal.SIGKILL), f"{how} {at}: exit {r.returncode}: {r.stderr}")
        else:
            check(r.returncode in (0, 9), f"{how} {at}: exit {r.returncode}: {r.stderr}")
            check(r.returncode == 0 or r.stderr.count("\n") == 1, f"{how} {at}: {r.stderr}")
            check(r.returncode != 0 or changed, f"{how} {at}: said done, but nothing changed")
        items = home.history()
        top = items[0]
        check(top["current"] and home.version(top["version"]) == now, f"{how} {at}: the newest version is another text")
        if changed:
            check(top["command"] == "config set" and top["changes"] == [{"key": "connection.maxConnections", "old": old_value, "new": str(value)}],
                  f"{how} {at}: recorded as {top}")
        check(any(home.version(i["version"]) == old for i in items[:2]), f"{how} {at}: the old text is lost")
        left = [n for n in os.listdir(home.folder) if not n.endswith(".ini") and not (how == "kill" and n.endswith(".tmp"))]
        check(not left, f"{how} {at}: left over: {left}")
        home("config", "set", "messages.spoolMax", 1000 + at, code=0)
    check(done, f"{how}: {at} calls, and no end")


def running(home):
    home("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0", code=0)
    home("config", "set", "http.listen", "off", code=0)
    home("start", code=0)
    try:
        check(": applied\n" in home("config", "set", "connection.maxConnections", "200", code=0).stdout, "applied")
        top = home.history()[0]["version"]
        check("restart needed" in home("config", "set", "node.socketMode", "0660", code=0).stdout, "restart needed")
        r = home("config", "set", "messages.retention", "9d", code=0)
        check(": applied\n" in r.stdout, f"another key: {r.stdout}")
        home.write(home.text() + "\n[logging]\nlevel = debug\n")
        home("reload", code=0)
        check(home.history()[0]["command"] == "edited by hand", "reload records what was edited by hand")
        r = home("config", "rollback", top, "--yes", code=0)
        check(f"version {top}: applied\n" in r.stdout, f"rollback with a node: {r.stdout}")
        listed = {i["key"]: i for i in home.json("config", "list")["items"]}
        check(listed["logging.level"]["pending"] is False and listed["logging.level"]["value"] == "info", "rolled back at once")
        text = home.text()
        home.write(text + "[nonsense]\n")
        home("reload", code=6)
        home("status", code=0)
        home("config", "rollback", home.history()[1]["version"], "--yes", code=0)
        check(home.text() == text, "back from a bad file while it runs")
        r = home("config", "rollback", 1, "--yes") if os.path.exists(home.folder + "/000001.ini") else None
        check(r is None or r.returncode == 0, "rollback to the first")
    finally:
        home("stop", code=0)


def denied(home):
    if os.getuid() != 0:
        return
    home("config", "set", "messages.retention", "10d", code=0)
    os.chmod(os.path.dirname(home.path), 0o755)
    for folder, _, names in os.walk(home.path):
        os.chown(folder, 4242, 4242)
        for n in names:
            os.lchown(f"{folder}/{n}", 4242, 4242)
    home("config", "set", "messages.retention", "11d", code=0)
    names = [f"{home.folder}/{n}" for n in os.listdir(home.folder)] + [home.conf]
    check(all(os.lstat(n).st_uid == 4242 for n in names), "root left files of its own in the home of another")
    newest = f"{home.folder}/{home.history()[0]['version']:06}.ini"
    os.rename(newest, newest + ".kept")
    os.symlink(newest + ".kept", newest)
    r = home("config", "diff", os.path.basename(newest)[:6])
    check(r.returncode == 6 and "symbolic link" in r.stderr and r.stderr.count("\n") == 1, f"a link in the history: {r.stderr}")


def main():
    work = tempfile.mkdtemp(prefix="silktalk-history.", dir=os.environ.get("TMPDIR"))
    try:
        home = Home(work + "/home")
        versions(home)
        differences(home, work)
        going_back(home)
        by_hand(home)
        no_files(home)
        folder_of_more(home)
        the_last_ones(home)
        at_once(home)
        home("config", "set", "connection.maxConnections", "100", code=0)
        for how in ("full", "always", "kill"):
            faults(home, how)
        running(home)
        denied(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for w in wrong[:20]:
        print("FAIL:", w)
    if wrong:
        sys.exit(1)
    print("versions, differences, going back, edits by hand; old or new at each call that fails or is the last")


if __name__ == "__main__":
    main()
