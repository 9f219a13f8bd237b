#!/bin/sh
# Builds the real libp2p peers that the interoperation tests talk to:
#   build/interop/go-peer   a go-libp2p program        build/interop/js-peer   a js-libp2p program
# What they are made of is pinned in go/go.mod, go/go.sum and js/package-lock.json and comes from the Go module
# proxy and the npm registry, by their own clients. Run again, it does only what has changed.
# Usage: build.sh [go] [js]     (default: both)
# Exit: 0 built; 77 can't be built here (no toolchain, no network), with the reason; 1 the source is at fault.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../../.." && pwd)/build/interop
mkdir -p "$out"

say() { printf 'interop peers: %s\n' "$*"; }
skip() { say "skipped: $*"; exit 77; }
log=$out/build.log

# A stamp is the hash of all that a step was made from; a step with its stamp has nothing to do.
stamp_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# The Go that go.mod asks for: this machine's, or, where that is older, the one that its own `go` can fetch.
# (Go 1.21 and later do so by themselves; older ones are shown how: a toolchain is a module too.)
find_go() {
    command -v go >/dev/null 2>&1 || skip "no Go toolchain (the go command) on this machine"
    wanted=$(sed -n 's/^go //p' "$here/go/go.mod")
    have=$(cd / && go version | sed -n 's/.* go\([0-9][0-9.]*\).*/\1/p')
    GO=go
    if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]; then return; fi
    say "go $have is here, $wanted is needed: fetching it"
    case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) skip "go $have is older than $wanted" ;; esac
    module=golang.org/toolchain@v0.0.1-go$wanted.linux-$arch
    (cd / && GOFLAGS=-modcacherw go mod download "$module") >"$log" 2>&1 ||
        skip "go $have is older than $wanted, and $module can't be fetched: $(tail -n 1 "$log")"
    GOROOT=$(go env GOMODCACHE)/$module
    chmod -R +x "$GOROOT/bin" "$GOROOT/pkg/tool"
    export GOROOT
    GO=$GOROOT/bin/go
}

build_go() {
    stamp=$(stamp_of "$here/build.sh" "$here"/go/*)
    if [ -x "$out/go-peer" ] && stamped "$out/go-peer.stamp" "$stamp"; then say "go-peer is up to date"; return; fi
    find_go
    say "go-peer: fetching its modules, then compiling (a minute the first time)"
    cd "$here/go"
    export GOFLAGS=-mod=readonly GOTOOLCHAIN=local
    "$GO" mod download >"$log" 2>&1 || skip "the Go modules can't be fetched: $(tail -n 1 "$log")"
    "$GO" build -trimpath -buildvcs=false -o "$out/go-peer" . || { say "go-peer does not compile"; exit 1; }
    echo "$stamp" >"$out/go-peer.stamp"
    say "built $out/go-peer"
}

# js-libp2p needs Node 22; where the machine's is older the npm package of that Node runs the peer.
node_major() { node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0; }

install_modules() {
    stamp=$(stamp_of "$here/build.sh" "$here/js/package-lock.json" "$here/js/package.json" "$here/js/.npmrc")
    [ "$(node_major)" -ge 22 ] && omit=--omit=optional || omit=
    if stamped "$out/js.stamp" "$stamp$omit"; then return; fi
    command -v npm >/dev/null 2>&1 || skip "no npm on this machine"
    say "js-peer: installing its modules"
    rm -f "$out/js.stamp"
    mkdir -p "$out/js"
    cp "$here/js/package.json" "$here/js/package-lock.json" "$here/js/.npmrc" "$out/js/"
    # shellcheck disable=SC2086 # omit is empty or one word
    (cd "$out/js" && npm ci $omit --fetch-retries=1 --loglevel=error) >"$log" 2>&1 ||
        skip "the npm modules can't be installed: $(grep -v '^$' "$log" | head -n 2 | tr '\n' ' ')"
    echo "$stamp$omit" >"$out/js.stamp"
}

build_js() {
    command -v node >/dev/null 2>&1 || skip "no Node on this machine"
    install_modules
    cp "$here"/js/*.js "$out/js/"
    node=node
    for bundled in "$out"/js/node_modules/node-linux-*/bin/node; do
        if [ "$(node_major)" -lt 22 ] && "$bundled" --version >/dev/null 2>&1; then node=$bundled; fi
    done
    [ "$("$node" -p 'process.versions.node.split(".")[0]')" -ge 22 ] || skip "js-libp2p needs Node 22 or newer"
    printf '#!/bin/sh\nexec "%s" "%s/js/peer.js" "$@"\n' "$node" "$out" >"$out/js-peer.new"
    chmod +x "$out/js-peer.new"
    mv "$out/js-peer.new" "$out/js-peer"
    say "js-peer is ready, run by Node $("$node" --version)"
}

[ $# -gt 0 ] || set -- go js
for peer in "$@"; do
    case $peer in
        go) (build_go) ;; # each in a shell of its own: they change folder and environment
        js) (build_js) ;;
        *) say "unknown peer $peer"; exit 2 ;;
    esac
done
