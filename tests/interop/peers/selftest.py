#!/usr/bin/env python3
"""The peers against each other, go and js in all four pairs: what fails here is no fault of SilkTalk.

Usage: selftest.py [NAME…]     Exit: 0 all held; 1 not; 77 the peers can't be built here.
"""
import functools
import hashlib
import os
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from peer import Peer, PeerError, Skip, SKIPPED, build, swarm_key  # noqa: E402

PAIRS = [("go", "go"), ("go", "js"), ("js", "go"), ("js", "js")]
KEY_TYPES = {"go": ["ed25519", "secp256k1", "ecdsa", "rsa"], "js": ["ed25519", "secp256k1", "rsa"]}
MIB = 1 << 20


def check(truth, what):
    if not truth:
        raise AssertionError(what)


def joined(a, b):
    a.cmd("connect", addr=b.addr)
    b.cmd("wait_peer", peer=a.peer_id)


def each_pair(test):
    @functools.wraps(test)
    def run(folder):
        for dialer, listener in PAIRS:
            with Peer(dialer) as a, Peer(listener) as b:
                joined(a, b)
                try:
                    test(a, b)
                except Exception as error:
                    raise AssertionError(f"{dialer} -> {listener}: {error}") from error
    return run


@each_pair
def identify(a, b):
    for x, y in ((a, b), (b, a)):
        told = x.cmd("identify", peer=y.peer_id)
        check(told["agent"] == f"silktalk-interop-{y.kind}/1.0.0", told)
        check("/test/echo/1.0.0" in told["protocols"] and "/ipfs/ping/1.0.0" in told["protocols"], told)
        check(told["signed_record"] and told["key_type"] == "ed25519", told)
        check(told["observed"].startswith("/ip4/127.0.0.1/tcp/"), told)
        check(told["listen_addrs"] and told["record_addrs"], told)


@each_pair
def push(a, b):
    for x, y in ((a, b), (b, a)):
        x.cmd("identify", peer=y.peer_id)
        y.cmd("handle", protocol="/test/new/1.0.0")
        until = time.monotonic() + 20
        while "/test/new/1.0.0" not in x.cmd("identify", peer=y.peer_id)["protocols"]:
            check(time.monotonic() < until, f"no push from {y.kind} to {x.kind}")
            time.sleep(0.05)


@each_pair
def ping_and_perf(a, b):
    for x, y in ((a, b), (b, a)):
        check(len(x.cmd("ping", peer=y.peer_id, count=5)["rtts"]) == 5, "five answers")
        check(x.cmd("perf", peer=y.peer_id, up=3 * MIB + 1, down=2 * MIB + 7)["down"] == 2 * MIB + 7, "all bytes")
        check(x.cmd("perf", peer=y.peer_id, up=1000, down=1000, streams=100)["streams"] == 100, "100 at once")
        check(x.cmd("perf", peer=y.peer_id, up=0, down=0)["down"] == 0, "nothing at all")


@each_pair
def streams(a, b):
    for x, y in ((a, b), (b, a)):
        check(x.cmd("echo", peer=y.peer_id, streams=100, bytes=100_000)["bytes"] == 10_000_000, "100 streams")
        for size in (0, 1, 10, 1000, 300_000):  # the small ones come in one piece with their end
            check(x.cmd("halfclose", peer=y.peer_id, bytes=size)["sha256"], "answered after our end")
            x.cmd("echo", peer=y.peer_id, bytes=size)
        check(x.cmd("reset", peer=y.peer_id)["reset"], "reset by the other end")
        before = y.cmd("sinks")["resets"]
        x.cmd("reset", peer=y.peer_id, ours=True, bytes=1000)
        until = time.monotonic() + 10
        while y.cmd("sinks")["resets"] == before:
            check(time.monotonic() < until, "the reset arrives")
            time.sleep(0.02)
    x.cmd("echo", peer=y.peer_id, bytes=1000)  # the connection is as good as before
    got = a.cmd("raw", peer=b.peer_id, protocol="/test/echo/1.0.0", hex="00ff10", half_close=True)
    check((got["hex"], got["end"]) == ("00ff10", "eof"), got)
    check(a.fails("raw", peer=b.peer_id, protocol="/test/nobody/1.0.0", hex="00"), "a protocol that nobody has")


