#!/usr/bin/env python3
"""The rules of the source that a compiler does not know. Prints file:line: what; exits 1 if there was anything.

A line may be excused by a comment with `lint:ok` in it, which says why."""
import os
import re
import subprocess
import sys

LINES_MAX, COLUMNS_MAX = 800, 110

# Layers: what a folder's files may include from lib/ (besides their own folder).
LAYERS = {
    "lib/base": [],
    "lib/crypto": ["base"],
    "lib/proto": ["base", "crypto"],
    "lib/node": ["base", "crypto", "proto"],
    "lib/loop": ["base"],
    "lib/net": ["base", "loop"],
    "lib/store": ["base", "crypto", "proto", "node"],
    "ops": ["base", "crypto", "proto", "node", "loop", "net", "store", "ops", "gen"],
    "silktalk.c": ["base", "ops"],
}
# One folder for each library's headers: only there its names are known.
THIRD_PARTY = {
    "sodium": "lib/crypto", "bearssl": "lib/crypto", "tomcrypt": "lib/crypto", "tommath": "lib/crypto",
    "secp256k1": "lib/crypto", "sqlite3": "lib/store", "ares": "lib/net", "ini": "lib/node",
    "yyjson": "lib/base", "cmocka": "tests",
}
# lib/X/Y.c has tests/X/Y_test.c, or the file of tests that covers it stands here.
COVERED_BY = {
    "crypto/peer_ecdsa": "crypto/key", "crypto/peer_id": "crypto/key", "crypto/peer_rsa": "crypto/key",
    "crypto/peer_secp256k1": "crypto/key", "crypto/shake": "crypto/hash", "crypto/vector": "crypto/aead",
    "crypto/pem": "crypto/tls", "crypto/tls_trust": "crypto/tls", "crypto/tls_verifier": "crypto/tls",
    "node/health_words": "node/alert",
    "loop/clocks": "loop/loop", "net/closing": "net/tcp", "net/interfaces": "net/tcp",
    "net/control_client": "net/control", "node/http_routes": "node/http",
    "store/db": "store/store", "store/db_counters": "store/batch",
    "store/db_inbox": "store/inbox", "store/db_message": "store/inbox", "store/db_outbox": "store/outbox",
    "store/db_peers": "store/peers", "store/db_query": "store/batch",
    "store/db_search": "store/inbox", "store/db_tidy": "store/inbox",
}
ANYWHERE_ONCE = {"zlib"}  # any one folder
# Headers through which a protocol could reach the kernel or the clock.
KERNEL = re.compile(r"<(sys/(?!types\.h|random\.h|param\.h)|poll\.h|unistd\.h|fcntl\.h|netdb\.h|net/|signal\.h|pthread\.h"
                    r"|dirent\.h|time\.h|arpa/|netinet/)")
SANS_IO = ("lib/proto", "lib/node", "lib/crypto")
FORBIDDEN = re.compile("|".join([  # registries and places of one machine; in pieces, so that this line is none
    r"registry\.npm" + r"js\.org", r"proxy\.gol" + r"ang\.org", r"crates" + r"\.io", r"pypi" + r"\.org",
    r"/work/" + r"(main|shared)", r"/home/[a-z]+/" + r"src",
]))
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')

problems = []


def report(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def files():
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         capture_output=True, check=False)
    if out.returncode == 0:
        names = out.stdout.decode().split("\0")
    else:  # a source tarball
        names = [os.path.join(d, f)[2:] for d, dirs, fs in os.walk(".") for f in fs
                 if not d.startswith(("./build", "./.git"))]
    return sorted({n for n in names if n and os.path.isfile(n) and not os.path.islink(n)})


def layer_of(path):
    for layer in LAYERS:
        if path == layer or path.startswith(layer + "/"):
            return layer
    return None


