"""The manual's lists: each item's fault is found by it; acknowledgements, reports, what the node keeps."""
import gzip
import json
import os
import random
import sqlite3
import time

from common import WORK, Daemon, bad, eventually, good, health, new_home, run

# W1 looks at the system's journal; the one of this host is no part of these tests.
os.makedirs(WORK + "/bin", exist_ok=True)
with open(WORK + "/bin/journalctl", "w", encoding="utf-8") as none:
    none.write("#!/bin/sh\nexit 1\n")
os.chmod(WORK + "/bin/journalctl", 0o755)
os.environ["PATH"] = WORK + "/bin:" + os.environ["PATH"]

DAY = 86400
IDS = {"daily": ["D1", "D2", "D3", "D4", "D5"], "weekly": ["W1", "W2", "W3", "W4", "W5"], "monthly": ["M1", "M2", "M3", "M4", "M5"]}
LATER = {"W4", "M1", "M2", "M5"}


def check(home, period, *args):
    r = run(home, "check", period, *args, "--json")
    a = json.loads(r.stdout)
    assert a["schema"] == "silktalk.check/1" and [i["id"] for i in a["items"]] == IDS[period], a
    for i in a["items"]:
        assert i["finding"] and (i["judged"] or i["id"] in LATER), i
        assert (i["fix"] is not None) == (i["judged"] and i["state"] != "ok"), i
        if i["level"]:
            assert i["respond_by"] < i["solve_by"], i
    code = max([{"ok": 0, "unknown": 1, "warning": 2, "critical": 3}[i["state"]] for i in a["items"] if i["judged"]])
    assert r.returncode == [0, 3, 1, 2][code], (r, code)
    return {i["id"]: i for i in a["items"]}, a


def stamp(ago):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - ago))


def prepend(home, lines):
    """Older lines in front of what the node wrote."""
    path = home + "/log/silktalk.log"
    with open(path, encoding="utf-8") as f:
        now = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(lines) + now)


def daily(home, d):
    items, _ = check(home, "daily")
    assert all(items[i]["state"] == "ok" for i in ("D1", "D2", "D4", "D5")), items
    assert health(home)[0]["last_checks"][0]["period"] == "daily", health(home)
    assert "check daily" in run(home, "health", "-v").stdout

    old = [f"{stamp(5 * DAY)} WARN net: Failed handshake addr=/ip4/10.0.0.1 reason=x\n"] * 5
    prepend(home, old + [f"{stamp(60)} WARN net: Failed handshake addr=/ip4/10.0.0.1 reason=x\n"] * 9)
    assert check(home, "daily")[0]["D2"]["state"] == "ok", "9 lines of a text that is known"
    prepend(home, [])
    prepend(home, old[:1] + [f"{stamp(60)} WARN net: Failed handshake addr=/ip4/10.0.0.1 reason=x\n"] * 10)
    item = check(home, "daily")[0]["D2"]
    assert item["state"] == "warning" and item["level"] == "P2" and "19 WARN" in item["evidence"], item
    path = home + "/log/silktalk.log"
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{stamp(5 * DAY)} INFO node: Node started\n{stamp(9)} ERROR store: Database fault operation=x\n")
    item = check(home, "daily")[0]["D2"]
    assert item["state"] == "warning" and "Database fault" in item["finding"], item
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps({"time": stamp(9), "level": "error", "component": "net", "event": "Listener lost"}) + "\n")
    assert "1 ERROR" in check(home, "daily")[0]["D2"]["finding"]
    os.unlink(path)
    assert check(home, "daily")[0]["D2"]["state"] == "unknown"
    good(home, "reload")
    for n, keys in (("D3", {"health.diskNormal": "0", "health.diskWarning": "0"}),
                    ("D5", {"health.probeHosts": "127.0.0.1:1"})):
        for k, v in keys.items():
            good(home, "config", "set", k, v)
        eventually(n, lambda n=n: check(home, "daily")[0][n]["state"] in ("warning", "critical"), 20)
        for k in reversed(list(keys)):
            good(home, "config", "unset", k)
    eventually("well again", lambda: bad(home) == {})