@each_pair
def big_echo(a, b):
    got = a.cmd("echo", peer=b.peer_id, bytes=64 * MIB, timeout=120)
    check(got["bytes"] == 64 * MIB, got)
    print(f"  {a.kind} -> {b.kind}: 64 MiB there and back in {got['seconds']:.2f} s")


def refused_later(a, b):
    """The dialer has done its part of the handshake before the listener refuses its identity."""
    try:
        a.cmd("connect", addr=b.addr, timeout=10)
    except PeerError:
        pass
    a.cmd("wait_gone", peer=b.peer_id, timeout=20)
    check(not b.cmd("peers")["items"], "no connection")


def key_types(folder):
    for kind, types in KEY_TYPES.items():
        for key_type in types:
            file = os.path.join(folder, f"{kind}-{key_type}.key")
            with Peer(kind, key_type=key_type, key_file=file) as first:
                name = first.peer_id
            for other in ("go", "js"):
                with Peer(kind, key_file=file) as a, Peer(other) as b:
                    check(a.peer_id == name, "the key file gives the same peer again")
                    if key_type == "ecdsa" and other == "js":
                        refused_later(a, b)
                        continue
                    joined(a, b)
                    a.cmd("ping", peer=b.peer_id)
                    check(b.cmd("identify", peer=name)["key_type"] == key_type, key_type)
    try:
        Peer("js", key_type="ecdsa").stop()
    except PeerError as error:
        check("ecdsa" in str(error), error)
    else:
        raise AssertionError("js has no ecdsa")


def keys_are_shared(folder):
    for key_type in KEY_TYPES["js"]:
        file = os.path.join(folder, f"shared-{key_type}.key")
        with Peer("js", key_type=key_type, key_file=file) as a:
            name = a.peer_id
        with Peer("go", key_file=file) as b:
            check(b.peer_id == name, f"{key_type}: go reads js's key as another peer")


def private_network(folder):
    ours = swarm_key(os.path.join(folder, "swarm.key"), bytes(range(32)))
    other = swarm_key(os.path.join(folder, "other.key"), bytes(range(1, 33)))
    for dialer, listener in PAIRS:
        with Peer(dialer, psk=ours) as a, Peer(listener, psk=ours) as b:
            joined(a, b)
            a.cmd("echo", peer=b.peer_id, bytes=MIB)
            b.cmd("ping", peer=a.peer_id)
            with Peer(dialer, psk=other) as stranger, Peer(dialer) as public:
                check(stranger.fails("connect", addr=b.addr, timeout=2), "another network's key")
                check(public.fails("connect", addr=b.addr, timeout=2), "no key")


def muxer_choices(folder):
    for flags in (["--no-early-muxer"], ["--no-tls"], ["--no-early-muxer", "--no-tls"]):
        for other in ("go", "js"):
            with Peer("go", *flags) as a, Peer(other) as b:
                joined(a, b)
                a.cmd("echo", peer=b.peer_id, bytes=1000)
                [conn] = a.cmd("peers")["items"]
                check(conn["muxer"] == "/yamux/1.0.0", conn)


def many(folder):
    for kind in ("go", "js"):
        with Peer("go") as a, Peer(kind) as b:
            got = a.cmd("many", addr=b.addr, count=200, timeout=120)
            check(got["good"] == 200, got)
            check(a.cmd("many_alive")["alive"] == 200, "all are held")
            items = b.cmd("peers")["items"]
            check(len({i["peer_id"] for i in items}) == 200, "200 identities")
            check(len({i["addr"].split("/")[2] for i in items}) == 200, "200 addresses")
            check(a.cmd("release")["released"] == 200, "all are let go")
            print(f"  200 connections to {kind} in {got['seconds']:.2f} s, ping {got['rtt_median']:.1f} ms")


