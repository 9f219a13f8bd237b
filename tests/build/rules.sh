#!/bin/sh
# The rules of tests/lint/rules.py find what they are for: each line below breaks one, in a tree that has no other fault.
set -eu
fail() { echo "not so: $*"; exit 1; }
rules=$(pwd)/tests/lint/rules.py
tree=$TMPDIR/tree
n=0
case_of() { # file, its text, what must be said ('' = nothing)
    rm -rf "$tree"
    mkdir -p "$tree/$(dirname "$1")"
    printf '%b' "$2" >"$tree/$1"
    said=$(cd "$tree" && GIT_DIR=/nonexistent python3 "$rules") || true
    n=$((n + 1))
    if [ -z "$3" ]; then
        [ -z "$said" ] || fail "$1 is clean: $said"
    else
        echo "$said" | grep -qF "$1:" && echo "$said" | grep -qF "$3" || fail "$1: '$3', but: $said"
    fi
}
long=$(printf '%0111d' 0)
case_of lib/proto/a.c '#include "base/base.h"\n#include <stdint.h>\n' ''
case_of lib/proto/a.c '#include "node/node.h"\n' 'lib/proto may not include "node/node.h"'
case_of lib/base/a.c '#include "crypto/hash.h"\n' 'lib/base may not include'
case_of lib/net/a.c '#include "store/store.h"\n' 'lib/net may not include'
case_of lib/node/a.c '#include "net/tcp.h"\n' 'lib/node may not include'
case_of lib/node/a.c '#include <poll.h>\n' 'reaches the kernel'
case_of lib/proto/a.c '#include <time.h>\n' 'reaches the kernel'
case_of lib/proto/a.c '#include <sodium.h>\n' '<sodium.h> belongs to lib/crypto only'
case_of lib/crypto/a.c '#include <sodium.h>\n' ''
case_of ops/a.c '#include <sqlite3.h>\n' '<sqlite3.h> belongs to lib/store only'
case_of lib/base/a.c '#include "bytes.h"\n' 'is not spelled from lib/'
case_of silktalk.c '#include "ops/send.h"\n' 'silktalk.c includes ops/applet.h'
case_of lib/base/a.c "/* $long */\n" 'columns, 110 are allowed'
case_of lib/base/a.c 'int a; \n' 'space at the end'
case_of lib/base/a.c '\tint a;\n' 'tab'
case_of lib/base/a.h 'int a;\n' 'no #pragma once'
case_of lib/base/a.c 'strcpy(a, b);\n' 'a function without a limit'
case_of lib/base/a.c "$(yes 'int a;\n' | head -801 | tr -d '\n')" 'longer than 800 lines'
case_of lib/base/a.c "$(yes 'int a;\n' | head -800 | tr -d '\n')" ''
case_of contrib/a 'fetch from pypi'.'org\n' 'forbidden here'
echo "$n rules checked"