def weekly(home):
    items, first = check(home, "weekly")
    assert items["W1"]["state"] == "ok" and items["W5"]["state"] == "ok" and items["W3"]["state"] == "ok", items
    assert items["W4"]["state"] == "unknown" and "delivery D" in items["W4"]["finding"]
    for name, text in (("20990101-000000.gz", b"no gzip"),):
        with open(f"{home}/log/silktalk.log.{name}", "wb") as f:
            f.write(text)
        item = check(home, "weekly")[0]["W1"]
        assert item["state"] == "warning" and "gzip" in item["finding"], item
        os.unlink(f"{home}/log/silktalk.log.{name}")
    old = f"{home}/log/silktalk.log-{time.strftime('%Y%m%d', time.gmtime(time.time() - 40 * DAY))}"
    with open(old, "w", encoding="utf-8") as f:
        f.write("x\n")
    item = check(home, "weekly")[0]["W1"]
    assert item["state"] == "warning" and "older than" in item["finding"], item
    os.unlink(old)
    good(home, "config", "set", "database.cacheSize", "9MiB")
    good(home, "config", "set", "network.privateOnly", "no")
    good(home, "config", "set", "files.receiveDir", WORK + "/elsewhere")  # waits for a restart
    item = check(home, "weekly")[0]["W3"]
    assert item["state"] == "warning" and "restart" in item["finding"], item
    good(home, "config", "unset", "files.receiveDir")


def archive(home, name, *days, gz=True):
    """What logrotate leaves: lines of so many days ago, under the name of the day on which it was turned."""
    path = f"{home}/log/silktalk.log{name}" + (".gz" if gz else "")
    text = "".join(f"{stamp(n * DAY)} INFO net: Peer connected peer=x\n" for n in days).encode()
    with open(path, "wb") as f:
        f.write(gzip.compress(text) if gz else text)
    return path


def quiet_days():
    """Days without a line leave no archive (notifempty), with dateext, numbers or the node's own names: none of them is
    missing. Those on which the node wrote lines are, when no file has any of the day."""
    home = new_home("quiet", health_cpuCritical="100", health_memoryCritical="100")
    Daemon(home).end()
    name = lambda n: time.strftime("%Y%m%d", time.gmtime(time.time() - n * DAY))

    def item(*wrote):
        put_figures(home, hours=[{"ago": n * DAY, "log_lines": int(n in wrote)} for n in range(1, 31)])
        d = Daemon(home)
        try:
            return check(home, "weekly")[0]["W1"]
        finally:
            d.end()
    for form in (lambda n, i: f"-{name(n - 1)}", lambda n, i: f".{i}", lambda n, i: f".{name(n)}-235959"):
        paths = [archive(home, form(n, i + 1), n, gz=i > 0) for i, n in enumerate((2, 6, 20))]
        found = item(2, 6, 20)
        assert found["state"] == "ok" and "3 archives" in found["finding"], ("quiet days between them", found)
        found = item(2, 4, 6, 20)
        assert found["state"] == "warning" and found["level"] == "P2" and "1 days are missing" in found["finding"], found
        assert stamp(4 * DAY)[:10] in found["evidence"], found
        os.unlink(paths[1])  # somebody removes one
        assert "1 days are missing" in item(2, 6, 20)["finding"]
        archive(home, form(20, 3), 20, 6)  # quiet from then to then: one file, of a weekly turn
        assert item(2, 6, 20)["state"] == "ok" and item(2, 12, 20)["state"] == "ok"
        for path in (paths[0], paths[2]):
            os.unlink(path)
        assert "3 days are missing" in item(2, 6, 20)["finding"], "all of them are gone"
    if os.getuid() != 0:
        os.chmod(archive(home, "-" + name(5), 6), 0)
        assert item(6)["state"] == "unknown"
    r = run(home, "check", "weekly", "--json")  # the node is down: it does not know
    w1 = {i["id"]: i for i in json.loads(r.stdout)["items"]}["W1"]
    assert w1["state"] == "ok" and "the running node knows" in w1["finding"], w1
    # and the node counts its lines
    d = Daemon(home)
    d.end()
    db = sqlite3.connect(home + "/data/silktalk.db")
    assert db.execute("SELECT SUM(log_lines) FROM figures WHERE span_s = 60").fetchone()[0] > 2
    db.close()
    print("ok W1: quiet days are not missing ones")


def ask(home, method, params):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(home + "/control.sock")
    s.sendall(json.dumps({"v": 1, "id": 1, "method": method, "params": params}).encode() + b"\n")
    answer = json.loads(s.makefile("r", encoding="utf-8").readline())
    s.close()
    assert "result" in answer, answer
    return answer["result"]


def monthly(home, d):
    items, first = check(home, "monthly")
    assert items["M4"]["state"] == "warning" and "--ack M4" in items["M4"]["fix"], items["M4"]
    r = run(home, "check", "monthly", "--ack", "M4", "--note", "Ann read | them", "--markdown", "--report", WORK + "/report.md")
    assert r.returncode == 0 and r.stdout.startswith("# SilkTalk: monthly check of "), r
    with open(WORK + "/report.md", encoding="utf-8") as f:
        assert f.read() == r.stdout and "Ann read \\| them" in r.stdout
    assert check(home, "monthly")[0]["M4"]["state"] == "ok"
    d.end()
    d = Daemon(home)
    assert check(home, "monthly")[0]["M4"]["state"] == "ok", "kept over a restart"
    ask(home, "check.last", {"period": "monthly", "result": dict(first, acks={"M4": {"at": stamp(40 * DAY), "note": "long ago"}})})
    assert check(home, "monthly")[0]["M4"]["state"] == "warning"
    return d