def messages(folder):
    with Peer("js") as a, Peer("js") as b:
        joined(a, b)
        sent = a.cmd("message_send", peer=b.peer_id, body="Grüße", subject="first", message_id="01" * 16)
        check(sent["status"] == "STORED", sent)
        [got] = b.cmd("message_expect", count=1)["items"]
        check((got["text"], got["subject"], got["from"]) == ("Grüße", "first", a.peer_id), got)
        check(got["sha256"] == hashlib.sha256("Grüße".encode()).hexdigest(), got)
        check(got["content_type"] == "text/plain; charset=utf-8", got)
        again = a.cmd("message_send", peer=b.peer_id, body="Grüße", message_id="01" * 16)
        check(again["status"] == "DUPLICATE" and b.cmd("message_list")["items"][0]["copies"] == 2, again)
        check(a.cmd("message_send", peer=b.peer_id, bytes=MIB)["status"] == "STORED", "1 MiB")
        check(a.cmd("message_send", peer=b.peer_id, bytes=MIB + 1)["status"] == "TOO_LARGE", "one byte more")
        check(a.cmd("message_send", peer=b.peer_id, subject="s" * 257)["status"] == "INVALID", "subject too long")
        check(a.cmd("message_send", peer=b.peer_id, subject="s" * 256)["status"] == "STORED", "longest subject")
        for answer in ("BUSY", "NO_STATUS", "UNKNOWN", "RESET"):
            b.cmd("message_answer", answer=answer, count=2)
            sent = a.cmd("message_send", peer=b.peer_id, body=answer)
            check((sent["status"], sent["tries"]) == ("STORED", 3), sent)
        b.cmd("message_answer", answer="DENIED")
        check(a.cmd("message_send", peer=b.peer_id, body="no")["status"] == "DENIED", "denied is final")
        b.cmd("message_clear")
        burst = b.cmd("message_burst", peer=a.peer_id, count=200, body="n")
        check(set(burst["statuses"]) == {"STORED"}, burst)
        texts = [m["text"] for m in a.cmd("message_list")["items"]]
        check(texts == [f"n {i}" for i in range(200)], "in the order of sending")


def bad_messages(folder):
    with Peer("js") as a, Peer("js") as b:
        joined(a, b)
        to = {"peer": b.peer_id}
        message = bytes([0x0A, 16, *range(16), 0x10, 1, 0x22, 2]) + b"hi"  # id, sent_ms, body
        frame = bytes([0x0A, len(message)]) + message
        good = bytes([len(frame)]) + frame
        got = a.cmd("message_raw", hex=(good + good).hex(), count=2, **to)
        check([f["status"] for f in got["frames"]] == ["STORED", "DUPLICATE"], got)
        unknown = frame + bytes([0x9A, 0x06, 1, 7])  # field 99, ignored
        got = a.cmd("message_raw", hex=(bytes([len(unknown)]) + unknown).hex(), **to)
        check([f["status"] for f in got["frames"]] == ["DUPLICATE"], got)
        for what, data in {
            "frame beyond 4 MiB": b"\x81\x80\x80\x02", "length of five bytes": b"\xff\xff\xff\xff\x01",
            "not protobuf": b"\x03\xff\xff\xff", "id of 15 bytes": bytes([19, 0x0A, 17, 0x0A, 15]) + bytes(15),
            "message and receipt": bytes([len(frame) + 2]) + frame + b"\x12\x00",
        }.items():
            check(a.cmd("message_raw", hex=data.hex(), **to)["end"] == "reset", what)
        got = a.cmd("message_raw", hex=good[:-1].hex(), half_close=True, **to)
        check(got["end"] == "reset", "cut within a frame")
        check(a.cmd("message_raw", hex="", half_close=True, **to)["end"] == "eof", "nothing at all")
        check(len(b.cmd("message_list")["items"]) == 1, "none of this was stored")


TESTS = [identify, push, ping_and_perf, streams, big_echo, key_types, keys_are_shared, private_network,
         muxer_choices, many, messages, bad_messages]


def main():
    try:
        build()
    except Skip as why:
        print(f"SKIPPED {why}")
        return SKIPPED
    failed = 0
    for test in TESTS:
        name = test.__name__
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                verdict = "ok"
            except Exception:
                traceback.print_exc()
                verdict, failed = "FAILED", failed + 1
        print(f"{verdict} {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
