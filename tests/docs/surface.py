#!/usr/bin/env python3
"""Compares the executable with the tables of operations.md in tests/data: verbs, options, links, keys, exit codes,
columns, JSON, log lines, files and control methods. Rows of later deliveries must not be there yet.

Environment: SILKTALK (the executable). Prints what differs; exit 0 when nothing does."""
import json
import os
import pty
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

EXE = os.environ.get("SILKTALK", "build/silktalk")
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
STRANGER = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def table(name, columns):
    with open(os.path.join(DATA, name + ".tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]
    for row in rows:
        assert len(row) == columns, (name, row)
    return rows


STATE = dict(table("deliveries", 2))


def done(delivery):
    return STATE[delivery] == "done"


def later(delivery):
    return STATE[delivery] == "later"


def run(*args, env=None, stdin=None, exe=EXE, timeout=60):
    e = {k: v for k, v in os.environ.items() if not k.startswith("SILKTALK_")}
    e.update(env or {})
    return subprocess.run([exe, *map(str, args)], env=e, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, text=True, errors="replace")


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    check(False, "waited in vain: " + what)
    return False


class Node:
    def __init__(self, home):
        self.home = home
        self.cli("config", "init", code=0)
        self.cli("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0", code=0)

    def cli(self, *args, code=None, **more):
        # options of the home go behind the verb, before words that may belong to a program
        r = run(args[0], "--home", self.home, *args[1:], **more)
        if code is not None:
            check(r.returncode == code, f"{' '.join(map(str, args))}: exit {r.returncode}, not {code}: {r.stderr.strip()}")
        return r

    def json(self, *args, **more):
        r = self.cli(*args, "--json", **more)
        try:
            return json.loads(r.stdout)
        except ValueError:
            check(False, f"{args}: no JSON: {r.stdout!r} {r.stderr!r}")
            return {}

    def log(self):
        with open(self.home + "/log/silktalk.log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def ask(self, line):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(self.home + "/control.sock")
        s.sendall(line.encode() + b"\n")
        f = s.makefile("r", encoding="utf-8")
        return s, f


# ---- help, options, man

def words_of(text):
    return re.findall(r"(?<![\w-])--?[A-Za-z][A-Za-z-]*", text)


def check_verbs():
    rows = table("verbs", 4)
    overview = run("help").stdout
    listed = set(re.findall(r"^  ([a-z-]+) ", overview, re.M))
    must = {r[0] for r in rows if done(r[3])}
    may = {r[0] for r in rows if not later(r[3])}
    check(must <= listed <= may, f"help: missing {sorted(must - listed)}, too many {sorted(listed - may)}")
    check(run().stdout == overview and run("--help").stdout == overview, "silktalk, --help and help differ")
    for v in sorted({r[0] for r in rows} - may):
        r = run(v)
        check(r.returncode == 2 and "there is no verb" in r.stderr, f"{v} is of a later delivery, but known")
    common = {r[0] for r in table("common_options", 3) if done(r[2])}
    common_later = {r[0] for r in table("common_options", 3) if later(r[2])}
    additions = {r[1] for r in table("additions", 3) if r[0] == "option"}
    summaries = {m[0]: m[1] for m in re.findall(r"^  ([a-z-]+) +(\S.*)$", overview, re.M)}
    for v in sorted(listed):
        mine = [r for r in rows if r[0] == v]
        text = run(v, "--help").stdout
        check(text == run("help", v).stdout, f"help {v} and {v} --help differ")
        check(text.startswith(f"silktalk {v}: {summaries.get(v)}\nUsage: "), f"help {v} has another summary")
        head, _, examples = text.partition("Examples:\n")
        check(examples.startswith("  ") and "silktalk" in examples, f"help {v}: no examples")
        given = {o for m in re.findall(r"^  (?:(-\w), |    )(--[a-z-]+)", head, re.M) for o in m if o}
        wanted = common | {o for r in mine if done(r[3]) for o in r[2].split()}
        allowed = wanted | {o for r in mine if not later(r[3]) for o in r[2].split()}
        for o in sorted(wanted - given):
            check(False, f"help {v}: {o} is missing")
        for o in sorted(given - allowed):
            check(o in additions or f"{v} {o}" in additions, f"help {v}: {o} is neither in operations.md nor an addition")
        for o in sorted(common_later | {o for r in mine if later(r[3]) for o in r[2].split()} - given):
            r = run(v, o, "x")
            usage = 3 if v in ("health", "health-check", "check") else 2  # S2.1: plugins of monitoring systems
            check(r.returncode == usage and "unknown option" in r.stderr, f"{v} {o} is of a later delivery: {r.stderr}")
        usage = re.split(r"\n(?! )", head.split("Usage:", 1)[-1])[0]
        for word in sorted({r[1] for r in mine if r[1]}):
            has = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", usage) is not None
            states = {r[3] for r in mine if r[1] == word}
            check(has or not any(map(done, states)), f"help {v}: {word} is missing in the usage")
            check(not has or not all(map(later, states)), f"help {v}: {word} is of a later delivery")


def check_suggestions():
    for typed, meant in (("statsu", "status"), ("peesr", "peers"), ("outbx", "outbox"), ("hlep", "help")):
        r = run(typed)
        check(r.returncode == 2 and f"did you mean {meant}?" in r.stderr and not r.stdout, f"{typed}: {r.stderr}")
    r = run("help", "statsu")
    check(r.returncode == 2 and "did you mean status?" in r.stderr, "help statsu: " + r.stderr)
    r = run("send", "--sbuject", "x")
    check(r.returncode == 2 and "did you mean --subject?" in r.stderr, "option: " + r.stderr)


def check_links(work):
    for name, verb, delivery in table("links", 3):
        for link in (name, name + ".sh"):
            path = os.path.join(work, link)
            os.symlink(os.path.abspath(EXE), path)
            text = run("--help", exe=path).stdout
            if done(delivery):
                check(text == run(verb, "--help").stdout, f"{link} is not {verb}")
            elif later(delivery):
                check(text.startswith("SilkTalk "), f"{link} is of a later delivery")
    folder = os.path.join(work, "links")
    os.mkdir(folder)
    run("applets", "--install", folder, "--sh")
    wanted = sorted(os.listdir(folder))
    must = {n + s for n, _, d in table("links", 3) if done(d) for s in ("", ".sh")}
    may = {n + s for n, _, d in table("links", 3) if not later(d) for s in ("", ".sh")}
    check(must <= set(wanted) <= may, f"applets --install made {wanted}")
    copy = os.path.join(folder, "silktalk")
    shutil.copy(EXE, copy)
    for n in wanted:
        os.unlink(os.path.join(folder, n))
    check(run("applets", "--install", folder, exe=copy).returncode == 0, "applets --install beside itself")
    check(os.readlink(os.path.join(folder, "silktalkd")) == "silktalk", "a link beside the executable is not relative")


# ---- configuration

UNITS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000,
         "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def base(text):
    """(number in the smallest unit, that unit) of a range's end, or None."""
    m = re.fullmatch(r"(\d+)(ms|s|m|h|d|B|KiB|MiB|GiB|TiB|/s|)", text)
    if not m:
        return None
    n, unit = int(m[1]), m[2]
    if unit in ("", "/s"):
        return n, unit
    return n * UNITS[unit], "ms" if unit in ("ms", "s", "m", "h", "d") else "B"


def check_keys(node):
    rows = table("keys", 5)
    items = {i["key"]: i for i in json.loads(run("config", "list", "--json", "--home", node.home + "-fresh").stdout)["items"]}
    schema = node.json("config", "list", "--schema")
    additions = {r[1] for r in table("additions", 3) if r[0] == "key"}
    must, may = {r[0] for r in rows if done(r[4])}, {r[0] for r in rows if not later(r[4])} | additions
    check(must <= set(items) <= may, f"config list: missing {sorted(must - set(items))}, too many {sorted(set(items) - may)}")
    plain = node.cli("config", "list").stdout
    for key, default, span, applies, delivery in rows:
        if later(delivery):
            r = node.cli("config", "set", key, "1")
            check(r.returncode == 6, f"{key} is of a later delivery, but can be set")
            continue
        if key not in items:
            continue
        default = default.replace("HOME", node.home + "-fresh").replace("HOST", re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()))
        check(items[key]["value"] == default, f"{key} = {items[key]['value']!r}, not {default!r}")
        check(items[key]["applies"] == applies, f"{key} applies on {items[key]['applies']}, not {applies}")
        check(re.search(rf"^{re.escape(key)} ", plain, re.M), f"config list has no line of {key}")
        section, name = key.split(".")
        told = schema["properties"][section]["properties"][name]
        if "," in span:
            check(told.get("enum") == span.split(","), f"{key}: choices {told.get('enum')}")
        elif span:
            low, high = span.split("..")
            for end, bound, step in ((low, 0, -1), (high, 1, 1)):
                if not end or base(end) is None:
                    continue
                check(told.get("x-range", "..").split("..")[bound] == end, f"{key}: range {told.get('x-range')}, not {span}")
                n, unit = base(end)
                if told["type"] == "array" or "1..63" == span or n + step < 0:
                    continue
                r = node.cli("config", "set", key, f"{n + step}{unit}")
                check(r.returncode == 6, f"{key} = {n + step}{unit} is taken, beyond {span}")
    for section in ("[nonsense]\nx = 1\n", "[connection]\nmaxConections = 1\n", "[audit]\nretention = 90d\n"):
        path = node.home + "/bad.ini"
        with open(path, "w", encoding="utf-8") as f:
            f.write(section)
        r = node.cli("config", "check", path)
        check(r.returncode == 6 and "bad.ini:" in r.stderr, f"{section!r}: {r.stderr}")
    check(node.cli("config", "get", "network.listen").stdout.count("\n") == 1, "config get of a list")


# ---- exit codes

def check_codes(a, b, peer_b):
    texts = dict(table("exit_codes", 2))
    manual = run("man", "silktalk").stdout
    for code, text in texts.items():
        check(f".It {code}\n{text}\n" in manual, f"man silktalk: exit code {code}")
    cases = [
        (0, a, ["status"]), (2, a, ["status", "word"]), (2, a, ["nonsense"]), (2, a, ["send"]),
        (2, a, ["peer", "forget", STRANGER]), (2, a, ["inbox", "delete", "0123456789"]), (2, a, ["outbox", "cancel", "0123456789"]),
        (4, a, ["ping", "nobody-of-this-name"]), (4, a, ["peer", "show", "nobody-of-this-name"]), (4, a, ["read", "0123456789abcdef"]),
        (4, a, ["bootstrap", "remove", "/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER]), (4, a, ["disconnect", STRANGER]),
        (6, a, ["config", "set", "connection.maxConnections", "0"]), (6, a, ["config", "get", "no.such"]),
        (6, a, ["bootstrap", "add", "/ip4/127.0.0.1/tcp/1"]),
        (2, a, ["log", "level", "loud"]), (4, a, ["send", "nobody-of-this-name", "x"]),
        (10, a, ["ping", STRANGER, "-c", "1"]), (2, a, ["ping", peer_b, "-c", "0"]), (0, a, ["ping", peer_b, "-c", "1"]),
        (1, a, ["connect", "/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER]), (6, a, ["connect", "nonsense/x"]),
        (0, a, ["stop", "--dry-run"]),
    ]
    for code, node, args in cases:
        r = node.cli(*args)
        if args[0] == "connect" and code == 6:
            check(r.returncode in (4, 6), f"{args}: {r.returncode}")
            continue
        check(r.returncode == code, f"{' '.join(args)}: exit {r.returncode}, not {code}: {r.stderr.strip()}")
        if code != 0 and len(args) > 0 and args[0] != "nonsense":
            j = node.cli(*args, "--json")
            if j.returncode == code and j.stderr.startswith("{"):
                e = json.loads(j.stderr.splitlines()[0])
                check(list(e) == ["schema", "code", "name", "message", "hint"], f"{args}: {list(e)}")
                check(e["schema"] == "silktalk.error/1" and e["code"] == code, f"{args}: {e}")
                check(j.stdout == "", f"{args}: an error, and something on stdout")
            else:
                check(False, f"{args} --json: exit {j.returncode}, {j.stderr!r}")
    bad = Node(a.home + "-bad")
    os.chmod(bad.home + "/identity.key", 0o640)
    for form in ("text", "json"):
        bad.cli("config", "set", "logging.format", form, code=0)
        r = bad.cli("start")
        check(r.returncode == 6 and "chmod 600" in r.stderr and '"' not in r.stderr, f"start with a wide key: {r.stderr}")
        r = bad.cli("daemon", env={"JOURNAL_STREAM": "1:2"})
        check(r.returncode == 6, f"a key that others can read: {r.returncode}")
        check([line[:3] for line in r.stderr.splitlines()] == ["<3>", "<2>"], f"priorities: {r.stderr}")
        check("Identity permissions" in r.stderr and "Start refused" in r.stderr, f"a key that others can read: {r.stderr}")
    # 3 with the node down, 5 without permission, 8 and 9 by what they mean
    down = Node(a.home + "-down")
    for verb in (["status"], ["peers"], ["inbox"], ["reload"], ["diag", "limits"], ["explain", STRANGER]):
        check(down.cli(*verb).returncode == 3, f"{verb} with the node down")
    for verb in (["config", "list"], ["id"], ["outbox"], ["send", STRANGER, "x"], ["bootstrap", "list"], ["stop"]):
        check(down.cli(*verb).returncode == 0, f"{verb} works with the node down")
    rows = down.json("outbox")["items"]
    check([r["state"] for r in rows] == ["spooled"], f"outbox of a stopped node: {rows}")
    check(down.cli("outbox", "cancel", rows[0]["id"], "--yes").returncode == 0, "cancel in the spool")
    check(down.json("outbox")["items"] == [], "cancelled in the spool")
    check(down.cli("send", STRANGER, "x", "--wait").returncode == 8, "send --wait with the node down")
    down.cli("config", "set", "messages.spoolMax", "1", code=0)
    check(down.cli("send", STRANGER, "x").returncode == 9, "a full spool")
    a.cli("config", "set", "messages.outboxMaxPerPeer", "1", code=0)
    a.cli("send", STRANGER, "one", code=0)
    check(a.cli("send", STRANGER, "two").returncode == 9, "a full outbox")
    check(a.cli("send", STRANGER, "x", "--wait=1s").returncode == 9, "a full outbox, waiting")
    a.cli("config", "unset", "messages.outboxMaxPerPeer", code=0)
    check(a.cli("send", STRANGER, "x", "--wait=1s").returncode == 8, "still queued when the wait ended")
    check(run("daemon", "--home", a.home).returncode == 9, "a second daemon")
    r = a.cli("connect", b.json("status")["listen"]["items"][0])
    check(r.returncode == 2 and peer_b in r.stdout, f"connect without /p2p/, no terminal: {r.returncode} {r.stdout}")
    r = a.cli("send", peer_b, "denied?", "--wait")
    check(r.returncode == 0 and "stored" in r.stdout, f"send --wait: {r.returncode} {r.stdout}{r.stderr}")
    b.cli("config", "set", "messages.inboxPerPeer", "1", code=0)
    r = a.cli("send", peer_b, "too many", "--wait=1s")
    check(r.returncode == 8, f"a full inbox: {r.returncode} {r.stdout}{r.stderr}")
    hits = {i["limit"]: i["hits"] for i in b.json("diag", "limits")["items"]}
    check(hits["inbox_per_peer"] > 0 and hits["inbox_messages"] == 0, "hits of the full inbox")
    b.cli("config", "unset", "messages.inboxPerPeer", code=0)
    if os.geteuid() == 0:
        r = subprocess.run([EXE, "config", "set", "--home", a.home, "node.name", "x"], user=65534, group=65534,
                           extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        check(r.returncode == 5, f"config set by another user: {r.returncode} {r.stderr}")


# ---- listings and JSON

def snake(column):
    return column.lower().replace("-", "_")


def check_listings(a, b, peer_b):
    a.cli("send", STRANGER, "queued", code=0)
    large = os.path.join(a.home, "large")
    with open(large, "wb") as f:
        f.truncate(2 << 20)  # beyond messages.maxBody: it goes as a file
    a.cli("send", STRANGER, "-f", large, code=0)
    for listing, columns, extra, delivery in table("columns", 4):
        if not done(delivery):
            continue
        node, args = (b, listing.split()) if listing == "inbox" else (a, listing.split())
        args += {"explain": [peer_b], "check": ["daily"]}.get(listing, [])
        title = node.cli(*args).stdout.splitlines()[0]
        check(title.split() == columns.split(), f"{listing} prints {title.split()}")
        answer = node.json(*args)
        check(list(answer)[0] == "schema" and answer.get("items"), f"{listing} --json: {list(answer)} or no rows")
        keys = set(answer["items"][0]) if answer.get("items") else set()
        for c in columns.split():
            check(snake(c) in keys or snake(c) + "_seconds" in keys, f"{listing} --json has no {snake(c)}")
        for k in extra.split():
            check(k in keys or k in answer, f"{listing} --json has no {k}")
    check({i["state"] for i in a.json("outbox")["items"]} <= {"spooled", "queued", "mailed", "failed"}, "states of the outbox")
    for column in next(r[1] for r in table("columns", 4) if r[0] == "peers").split():
        check(a.cli("peers", "--sort", column.lower()).returncode == 0, f"peers --sort {column.lower()}")
    check(a.cli("peers", "--sort", "nonsense").returncode == 2, "peers --sort nonsense")
    pending = {i["key"]: i["pending"] for i in a.json("config", "list")["items"]}
    check(set(pending.values()) == {False}, f"pending: {[k for k in pending if pending[k]]}")
    a.cli("config", "set", "node.socketGroup", "other", code=0)
    pending = {i["key"]: i["pending"] for i in a.json("config", "list")["items"]}
    check([k for k in pending if pending[k]] == ["node.socketGroup"], "pending after a change")
    a.cli("config", "unset", "node.socketGroup", code=0)


def check_status(a):
    lines = [x for x in a.cli("status").stdout.splitlines() if not x.startswith(" ")]  # further problems
    rows = table("status", 2)
    check([line.split()[0] for line in lines] == [r[0] for r in rows], f"status has {[line.split()[0] for line in lines]}")
    for line, (label, pattern) in zip(lines, rows):
        check(line.startswith(label.ljust(11)) and re.fullmatch(pattern, line[11:]), f"status: {line!r}")
    answer = a.json("status")
    check(list(answer) == ["schema"] + [r[0].lower() for r in rows], f"status --json: {list(answer)}")
    check(all(isinstance(answer[r[0].lower()], dict) for r in rows), "status --json: one object each")


def walk(value, key=""):
    if isinstance(value, dict):
        for k, v in value.items():
            yield from walk(v, k)
    elif isinstance(value, list):
        for v in value:
            yield from walk(v, key)
    yield key, value


def check_json(a, b, peer_b):
    with tempfile.TemporaryDirectory() as folder:
        lines = [["status"], ["id"], ["peers"], ["peers", "--all"], ["peer", "show", peer_b], ["peer", "name", peer_b, "node-b"],
                 ["connect", peer_b], ["bootstrap", "list"], ["explain", peer_b], ["send", peer_b, "json"], ["inbox"], ["outbox"],
                 ["outbox", "retry"], ["inbox", "delete", "--older", "90d", "--yes"], ["config", "list"], ["config", "get", "node.name"],
                 ["config", "set", "node.name", "node-a"], ["config", "unset", "node.name"], ["config", "check"], ["config", "path"],
                 ["config", "init"], ["log", "level"], ["diag", "limits"], ["reload"], ["version"], ["applets"],
                 ["applets", "--install", folder], ["start"]]
        for args in lines:
            r = a.cli(*args, "--json")
            check(r.returncode == 0 and r.stdout.count("\n") == 1, f"{args} --json: {r.returncode} {r.stdout!r} {r.stderr}")
            try:
                answer = json.loads(r.stdout)
            except ValueError:
                check(False, f"{args} --json: {r.stdout!r}")
                continue
            names = [w for w in args if re.fullmatch("[a-z]+", w)]
            schemas = {f"silktalk.{args[0]}/1", "silktalk." + ".".join(names[:2]) + "/1"}
            check(list(answer)[0] == "schema" and answer["schema"] in schemas, f"{args} --json: {answer.get('schema')}")
            for key, value in walk(answer):
                check(re.fullmatch("[a-z0-9_]*", key), f"{args} --json: {key} is no snake_case")
                if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
                    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value), f"{args} --json: {key} = {value}")
    for args in (["ping", peer_b, "-c", "2", "-i", "10ms"],):
        got = [json.loads(line) for line in a.cli(*args, "--json").stdout.splitlines()]
        check(len(got) == 2 and all(list(g)[0] == "schema" for g in got), f"{args}: {got}")


def check_same_shape(up, down):
    """What works with the node down answers in the same shape as with it."""
    address = "/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER
    for n in (up, down):
        n.cli("bootstrap", "add", address, code=0)
    for args in (["id"], ["send", STRANGER, "shape"], ["outbox"], ["bootstrap", "list"], ["config", "list"], ["config", "path"]):
        x, y = up.json(*args), down.json(*args)
        check(list(x) == list(y), f"{args}: {list(x)} with the node, {list(y)} without")
        if x.get("items") and y.get("items"):
            check(set(x["items"][0]) == set(y["items"][0]), f"{args}: {sorted(set(x['items'][0]) ^ set(y['items'][0]))}")
    r = down.cli("send", STRANGER, "/ip4/127.0.0.1/tcp/1/p2p/" + up.json("id")["peer_id"], "two", "--json")
    check(len(json.loads(r.stdout)["items"]) == 2, f"send to two with the node down: {r.stdout}")
    for n in (up, down):
        n.cli("bootstrap", "remove", address, code=0)


def check_methods(a, peer_b):
    for (method,) in table("methods", 1):
        if method == "stop":
            continue
        s, f = a.ask(json.dumps({"v": 1, "id": 7, "method": method, "params": {}}))
        answer = json.loads(f.readline())
        check(answer["id"] == 7 and "there is no method" not in str(answer.get("error")), f"method {method}: {answer}")
        s.close()
    s, f = a.ask(json.dumps({"v": 1, "id": 8, "method": "ping", "params": {"peer": peer_b, "count": 2, "interval_ms": 10}}))
    got = [json.loads(f.readline()) for _ in range(3)]
    check([list(g)[1] for g in got] == ["event", "event", "end"] and got[2] == {"id": 8, "end": True}, f"a stream: {got}")
    s.close()
    s, f = a.ask("no JSON")
    check(json.loads(f.readline())["error"]["schema"] == "silktalk.error/1", "a line that is no JSON")
    s.close()


def check_dry_run(a, peer_b):
    def state():
        with open(a.home + "/config.ini", encoding="utf-8") as f:
            text = f.read()
        peers = [(p["peer_id"], p["name"], p["addr"]) for p in a.json("peers", "--all")["items"]]
        levels = a.json("log", "level")["items"]
        return text, sorted(peers, key=str), levels, [o["id"] for o in a.json("outbox")["items"]], a.json("status")["node"]["pid"]
    with tempfile.TemporaryDirectory() as folder:
        before = state()
        for (line,) in table("dry_run", 1):
            args = [{"PEER": peer_b, "ADDR": "/ip4/127.0.0.1/tcp/1/p2p/" + STRANGER, "DIR": folder}.get(w, w) for w in line.split()]
            r = a.cli(*args, "--dry-run")
            check(r.returncode == 0 and re.search("ould", r.stdout), f"{line} --dry-run: {r.returncode} {r.stdout!r} {r.stderr!r}")
        check(os.listdir(folder) == [] and state() == before, "something changed with --dry-run")


# ---- log lines

def check_log(a, b):
    manual = run("man", "silktalk-ops").stdout
    for level, text, keys, delivery in table("events", 4):
        if level == "DEBUG":
            continue
        m = re.search(rf"^\.It {level} \w+ : {re.escape(text)}\n(.*)$", manual, re.M)
        check(m is not None if done(delivery) else m is None or not later(delivery), f"man silktalk-ops: {level} {text}")
        if m:
            for k in keys.split():
                check(k in m[1].split(), f"{text} carries {m[1]}, not {k}")
    line = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR) [a-z]+: [A-Z][A-Za-z -]+( [a-z_]+=(\"([^\"\\]|\\.)*\"|[^ \"]*))*$")
    seen = set()
    for node in (a, b):
        for text in node.log().splitlines():
            check(line.match(text), f"log line: {text}")
            if " INFO " in text or " DEBUG " in text:
                check(not re.search("error|warn", text, re.I), f"INFO or DEBUG says error or warn: {text}")
            m = re.match(r"\S+ \w+ \w+: ([A-Z][a-zA-Z -]*?)(?: [a-z_]+=|$)", text)
            seen.add(m[1] if m else text)
    for wanted in ("Node started", "Node ready", "Listening", "Identity loaded", "Peer connected", "Message received", "Message sent",
                   "Message delivered", "Config reloaded", "Log reopened", "Spool taken up", "Peer disconnected", "Node stopping",
                   "Node stopped", "Reload rejected", "Limit reached", "Failed access", "Connection probed"):
        check(wanted in seen, f"the log never said {wanted}")


def make_log_lines(a, b, peer_a, peer_b):
    """What makes the lines that nothing before did."""
    a.cli("log", "level", "debug", code=0)
    host, port = re.match(r"/ip4/([\d.]+)/tcp/(\d+)", a.json("status")["listen"]["items"][0]).groups()
    socket.create_connection((host, int(port))).close()
    until("probe", lambda: "Connection probed" in a.log())
    with open(a.home + "/config.ini", encoding="utf-8") as f:
        good = f.read()
    with open(a.home + "/config.ini", "a", encoding="utf-8") as f:
        f.write("\n[connection]\nmaxConnections = many\n")
    check(a.cli("reload").returncode == 6, "reload of a bad file")
    check(a.json("status")["state"]["restart_pending"] == [], "a bad file changes nothing")
    with open(a.home + "/config.ini", "w", encoding="utf-8") as f:
        f.write(good)
    a.cli("reload", code=0)
    a.cli("config", "set", "access.denyPeers", peer_b, code=0)
    b.cli("connect", a.json("id")["addrs"][0])
    until("refused", lambda: "Failed access" in a.log())
    a.cli("config", "unset", "access.denyPeers", code=0)


# ---- terminal

def on_terminal(args, env):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.pop("NO_COLOR", None)
        os.environ.update(env)
        os.execv(EXE, [EXE, *args])
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.waitpid(pid, 0)
    os.close(fd)
    return out


def check_terminal(a):
    status = ["status", "--home", a.home]
    check(b"\x1b[" in on_terminal(status, {"TERM": "xterm"}), "no colour on a terminal")
    for env, more in (({"TERM": "xterm", "NO_COLOR": "1"}, []), ({"TERM": "dumb"}, []), ({"TERM": "xterm"}, ["--no-color"])):
        for args in (status, ["peers", "--home", a.home], ["nonsense"], ["read", "012345", "--home", a.home]):
            check(b"\x1b" not in on_terminal(args + (more if args[0] != "nonsense" else []), env), f"escapes with {env} {more} in {args[0]}")
    for args in (status, ["peers", "--home", a.home], ["config", "list", "--home", a.home], ["help"]):
        r = run(*args)
        check("\x1b" not in r.stdout + r.stderr, f"escapes without a terminal in {args[0]}")
    page = on_terminal(["man", "silktalk-send"], {"TERM": "xterm"})
    check(b".Sh" not in page and b"Usage: silktalk send" in page, "man on a terminal")


# ---- files

def check_modes(node):
    for path, mode, _, delivery in table("files", 4):
        if not path.startswith("~/.silktalk"):
            continue
        real = path.replace("~/.silktalk", node.home)
        if not done(delivery):
            check(not later(delivery) or not os.path.exists(real), f"{path} is of a later delivery")
            continue
        got = stat.S_IMODE(os.stat(real).st_mode)
        check(got == int(mode, 8), f"{path} has mode {got:o}, not {mode}")


def main():
    work = tempfile.mkdtemp(prefix="silktalk-surface.")
    os.umask(0o022)
    nodes = []
    try:
        check_verbs()
        check_suggestions()
        check_links(work)
        a, b = Node(work + "/a"), Node(work + "/b")
        nodes += [a, b]
        Node(work + "/a-fresh").cli("config", "unset", "network.listen", code=0)
        check_keys(a)
        peer_a, peer_b = a.json("id")["peer_id"], b.json("id")["peer_id"]
        a.cli("send", peer_b, "spooled", code=0)
        for n in nodes:
            n.cli("start", code=0)
        check_modes(a)
        b.cli("connect", a.json("id")["addrs"][0], code=0)  # before a message comes: strangers are refused
        a.cli("connect", b.json("id")["addrs"][0], code=0)
        until("spooled message", lambda: "Message received" in b.log())
        until("round trip time", lambda: a.json("peers")["items"][0]["rtt_seconds"] is not None or
              a.cli("ping", peer_b, "-c", "1").returncode == 0)
        check_codes(a, b, peer_b)
        check_listings(a, b, peer_b)
        check_status(a)
        check_json(a, b, peer_b)
        check_same_shape(a, Node(work + "/down"))
        check_methods(a, peer_b)
        check_dry_run(a, peer_b)
        check_terminal(a)
        make_log_lines(a, b, peer_a, peer_b)
        for n in nodes:
            n.cli("stop", code=0)
        check_log(a, b)
    finally:
        for n in nodes:
            n.cli("stop", "-q")
        shutil.rmtree(work, ignore_errors=True)
    for w in wrong:
        print("DIFFERS:", w)
    print(f"{len(wrong)} differences" if wrong else "the executable is what operations.md says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