# ---- items that the node's own figures judge

HOUR = 3600
FLAT = {"cpu_permille": 100, "cpu_max_permille": 200, "memory_permille": 300, "memory_max_permille": 310, "disk_permille": 400,
        "disk_used_bytes": 4 * 10**10, "disk_size_bytes": 10**11, "connections": 5, "connections_max": 6, "database_bytes": 10**7,
        "inbox": 10, "latency_p95_ms": 30, "operations": 1000, "operations_failed": 0, "messages_in": 500, "messages_out": 400,
        "bytes_in": 10**7, "bytes_out": 10**7, "resident_bytes": 10**7, "fds": 40, "up_seconds": 3600}


def put_figures(home, hours=(), minutes=()):
    """Into the database of a node that is down, in the place of its own: rows of {"ago": seconds, figure: value}."""
    db = sqlite3.connect(home + "/data/silktalk.db")
    db.execute("DELETE FROM figures")
    now = int(time.time())
    for span, rows in ((3600, hours), (60, minutes)):
        for row in rows:
            row = dict(FLAT, **row)
            at = (now - row.pop("ago")) // span * span * 1000
            db.execute(f"INSERT OR REPLACE INTO figures(span_s, at_ms, {', '.join(row)}) VALUES({', '.join('?' * (len(row) + 2))})",
                       (span, at, *row.values()))
    db.commit()
    db.close()


def week(days=7, noise=0, **change):
    """Hours of so many days up to now; a figure's value is a function of the days that are still to come."""
    rng = random.Random(1)
    for h in range(1, days * 24):
        row = {"ago": h * HOUR}
        for k, f in change.items():
            row[k] = f(h / 24)
        if noise:
            for k in ("cpu_permille", "memory_permille", "latency_p95_ms"):
                row.setdefault(k, max(0, FLAT[k] + rng.randint(-noise, noise)))
        yield row


def with_figures(home, **rows):
    put_figures(home, **rows)
    d = Daemon(home)
    try:
        return {i: v for p in IDS for i, v in check(home, p)[0].items() if i in ("D3", "D4", "W2", "W5", "M3")}
    finally:
        d.end()


def alone(items, wanted, state, words):
    """Of the items that figures judge, this one alone is not well. The machine may really be busy or full now."""
    for i, v in items.items():
        if i == wanted:
            assert v["state"] == state and words in v["finding"], (i, v)
        else:
            assert v["state"] == "ok" or i == "D3" and " in 24 h" not in v["finding"] and " was at " not in v["finding"], (i, v)
    print("ok", wanted, items[wanted]["finding"])


