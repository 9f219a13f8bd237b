#!/usr/bin/env python3
"""coverage.py COVERAGE.json PARSERS.tsv strict|report: lines of each parser that the corpus reaches.

Reads what `llvm-cov export` wrote. strict: a file below its least fails, and one without code is an error in the
table. The lines that were not reached go to build/fuzz/report.txt."""
import json
import os
import sys


def line_states(segments):
    """Executable lines and whether they ran, from llvm-cov's segments (line, column, count, has count, entry, gap)."""
    lines = {}
    for a, b in zip(segments, segments[1:]):
        if not a[3] or a[5]:
            continue
        last = b[0] - 1 if b[1] == 1 and b[0] > a[0] else b[0]
        for line in range(a[0], last + 1):
            lines[line] = max(lines.get(line, 0), a[2])
    return lines


def main():
    source, table, mode = sys.argv[1:4]
    with open(source, encoding="utf-8") as f:
        files = {os.path.relpath(x["filename"]): x for x in json.load(f)["data"][0]["files"]}
    rows = []
    with open(table, encoding="utf-8") as f:
        for line in f:
            part = line.rstrip("\n").split("#")[0].split("\t")
            if part[0].strip():
                rows.append((part[0], int(part[1])))
    bad = 0
    missed = []
    for name, least in rows:
        if name not in files:
            print(f"{name}: no code of it is in any target")
            bad = 1
            continue
        summary = files[name]["summary"]["lines"]
        percent = 100.0 * summary["covered"] / max(summary["count"], 1)
        low = percent < least
        bad |= low
        print(f"{percent:6.1f} %  {summary['covered']:4} of {summary['count']:4}  {name}" +
              (f"  BELOW {least} %" if low else ""))
        with open(name, encoding="utf-8") as f:
            text = f.read().split("\n")
        states = line_states(files[name]["segments"])
        for number in sorted(n for n, count in states.items() if count == 0):
            missed.append(f"{name}:{number}: {text[number - 1].strip()}")
    place = os.path.join(os.environ.get("BUILD", "build"), "fuzz", "report.txt")
    with open(place, "w", encoding="utf-8") as f:
        f.write("\n".join(missed) + "\n")
    print(f"lines that were not reached: {place}")
    return bad if mode == "strict" else 0


if __name__ == "__main__":
    sys.exit(main())