def check_include(path, line, text, users):
    m = INCLUDE.match(text)
    if not m:
        return
    quote, name = m.groups()
    layer = layer_of(path)
    stem = re.sub(r"\.h$", "", name).split("/")[0].split("_")[0]
    if quote == "<":
        home = THIRD_PARTY.get(stem)
        if home and not path.startswith(home + "/"):
            report(path, line, f"<{name}> belongs to {home} only")
        if stem in ANYWHERE_ONCE:
            users.setdefault(stem, {})[os.path.dirname(path)] = line
        if layer in SANS_IO and KERNEL.search("<" + name) and "lint:ok" not in text:
            report(path, line, f"<{name}> reaches the kernel or the clock, which {layer} never does")
        return
    if layer is None or path.startswith("tests/"):
        return
    if THIRD_PARTY.get(stem) and "/" not in name:
        report(path, line, f"<{name}> is spelled with angle brackets")
        return
    part = name.split("/")[0]
    own = layer.split("/")[-1] if layer.startswith("lib/") else layer
    if "/" not in name:
        report(path, line, f'"{name}" is not spelled from lib/')
    elif part != own and part not in LAYERS[layer]:
        report(path, line, f'{layer} may not include "{name}"')
    elif layer == "silktalk.c" and part == "ops" and name not in ("ops/applet.h", "ops/cli.h"):
        report(path, line, f'silktalk.c includes ops/applet.h, not "{name}"')


def check_source(path, text, users):
    lines = text.split("\n")
    if path.endswith((".c", ".h")):
        if len(lines) - 1 > LINES_MAX:
            report(path, len(lines) - 1, f"longer than {LINES_MAX} lines")
        if path.startswith("contrib/deps/config/"):
            return
        if path.endswith(".h") and "#pragma once" not in text and not re.search(r"#ifndef \w+_H", text):
            report(path, 1, "no #pragma once")
        table = False
        for i, line in enumerate(lines, 1):
            if "clang-format o" in line:  # off or on: a row of a table is one line
                table = "clang-format off" in line
            if len(line) > COLUMNS_MAX and not table:
                report(path, i, f"{len(line)} columns, {COLUMNS_MAX} are allowed")
            if "\t" in line:
                report(path, i, "tab")
            if re.search(r"\b(strcpy|strcat|sprintf|gets|strtok|alloca)\s*\(", line):
                report(path, i, "a function without a limit")
            check_include(path, i, line, users)


def check_tests(names):
    """Every module has a test, and the lists above name what exists."""
    modules = {p[4:-2] for p in names if re.fullmatch(r"lib/\w+/\w+\.c", p)}
    tests = {p[6:-7] for p in names if re.fullmatch(r"tests/\w+/\w+_test\.c", p)}
    if "silktalk.c" not in names:  # not the whole tree: a case of tests/build/rules.sh
        return
    for m in sorted(modules - tests - set(COVERED_BY)):
        report(f"lib/{m}.c", 1, f"no tests/{m}_test.c, nor is it in COVERED_BY of tests/lint/rules.py")
    for m, by in sorted(COVERED_BY.items()):
        if m not in modules or by not in tests or m in tests:
            report("tests/lint/rules.py", 1, f"COVERED_BY: {m} by {by}: gone, or it has a test of its own now")


def main():
    users = {}
    check_tests(files())
    for path in files():
        if path.startswith("tests/fuzz/corpus/"):  # whatever bytes the fuzzer came upon
            continue
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except UnicodeDecodeError:
            continue
        check_source(path, text, users)
        markdown = path.endswith(".md")
        if re.search(r"(package-lock\.json|go\.sum)$", path):
            continue
        for i, line in enumerate(text.split("\n"), 1):
            if re.search(r"[ \t]+$", line) and not markdown:
                report(path, i, "space at the end")
            m = FORBIDDEN.search(line)
            if m:
                report(path, i, f"forbidden here: {m.group()}")
    for stem, where in users.items():
        where = {d: l for d, l in where.items() if not d.startswith("tests")}
        if len(where) > 1:
            report(sorted(where)[1], 0, f"<{stem}.h> is included in {', '.join(sorted(where))}: one folder only")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
