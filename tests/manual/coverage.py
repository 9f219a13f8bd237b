#!/usr/bin/env python3
"""contrib/manual-coverage.md is true: its tests exist and run what the rows print, its verbs and keys exist, its
thresholds are the defaults, and nothing of what is due is open.

Environment: SILKTALK. Prints what is wrong."""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EXE = os.environ.get("SILKTALK", "build/silktalk")
DUE = ("2.", "3.", "4.", "9.1", "10.")
# operations.md S13: what of these sections belongs to a later delivery
LATER = {("2.2", "backups verified"): "D", ("2.3", "full backup"): "D", ("2.3", "security audit"): "D", ("2.3", "recovery drill"): "D",
         ("4.1", "audit log `/var/log/silktalk/audit/`, 90 days"): "D", ("10.4", "signatures"): "D"}
# How many the manual has: a row that is dropped here is missed.
ROWS = {"2.1": 5, "2.2": 5, "2.3": 5, "3.1": 7, "3.2": 6, "3.3": 2, "4.1": 3, "4.2": 2, "4.3": 4, "5.1": 4, "5.2": 1, "5.3": 2, "6.1": 1,
        "6.2": 14, "6.3": 3, "7.1": 1, "7.2": 2, "7.3": 1, "8.1": 1, "8.2": 1, "8.3": 3, "9.1": 5, "9.2": 1, "10.1": 12, "10.2": 1,
        "10.3": 1, "10.4": 1}
SHORT = {"system": "tests/manual/system.py", "examples": "tests/manual/examples.py"}
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def rows(text):
    for line in text.splitlines():
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(r"\d+\.\d+", cells[0]):
            check(len(cells) == 5, f"not five cells: {line}")
            yield cells


def run(*args):
    return subprocess.run([EXE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def find_test(name):
    """The source of a test, of the function that is named; None: there is none."""
    path, _, function = name.partition(":")
    path = SHORT.get(path, path)
    if not os.path.exists(os.path.join(ROOT, path)):
        return None
    text = read(path)
    if not function:
        return text
    if path.endswith(".c"):
        return text if f"TEST({function})" in text else None
    found = re.search(rf"^def {function}\(.*?(?=^\S|\Z)", text, re.M | re.S)
    if found is None or len(re.findall(rf"\b{function}\b", text)) < 2:
        return None  # written, but never called
    # what stands outside of the functions, such as the manual's scripts, belongs to it too
    return found[0] + re.sub(r"^def .*?(?=^\S|\Z)", "", text, flags=re.M | re.S)


def plain(text):
    return re.sub(r"""[\\"']""", "", text)


def is_run(command, sources):
    """Is the printed command in a source, up to what the manual leaves open?"""
    command = re.sub(r"<\w+>.*", "", command).strip()
    command = command.replace("nc -zv localhost 4001", "/dev/tcp/localhost/4001").replace("ls -la ~/.silktalk/", "ls -la ~/.silktalk/")
    return any(plain(command) in plain(s) for s in sources)


def spans(cell):
    return re.findall(r"`([^`]+)`", cell)


def check_row(section, asks, served, tests, state, verbs, keys):
    where = f"{section} {asks[:50]}"
    sources = []
    for name in spans(tests):
        source = find_test(name)
        check(source is not None, f"{where}: there is no test {name}")
        sources.append(source or "")
    due = any(section.startswith(d) for d in DUE)
    later = LATER.get((section, asks))
    if due:
        check(re.match(later or "works|better", state), f"{where}: {state}")
    check(re.match(r"(works|better|[DEF])\b", state), f"{where}: {state} is no state")
    if state.startswith(("works", "better")):
        check(sources, f"{where}: no test")
    for command in spans(asks):
        if state.startswith("works") and re.match(r"(sudo|silktalk|journalctl|systemctl|ps|ss|free|df|curl|nc|ls) ", command):
            check(is_run(command, sources), f"{where}: `{command}` is not in {tests}")
    for text in [*spans(asks), *spans(served), *spans(state)]:
        for verb in re.findall(r"(?:^|[^-\w/.])silktalk ([a-z][a-z-]*)", text):
            check(verb in verbs or not due and state[0] in "DE", f"{where}: there is no verb {verb}")
        for key in re.findall(r"\b(node|network|connection|discovery|messages|files|database|health|http|logging|contacts|alerts|access)"
                              r"\.([A-Za-z]+)\b(?!/)(?: = (\S+))?", text):
            name = f"{key[0]}.{key[1]}"
            if name == "silktalk.log" or text.startswith(("tests/", "contrib/")):
                continue
            check(name in keys, f"{where}: there is no key {name}")
            if name in keys and key[2]:
                check(keys[name] == key[2], f"{where}: {name} = {key[2]}, its default is {keys[name]}")


def defaults():
    """Key: default, of a home without a configuration; connection's thresholds are worked out."""
    work = os.environ.get("TMPDIR", "/tmp") + f"/coverage-{os.getpid()}"
    check(run("config", "init", "--home", work).returncode == 0, "config init")
    listed = json.loads(run("config", "list", "--json", "--home", work).stdout)["items"]
    subprocess.run(["rm", "-rf", work], check=True)
    return {i["key"]: i["value"] if i["key"].startswith("health.connections") else i["default"] for i in listed}


def main():
    keys = defaults()
    schema = json.loads(run("config", "list", "--schema").stdout)["properties"]
    check({f"{s}.{k}" for s in schema if s != "limits" for k in schema[s]["properties"]} ==
          {k for k in keys if not k.startswith("limits.")}, "the schema has other keys than the list")
    verbs = {line.split()[0] for line in run("applets").stdout.splitlines() if line.strip()} | {"health-check"}
    text, counts = read("contrib/manual-coverage.md"), {}
    for cells in rows(text):
        counts[cells[0]] = counts.get(cells[0], 0) + 1
        check_row(*cells, verbs, keys)
    check(counts == ROWS, f"rows: {sorted(set(counts.items()) ^ set(ROWS.items()))}")
    for path in re.findall(r"`(contrib/[\w./-]+)`", text):
        check(os.path.exists(os.path.join(ROOT, path)), f"there is no {path}")
    for w in wrong:
        print("FAIL:", w)
    if not wrong:
        print(f"{sum(counts.values())} rows of the manual")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