def figures():
    home = new_home("figures", health_cpuCritical="100", health_memoryCritical="100", health_memoryWarning="99", health_cpuWarning="99")
    Daemon(home).end()
    minutes = [{"ago": 60 * m} for m in range(2, 1400, 7)]
    items = with_figures(home, hours=week(31), minutes=minutes)
    assert all(v["state"] == "ok" for i, v in items.items() if i != "D3"), items
    items = with_figures(home, hours=week(31, noise=90), minutes=minutes)
    alone(items, "M3", "ok", "no warning threshold")  # noise is no trend
    for figure, item, value, state, words in (
            ("memory_max_permille", "D3", 992, "warning", "memory was at 99.2%"), ("memory_max_permille", "D3", 1000, "critical", "memory was at 100%"),
            ("disk_permille", "D3", 810, "warning", "disk was at 81%"), ("cpu_max_permille", "D3", 995, "warning", "cpu was at 99.5%"),
            ("connections_max", "D4", 285, "warning", "connections was at 285"), ("connections_max", "D4", 300, "critical", "connections was at 300")):
        rows = minutes + [{"ago": 5 * HOUR, figure: value}]
        alone(with_figures(home, hours=week(31), minutes=rows), item, state, words)
        rows = minutes + [{"ago": 25 * HOUR, figure: value}]
        assert with_figures(home, hours=week(31), minutes=rows)[item]["state"] in ("ok", "warning" if item == "D3" else ""), "of yesterday"
    full = 10**11
    for left, state, words in ((13, "warning", "full in 1"), (2, "critical", "full in "), (30, "ok", "a day")):
        # so much a day that it is full in `left` days; the threshold of 80 % is not reached by the trend of 31 days
        def used(ago, left=left):
            return int(full * (0.7 - 0.3 / left * ago)) if left > 3 else int(full * (0.79 - 0.21 / left * ago))
        rows = list(week(3, disk_used_bytes=used))
        items = with_figures(home, hours=rows, minutes=minutes)
        alone(items, "W2", state, words)
    # W5: a week is accepted, then another one comes
    put_figures(home, hours=week(7))
    d = Daemon(home)
    check(home, "weekly", "--ack", "W5", "--note", "first week")
    assert "within 25%" in check(home, "weekly")[0]["W5"]["finding"]
    d.end()
    for figure, value, words in (("latency_p95_ms", 60, "latency (p95): "), ("messages_in", 300, "messages in per hour: "), ("fds", 60, "descriptors: "),
                                 ("resident_bytes", 2 * 10**7, "memory of the node: "), ("operations_failed", 5, "error rate: "), ("bytes_out", 10**8, "bytes out per hour: ")):
        alone(with_figures(home, hours=week(7, **{figure: lambda _, v=value: v}), minutes=minutes), "W5", "warning", words)
    alone(with_figures(home, hours=week(7, fds=lambda _: 45, messages_in=lambda _: 450), minutes=minutes), "W5", "ok", "within 25%")
    put_figures(home, hours=week(7, fds=lambda _: 60))
    d = Daemon(home)
    check(home, "weekly", "--ack", "W5", "--note", "it has more peers now")
    assert check(home, "weekly")[0]["W5"]["state"] == "ok", "accepted"
    d.end()
    d = Daemon(home)
    assert check(home, "weekly")[0]["W5"]["state"] == "ok", "kept over a restart"
    check(home, "monthly")
    last = {c["period"]: c for c in health(home)[0]["last_checks"]}
    assert not last["weekly"]["overdue"] and last["weekly"]["findings"] == "" and "M4" in last["monthly"]["findings"], last
    result = ask(home, "check.last", {"period": "weekly"})["result"]
    ask(home, "check.last", {"period": "weekly", "result": dict(result, at=stamp(9 * DAY))})
    assert {c["period"]: c for c in health(home)[0]["last_checks"]}["weekly"]["overdue"]
    assert "overdue -> silktalk check weekly" in run(home, "health", "-v").stdout
    d.end()
    for figure, value, words in (("memory_permille", lambda ago: int(980 - 300 / 31 * ago), "memory reaches its threshold"),
                                 ("disk_permille", lambda ago: int(600 - 100 / 31 * ago), "disk reaches its threshold in "),
                                 ("connections_max", lambda ago: int(200 - 100 / 31 * ago), "connections reaches"),
                                 ("database_bytes", lambda ago: int(4e9 - 3e9 / 31 * ago), "database reaches"),
                                 ("inbox", lambda ago: int(90000 - 80000 / 31 * ago), "inbox reaches")):
        alone(with_figures(home, hours=week(31, fds=lambda _: 60, **{figure: value}), minutes=minutes), "M3", "warning", words)
    items = with_figures(home, hours=week(31, fds=lambda _: 60, disk_permille=lambda ago: int(500 - 50 / 31 * ago)), minutes=minutes)
    alone(items, "M3", "ok", "no warning threshold")  # in over 90 days
    items = with_figures(home, hours=week(5, fds=lambda _: 60, disk_permille=lambda ago: int(600 - 100 / 31 * ago)), minutes=minutes)
    alone(items, "M3", "ok", "after 7 days of figures")
    items = with_figures(home)
    assert all(items[i]["state"] == "ok" for i in ("D4", "W2", "W5", "M3")), items
    r = run(home, "check", "weekly", "--json")
    down = {i["id"]: i for i in json.loads(r.stdout)["items"]}
    assert down["W2"]["state"] == down["W5"]["state"] == "unknown" and r.returncode == 3, r


def main():
    quiet_days()
    figures()
    home = new_home("a", health_cpuCritical="100", health_memoryCritical="100")
    d = Daemon(home)
    try:
        eventually("well", lambda: bad(home) == {})
        daily(home, d)
        weekly(home)
        d = monthly(home, d)
        for wrong in (["hourly"], [], ["daily", "--ack", "M4", "--note", "x"], ["monthly", "--ack", "M4"], ["weekly", "--ack", "W9", "--note", "x"]):
            r = run(home, "check", *wrong)
            assert r.returncode == 3 and r.stderr, (wrong, r)
        d.end()
        r = run(home, "check", "daily")
        assert r.returncode == 2 and "node is not running" in r.stdout and "not kept" in r.stderr, r
        assert run(home, "check", "monthly", "--ack", "M4", "--note", "x").returncode == 3
    finally:
        d.end()


main()
