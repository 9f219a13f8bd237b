#!/usr/bin/env python3
"""Configuration by hostile hands: a folder, a pipe, an endless device in the place of each file; each key at the ends of its
range and beyond; a file of 10 MB; a full disk or a kill at each call of every verb that changes the configuration. Always
the right exit code, one line that names the file or key, and nothing else changed.

Environment: SILKTALK, BUILD."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from config_history import EXE, FULL, PEER, Home, check, wrong

ADDRESS = f"/ip4/10.0.0.1/tcp/1/p2p/{PEER}"


def content(path):
    """Everything below a folder but the log: names, kinds, bytes."""
    out = {}
    for folder, names, files in os.walk(path):
        for n in names + files:
            p = f"{folder}/{n}"
            at = os.path.relpath(p, path)
            if at.startswith("log") or at.startswith("data/"):
                continue
            if os.path.isfile(p) and not os.path.islink(p):
                with open(p, "rb") as f:
                    out[at] = f.read()
            else:
                out[at] = "folder" if os.path.isdir(p) else "other"
    return out


def one_line(r, codes, what, *words):
    """Exit code and one line on stderr with all of the words."""
    check(r.returncode in codes, f"{what}: exit {r.returncode}, not {codes}: {r.stdout.strip()} {r.stderr.strip()}")
    lines = [line for line in r.stderr.splitlines() if not re.match(r"[-\d]+T\S+ (INFO|WARN|DEBUG) ", line)]  # the daemon's is its log
    check(len(lines) == 1 and all(w in lines[0] for w in words), f"{what}: not one line with {words}: {r.stderr.strip()}")
    check("Traceback" not in r.stderr and r.returncode >= 0, f"{what}: {r.returncode}")


def in_the_way(path, kind):
    if kind == "folder":
        os.mkdir(path)
    elif kind == "full folder":
        os.mkdir(path)
        with open(path + "/kept", "w", encoding="utf-8") as f:
            f.write("kept")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        os.symlink("/dev/zero", path)
    elif kind == "dangling":
        os.symlink(path + "-not-there", path)


def out_of_the_way(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def no_file(work):
    """What is no file in the place of one: the verbs that need it say so, and touch nothing."""
    home = Home(work + "/no-file")
    home("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0", code=0)
    home("config", "set", "http.listen", "off", code=0)
    home("token", "create", "one", code=0)
    with open(home.path + "/swarm.key", "w", encoding="utf-8") as f:
        f.write("/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 32 + "\n")
    os.chmod(home.path + "/swarm.key", 0o600)
    os.mkdir(home.path + "/conf.d")
    with open(home.path + "/conf.d/10-x.ini", "w", encoding="utf-8") as f:
        f.write("[messages]\nretryMax = 4m\n")
    places = {  # file: the verbs that need it
        "config.ini": (("daemon",), ("config", "check"), ("config", "list"), ("config", "get", "node.name"), ("config", "set", "node.name", "x")),
        "conf.d/10-x.ini": (("daemon",), ("config", "check"), ("config", "list"), ("config", "set", "node.name", "x")),
        "identity.key": (("daemon",), ("id",), ("config", "init")),
        "swarm.key": (("daemon",),),
        "tokens": (("token", "list"), ("token", "create", "two")),
        "data": (("daemon",),),
        "data/silktalk.db": (("daemon",),),
    }
    for place, verbs in places.items():
        for kind in ("folder", "full folder", "pipe", "device", "dangling"):
            path = f"{home.path}/{place}"
            if kind == "dangling" and place in ("swarm.key", "tokens", "conf.d/10-x.ini", "data", "data/silktalk.db"):
                continue  # no file there is no fault, or one is made
            if place == "data" and kind in ("folder", "full folder"):
                continue  # it is one
            kept = path + "-kept"
            if os.path.lexists(path):
                os.rename(path, kept)
            elif place.startswith("data/"):
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            in_the_way(path, kind)
            before = content(home.path)
            for verb in verbs:
                start = time.monotonic()
                try:
                    r = home(*verb)
                except subprocess.TimeoutExpired:
                    check(False, f"{kind} as {place}: {verb} waits for ever")
                    continue
                one_line(r, (1, 5, 6), f"{kind} as {place}: {' '.join(verb)}", os.path.basename(place))
                check(time.monotonic() - start < 30, f"{kind} as {place}: {verb} took {time.monotonic() - start:.0f} s")
            check(content(home.path) == before, f"{kind} as {place}: something changed: "
                                                f"{set(map(str, before.items())) ^ set(map(str, content(home.path).items()))}"[:300])
            out_of_the_way(path)
            if os.path.lexists(kept):
                os.rename(kept, path)
    home("start", code=0)  # and all is well again
    home("stop", code=0)


def not_ours(work):
    """A configuration that the node may not see is no missing one: it does not start with the defaults instead."""
    if os.getuid() != 0:
        return
    os.chmod(work, 0o755)
    home = Home(work + "/not-ours")
    os.mkdir(work + "/closed", 0o700)
    with open(work + "/closed/silktalk.ini", "w", encoding="utf-8") as f:
        f.write("[access]\nmode = allowlist\n")
    for folder, _, names in os.walk(home.path):
        for n in [folder] + [f"{folder}/{n}" for n in names]:
            os.chown(n, 4242, 4242)
    exe = work + "/silktalk"
    shutil.copy(EXE, exe)
    for verb in ("daemon", "config list", "config check"):
        r = subprocess.run([exe, *verb.split(), "--home", home.path, "--config", work + "/closed/silktalk.ini"], user=4242, group=4242,
                           extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=60, cwd="/",
                           env={"PATH": "/usr/bin:/bin"})
        one_line(r, (5,), f"not ours: {verb}", "closed", "ermission denied")
        check("allowlist" not in r.stdout and "open" not in r.stdout, f"not ours: {verb}: {r.stdout[:200]}")


def while_it_runs(work):
    """The same under a node that runs: a reload is refused, or changes nothing; the node and its messages go on."""
    home = Home(work + "/running")
    home("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0", code=0)
    home("config", "set", "http.listen", "off", code=0)
    home("start", code=0)
    try:
        text = home.text()
        pid = home.json("status")["node"]["pid"]
        for kind in ("folder", "pipe", "device", "large", "gone"):
            os.rename(home.conf, home.conf + ".kept")
            if kind == "large":
                home.write("[node]\n" + "# filler\n" * (10 * 1024 * 1024 // 9))
            elif kind != "gone":
                in_the_way(home.conf, kind)
            r = home("reload")
            if kind == "gone":
                check(r.returncode in (0, 4, 6), f"running, gone: {r.returncode} {r.stderr}")
            else:
                one_line(r, (6,), f"running, {kind}", "config.ini")
            os.kill(pid, signal.SIGHUP)
            home("status", code=0)
            out_of_the_way(home.conf)
            os.rename(home.conf + ".kept", home.conf)
        # the log: a folder in its place costs lines, nothing else
        log = home.path + "/log/silktalk.log"
        os.rename(log, log + "-kept")
        os.mkdir(log)
        home("reload", code=0)
        home("config", "set", "messages.retention", "8d", code=0)
        home("status", code=0)
        os.rmdir(log)
        home("reload", code=0)
        with open(log, encoding="utf-8") as f:
            check("Log reopened" in f.read(), "the log is back")
        check(home.text().replace("retention = 8d\n", "") != "" and home.json("status")["node"]["pid"] == pid, "another node")
        # edited by hand: taken with the next reload, recorded, can be undone
        home.write(text + "\n[logging]\nlevel = warn\n")
        home("reload", code=0)
        items = home.history()
        check(items[0]["command"] == "edited by hand" and {"key": "logging.level", "old": None, "new": "warn"} in items[0]["changes"], f"{items[0]}")
        check("+level = warn" in home("config", "diff", code=0).stdout, "diff of an edit by hand")
        r = home("config", "rollback", items[1]["version"], code=2)
        check("-level = warn" in r.stdout, "rollback shows and asks")
        r = home("config", "rollback", items[1]["version"], "--yes", code=0)
        check(": applied\n" in r.stdout and home.get("logging.level") == "info", f"rollback: {r.stdout}")
    finally:
        home("stop", code=0)


def beyond(row):
    """Values of a key that are none, and (its least, its most)."""
    form, range_ = row["x-form"], row.get("x-range")
    none = {"number": ["", "x", "-1", "1.5", "99999999999999999999"], "percentage": ["", "x", "-1", "101", "1e3", "nan"],
            "duration": ["", "x", "5 parsecs", "-1s", "99999999999d"], "size": ["", "x", "1 furlong", "-1KiB", "99999999TiB"],
            "rate per second": ["", "x", "5/h", "-5/s"], "yes or no": ["", "maybe", "2"], "choice": ["", "nonsense"],
            "octal mode": ["", "rw", "0999", "1777"], "URL": ["ftp://x", "http://", "://"],
            "list of multiaddrs": ["x", "/ip4/1.2.3/tcp/1", "/ip4/1.2.3.4/tcp/99999"], "list of CIDR blocks": ["x", "10.0.0.0/33", "1.2.3/8"],
            "list of IP addresses": ["x", "1.2.3.4.5"], "list of multiaddrs with /p2p/": ["x", "/ip4/1.2.3.4/tcp/1", ADDRESS[:-1]],
            "list of host names and addresses": ["a b", "-"], "list of IP:PORT and unix:PATH": ["x", "1.2.3.4", "unix:", "1.2.3.4:99999"],
            "list of Peer IDs": ["x", PEER[:-1], "0" + PEER[1:]], "program and its words": ['"open'], "path": [], "text": []}[form]
    ends = []
    if range_ and ".." in range_ and form in ("number", "percentage", "duration", "size", "rate per second"):
        ends = range_.split("..")
    return none, ends


def one_more(value, by):
    """A value of the same unit, one beyond."""
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", value).groups()
    return f"{int(float(number)) + by}{unit}"


def ranges(work):
    """Each key: nonsense and one beyond each end are refused with one line that names the key; the ends are taken."""
    home = Home(work + "/ranges")
    schema = json.loads(home("config", "list", "--schema", code=0).stdout)["properties"]
    text, refused, taken = home.text(), 0, 0
    pairs = {"reservedForTrusted", "minConnections", "redialMin", "redialMax", "retryMin", "retryMax"}  # judged together with another key
    for section in schema:
        for name, row in schema[section]["properties"].items():
            key = f"{section}.{name}"
            if "x-form" not in row:
                row = {"x-form": "number", "x-range": None}
            none, ends = beyond(row)
            for value in none:
                r = home("config", "set", "--", key, value)  # a value may begin with -
                if r.returncode == 0 and value == "":  # nothing is a value of some
                    home.write(text)
                    continue
                one_line(r, (6,), f"{key} = {value!r}", name)
                refused += 1
            if ends:
                for value in [one_more(ends[1], 1)] + ([one_more(ends[0], -1)] if not re.match(r"0\D*$", ends[0]) else []):
                    one_line(home("config", "set", key, value), (6,), f"{key} = {value}", name)
                    refused += 1
                for value in ends:
                    if name in pairs or section == "health":
                        continue  # these stand in an order, which an end alone breaks
                    r = home("config", "set", key, value)
                    if r.returncode == 6 and " must " in r.stderr:
                        continue
                    check(r.returncode == 0, f"{key} = {value}: {r.stderr}")
                    taken += 1
                    home.write(text)
    for key in ("connection.maxConnection", "conection.maxConnections", "maxConnections", "connection.", ".x", "", "a.b.c", "x" * 5000, "limits.none", "é.ü"):
        one_line(home("config", "set", key, "1"), (2, 6), f"key {key[:30]!r}")
    home.write(text)
    check(home.text() == text, "the file is what it was")
    check(refused > 250 and taken > 60, f"{refused} refused, {taken} taken: too few were tried")
    # the same in the file: with line and key
    for line in ("maxConnections = 0", "maxConnections = x", "maxConections = 5", "maxConnections", "= 5", "maxConnections = " + "9" * 9000):
        home.write(f"[connection]\n{line}\n")
        r = home("config", "check", code=6)
        check(r.stderr.count("\n") == 1 and "config.ini:2" in r.stderr, f"{line[:40]}: {r.stderr}")
    for start, where in (("[nonsense]\n", ":1"), ("[connection\nmaxConnections = 5\n", ":1"), ("x = 1\n", ":1"), ("\xff\xfe", " is not UTF-8")):
        with open(home.conf, "wb") as f:
            f.write(start.encode("latin-1"))
        one_line(home("config", "check"), (6,), f"{start!r}", "config.ini" + where)
    with open(home.conf, "wb") as f:
        f.write(b"[node]\r\nname = web-01\r\n\xef\xbb\xbf")
    one_line(home("config", "check"), (6,), "a mark of bytes in the middle", "config.ini:3")


def large(work):
    """10 MB of INI: in CONF, in conf.d, as one line, by `set`."""
    home = Home(work + "/large")
    text = home.text()
    many = "[access]\n" + "denyCidrs = 10.0.0.0/8\n" * (10 << 20 >> 4)
    for what, body in (("comments", "[node]\n" + "# x\n" * (10 << 18)), ("a line", "[node]\nname = " + "x" * (10 << 20) + "\n"), ("a list", many)):
        start = time.monotonic()
        home.write(body)
        for verb in (("config", "check"), ("daemon",), ("config", "list"), ("config", "set", "node.name", "x")):
            one_line(home(*verb), (6,), f"10 MB of {what}: {verb}", "config.ini")
        check(home.text() == body, f"10 MB of {what}: changed")
        home.write(text)
        os.makedirs(home.path + "/conf.d", exist_ok=True)
        with open(home.path + "/conf.d/9.ini", "w", encoding="utf-8") as f:
            f.write(body)
        one_line(home("config", "check"), (6,), f"10 MB of {what} in conf.d", "9.ini")
        os.unlink(home.path + "/conf.d/9.ini")
        check(time.monotonic() - start < 60, f"10 MB of {what}: slow")
    for i in range(300):
        with open(f"{home.path}/conf.d/{i:04}.ini", "w", encoding="utf-8") as f:
            f.write("[node]\nname = web\n")
    r = home("config", "check")
    check(r.returncode in (0, 6) and r.stderr.count("\n") <= 1, f"300 files: {r.returncode} {r.stderr[:200]}")
    shutil.rmtree(home.path + "/conf.d")
    r = home("config", "set", "access.denyCidrs", ",".join(["10.0.0.0/8"] * 8000))
    one_line(r, (6,), "a list of 8000", "denyCidrs")
    check(home.text() == text, "changed by a list that is too long")


def kept_as_written(work):
    """Comments, order, blanks and what is commented out stay; lists in each form."""
    home = Home(work + "/written")
    text = ("; mine\n\n[connection]\n# why: see ticket 7\n  maxConnections = 100   \n\n;maxStreams = 9\n[access]\n\tmode = open\n"
            "denyCidrs = 10.0.0.0/8\ndenyCidrs = 11.0.0.0/8 ; two\n\n\n# the end")
    home.write(text)
    home("config", "check", code=0)
    home("config", "set", "connection.maxConnections", "101", code=0)
    check(home.text() == text.replace("  maxConnections = 100   ", "maxConnections = 101"), f"kept: {home.text()!r}")
    home("config", "set", "access.denyCidrs", '["12.0.0.0/8","13.0.0.0/8"]', code=0)
    now = home.text()
    check(home.get("access.denyCidrs") == "12.0.0.0/8\n13.0.0.0/8", home.get("access.denyCidrs"))
    for part in ("; mine\n\n[connection]\n# why: see ticket 7\n", ";maxStreams = 9\n[access]\n\tmode = open\n", "\n\n\n# the end"):
        check(part in now, f"lost: {part!r} in {now!r}")
    home("config", "set", "access.denyCidrs", "14.0.0.0/8, 15.0.0.0/8", code=0)
    check(home.get("access.denyCidrs") == "14.0.0.0/8\n15.0.0.0/8", "a comma list")
    home("config", "set", "access.denyCidrs", "[]", code=0)
    check(home.get("access.denyCidrs") == "", "an empty array")
    for bad in ('["a"', '[1]', '["10.0.0.0/8",]', '[["10.0.0.0/8"]]', '{"a":1}'):
        one_line(home("config", "set", "access.denyCidrs", bad), (6,), f"array {bad}", "denyCidrs")
    home("config", "unset", "access.denyCidrs", code=0)
    home("config", "unset", "access.denyCidrs", code=0)
    check("# why: see ticket 7\n" in home.text(), "unset")


def copy_of(base, path):
    shutil.copytree(base.path, path, symlinks=True)
    home = object.__new__(Home)
    home.path, home.conf, home.folder = path, path + "/config.ini", path + "/config-history"
    return home


def one_fault(home, what, verb, how, at):
    """The verb with the fault at its call `at`; false: it has no such call, and did all of its work."""
    where, old = f"{what} {how} {at}", content(home.path)
    r = home(*verb, exe=FULL, env={"FAIL_AT": str(at), "FAIL_HOW": how})
    now = content(home.path)
    changed = any(now.get(n) != old.get(n) for n in ("config.ini", "tokens"))
    if how == "kill":
        check(r.returncode in (0, -signal.SIGKILL), f"{where}: exit {r.returncode}: {r.stderr}")
    elif r.returncode != 0:
        one_line(r, (9,), where)
    check(r.returncode != 0 or changed, f"{where}: said done, but nothing changed")
    check(now["identity.key"] == old["identity.key"] and now["config.ini"] != b"", f"{where}: lost")
    home("config", "check", code=0)
    again = home(*verb)  # goes through, or says that it is done already
    check(again.returncode == 0 or changed, f"{where}: not again: {again.stderr}")
    final = content(home.path)
    if what == "unset":
        check(home.get("connection.maxConnections") == "300", where)
    elif what == "rollback":
        check(home.text() == home.version(1), f"{where}: {home.text()[-200:]}")
    elif what == "add":
        check(home("bootstrap", "list", code=0).stdout.count(ADDRESS) == 1, where)
    else:
        check(len(home.json("token", "list")["items"]) == 1, f"{where}: {final['tokens']}")
    left = [n for n in final if n.endswith(".tmp") or ".new" in n]
    check(not left or how == "kill", f"{where}: left over {left}")
    return r.returncode != 0 or final != now or not changed


def faults(work):
    """A full disk, or kill -9, at each call of each verb that changes the configuration: old or new, and it goes on."""
    verbs = {"unset": ("config", "unset", "connection.maxConnections"), "rollback": ("config", "rollback", "1", "--yes"),
             "add": ("bootstrap", "add", ADDRESS), "token": ("token", "create", "t")}
    for what, verb in verbs.items():
        base = Home(f"{work}/{what}")
        base("config", "set", "connection.maxConnections", "200", code=0)
        most = 0
        for how in ("kill", "full"):
            at, goes_on = 0, True
            while goes_on and at < 80:
                at += 1
                home = copy_of(base, f"{work}/{what}-{how}-{at}")
                goes_on = one_fault(home, what, verb, how, at) if how == "kill" else one_fault(home, what, verb, how, at) or at < most
                shutil.rmtree(home.path)
            most = max(most, at)
            check(4 < at < 80, f"{what} {how}: {at} calls")
        print(f"{what}: a fault at each of {most - 1} calls")


def main():
    work = tempfile.mkdtemp(prefix="silktalk-faults.", dir=os.environ.get("TMPDIR"))
    try:
        for part in (no_file, not_ours, while_it_runs, ranges, large, kept_as_written):
            start = time.monotonic()
            part(work)
            print(f"{part.__name__}: {time.monotonic() - start:.1f} s")
        check(os.path.exists(FULL), f"{FULL} is not built")
        if os.path.exists(FULL):
            faults(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for w in wrong[:30]:
        print("FAIL:", w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
