#!/bin/sh
# Builds what `make bench` measures beside SilkTalk, below build/bench:
#   load        the load generator (load/)        go-server   a go-libp2p server (go/)
#   js/         a js-libp2p server (js/server.js), run by build/bench/js/node
#   rust-server a rust-libp2p server (rust/), where there is a Rust toolchain that can build it; else without
# Versions and lock files are those of the interoperation tests; they are fetched by tests/interop/peers/build.sh.
# Exit: 0 built; 77 can't be built here, with the reason; 1 the source is at fault.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
interop=$here/../../interop/peers
build=$(cd "$here/../../.." && pwd)/build
out=$build/bench
PATH=$PATH:/usr/local/go/bin
export PATH
mkdir -p "$out"

"$interop/build.sh" go js

# The Go that the interoperation peer was built with, by the same rule.
go=go
wanted=$(sed -n 's/^go //p' "$interop/go/go.mod")
have=$(go version | sed -n 's/.* go\([0-9][0-9.]*\).*/\1/p')
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
    case $(uname -m) in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
    GOROOT=$(go env GOMODCACHE)/golang.org/toolchain@v0.0.1-go$wanted.linux-$arch
    export GOROOT
    go=$GOROOT/bin/go
fi

stamp=$(cat "$here/build.sh" "$here"/go/* "$here"/load/* "$interop"/go/go.mod "$interop"/go/go.sum | sha256sum)
if [ ! -x "$out/load" ] || [ ! -x "$out/go-server" ] || [ "$(cat "$out/go.stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "bench: compiling the go-libp2p server and the load generator"
    rm -rf "$out/src"
    mkdir -p "$out/src"
    cp -R "$here/go" "$here/load" "$interop/go/go.mod" "$interop/go/go.sum" "$out/src/"
    cd "$out/src"
    GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath -buildvcs=false -o "$out/go-server" ./go
    GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath -buildvcs=false -o "$out/load" ./load
    echo "$stamp" >"$out/go.stamp"
fi

# js-libp2p's modules are the interoperation peer's own, and so is the Node that runs them.
mkdir -p "$out/js"
ln -sfn "$build/interop/js/node_modules" "$out/js/node_modules"
cp "$build/interop/js/package.json" "$interop/js/stream-io.js" "$here/js/server.js" "$out/js/"
node=$(sed -n 's/^exec "\([^"]*\)".*/\1/p' "$build/interop/js-peer")
ln -sfn "$(command -v "$node")" "$out/js/node"

# Of the crates the direct ones are pinned; a lock file would name a registry. It takes some minutes, once.
stamp=$(cat "$here/build.sh" "$here"/rust/Cargo.toml "$here"/rust/src/* | sha256sum)
if [ -x "$out/rust-server" ] && [ "$(cat "$out/rust.stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
rm -f "$out/rust-server"
if [ -n "${CI:-}" ] || ! command -v cargo >/dev/null; then
    echo "bench: no cargo, or CI, which takes no part in benches: without rust-libp2p"
    exit 0
fi
echo "bench: compiling the rust-libp2p server"
mkdir -p "$out/rust"
cp -R "$here/rust/." "$out/rust/"
if (cd "$out/rust" && cargo build --quiet --release) 2>"$out/rust.log"; then
    cp "$out/rust/target/release/silktalk-bench-server" "$out/rust-server"
    echo "$stamp" >"$out/rust.stamp"
else
    tail -n 3 "$out/rust.log"
    echo "bench: rust-libp2p can't be built here, so without it (build/bench/rust.log)"
fi
