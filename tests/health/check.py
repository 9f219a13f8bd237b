"""The manual's lists: each item's fault is found by it; acknowledgements, reports, what the node keeps."""
import json
import os
import subprocess
import time

from common import WORK, Daemon, bad, eventually, good, health, new_home, run

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
    days = [time.strftime("%Y%m%d", time.gmtime(time.time() - n * DAY)) for n in (1, 3)]
    for day in days:
        subprocess.run(f"echo x | gzip >{home}/log/silktalk.log-{day}.gz", shell=True, check=True)
    item = check(home, "weekly")[0]["W1"]
    assert item["state"] == "warning" and "1 days are missing" in item["finding"], item
    os.unlink(f"{home}/log/silktalk.log-{days[1]}.gz")
    old = f"{home}/log/silktalk.log-{time.strftime('%Y%m%d', time.gmtime(time.time() - 40 * DAY))}"
    with open(old, "w", encoding="utf-8") as f:
        f.write("x\n")
    os.unlink(f"{home}/log/silktalk.log-{days[0]}.gz")
    item = check(home, "weekly")[0]["W1"]
    assert item["state"] == "warning" and "older than" in item["finding"], item
    os.unlink(old)
    good(home, "config", "set", "database.cacheSize", "9MiB")
    good(home, "config", "set", "network.privateOnly", "no")
    good(home, "config", "set", "files.receiveDir", WORK + "/elsewhere")  # waits for a restart
    item = check(home, "weekly")[0]["W3"]
    assert item["state"] == "warning" and "restart" in item["finding"], item
    good(home, "config", "unset", "files.receiveDir")

    # W2, W5: what an earlier run found, a week ago
    def pretend(fields, at=7):
        result = dict(first, at=stamp(at * DAY), **fields)
        ask(home, "check.last", {"period": "weekly", "result": result})
    percent = first["numbers"]["disk_percent"]
    left = 100 - percent
    pretend({"numbers": {"disk_percent": percent - left * 7 / 10}})
    item = check(home, "weekly")[0]["W2"]
    assert item["state"] == "warning" and "full in 10 days" in item["finding"], item
    pretend({"numbers": {"disk_percent": percent - left * 0.7 / 2}}, 0.7)
    item = check(home, "weekly")[0]["W2"]
    assert item["state"] == "critical" and "full in 2.0 days" in item["finding"], item
    pretend({"numbers": {"disk_percent": percent - 0.01}})
    assert check(home, "weekly")[0]["W2"]["state"] == "ok"
    check(home, "weekly", "--ack", "W5", "--note", "first week")
    assert check(home, "weekly")[0]["W5"]["state"] == "ok"
    acks = {"W5": {"at": stamp(DAY), "note": "x", "numbers": {"fds": 1}}}
    pretend({"acks": acks})
    item = check(home, "weekly")[0]["W5"]
    assert item["state"] == "warning" and "descriptors is +" in item["finding"], item
    check(home, "weekly", "--ack", "W5", "--note", "accepted")
    assert check(home, "weekly")[0]["W5"]["state"] == "ok"


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
    percent = first["numbers"]["disk_percent"]
    ask(home, "check.last", {"period": "monthly", "result": dict(first, at=stamp(10 * DAY), numbers={"disk_percent": percent - (80 - percent) / 3})})
    item = check(home, "monthly")[0]["M3"]
    assert item["state"] == "warning" and "disk reaches its threshold in 30 days" in item["finding"], item
    return d


def main():
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
