#!/bin/sh
# The kept corpus of each fuzz target, and a fixed number of runs from it with a fixed seed: nothing is found, and
# the corpus reaches what tests/fuzz/parsers.tsv asks for of each parser. See README.md.
# limit: 900
set -eu
for program in clang llvm-profdata llvm-cov; do
    command -v $program >/dev/null || { echo "$program is not installed (contrib/setup installs it)"; exit 77; }
done
printf 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { return p && n > 9; }\n' >"$TMPDIR/try.c"
if ! clang -fsanitize=fuzzer,address,undefined "$TMPDIR/try.c" -o "$TMPDIR/try" 2>"$TMPDIR/try.log"; then
    cat "$TMPDIR/try.log"
    echo "clang's libFuzzer or sanitizers are not installed here"
    exit 77
fi
case $BUILD in "$(pwd)"/*) BUILD=${BUILD#"$(pwd)"/} ;; esac # the rules of make know it by its short name
make --no-print-directory -j"$(nproc 2>/dev/null || echo 2)" BUILD="$BUILD" fuzz-build >"$TMPDIR/build.log" 2>&1 || {
    tail -40 "$TMPDIR/build.log"
    exit 1
}
BUILD=$BUILD exec tests/fuzz/run check
