#!/usr/bin/env python3
"""A SilkTalk node with real go-libp2p and js-libp2p peers, in both directions.

Usage: interop_test.py [-v] [Class | Class.test]…
Exit: 0 all held; 1 not; 77 some or all can't be run here, with the reasons.
"""
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer import Peer, PeerError, Skip, SKIPPED, build, swarm_key  # noqa: E402
from silktalk import BINARY, WIRE_TOOL, SilkTalk, WireServer, wait_for, wire  # noqa: E402

KINDS = ("go", "js")
KEY_TYPES = {"go": ["ed25519", "secp256k1", "ecdsa", "rsa"], "js": ["ed25519", "secp256k1", "rsa"]}
MIB = 1 << 20
PING, PERF, MESSAGE = "/ipfs/ping/1.0.0", "/perf/1.0.0", "/silktalk/message/1.0.0"
IDENTIFY, PUSH = "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"
SERVE_PERF = "perf = yes\n"
FROM_ANY = "[messages]\nfrom = any\nretryMin = 100ms\nretryMax = 1s\n"


def dial(dialer, node, peer):
    """Connects node and peer, by the end that `dialer` names, and waits until both know."""
    if dialer == "silktalk":
        node.connect(peer.addr)
    else:
        peer.cmd("connect", addr=node.addr)
    node.wait_peer(peer.peer_id)
    peer.cmd("wait_peer", peer=node.peer_id)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="silktalk-interop-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)


def both_ways(node_of=SilkTalk, peer_of=Peer):
    """Runs a test(self, dialer, node, peer) for each kind of peer and each dialer, with fresh ones every time."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for kind in KINDS:
                for dialer in ("silktalk", kind):
                    with self.subTest(peer=kind, dialer=dialer), node_of() as node, peer_of(kind) as peer:
                        dial(dialer, node, peer)
                        test(self, dialer, node, peer)
        return run
    return decorate


def each_peer(test):
    """Runs a test(self, peer) for each kind of peer."""
    @functools.wraps(test)
    def run(self):
        for kind in KINDS:
            with self.subTest(peer=kind), Peer(kind) as peer:
                test(self, peer)
    return run


class Connect(Case):
    def test_each_key_type_dials_and_is_dialled(self):
        for kind, types in KEY_TYPES.items():
            for key_type in types:
                for dialer in ("silktalk", kind):
                    with self.subTest(peer=kind, key=key_type, dialer=dialer), SilkTalk() as node, \
                            Peer(kind, key_type=key_type) as peer:
                        dial(dialer, node, peer)
                        self.assertEqual(peer.cmd("identify", peer=node.peer_id)["key_type"], "ed25519")
                        self.assertTrue(peer.cmd("ping", peer=node.peer_id)["rtts"])
                        node.cli("ping", peer.peer_id, "-c", 1, code=0)
                        line = node.wait_log("Peer connected", peer=peer.peer_id)
                        self.assertIn("direction=" + ("out" if dialer == "silktalk" else "in"), line)

    def test_rsa_of_4096_and_8192_bits(self):
        for bits in (4096, 8192):
            with self.subTest(bits=bits), SilkTalk() as node, \
                    Peer("go", "--rsa-bits", str(bits), key_type="rsa") as peer:
                dial("go", node, peer)
                peer.cmd("ping", peer=node.peer_id)

    def test_identity_of_go_and_js_is_used_as_it_is(self):
        for kind in KINDS:
            key = self.path(f"{kind}.key")
            with Peer(kind, key_file=key) as peer:
                name = peer.peer_id
            with self.subTest(key=kind), SilkTalk(key_file=key) as node, Peer("go") as peer:
                self.assertEqual(node.cli("id", code=0).json["peer_id"], name)
                dial("go", node, peer)
                self.assertEqual(peer.cmd("peers")["items"][0]["peer_id"], name)

    def test_wrong_identity_is_refused(self):
        with SilkTalk() as node, Peer("go") as peer, Peer("go") as other:
            address = peer.addr.split("/p2p/")[0]
            self.assertNotEqual(node.cli("connect", f"{address}/p2p/{other.peer_id}").code, 0)
            self.assertFalse(node.connected(other.peer_id))
            mistaken = node.addr.split("/p2p/")[0]
            peer.fails("connect", addr=f"{mistaken}/p2p/{other.peer_id}", timeout=10)

    def test_muxer_after_noise_as_rust_does(self):
        for flags in (["--no-early-muxer"], ["--no-tls"], ["--no-early-muxer", "--no-tls"]):
            for dialer in ("silktalk", "go"):
                with self.subTest(flags=flags, dialer=dialer), SilkTalk() as node, Peer("go", *flags) as peer:
                    dial(dialer, node, peer)
                    [conn] = peer.cmd("peers")["items"]
                    self.assertEqual(conn["muxer"], "/yamux/1.0.0")
                    self.assertEqual(conn["early_muxer"], "--no-early-muxer" not in flags)
                    peer.cmd("ping", peer=node.peer_id, count=3)

    @both_ways()
    def test_disconnect_is_seen_at_both_ends(self, dialer, node, peer):
        if dialer == "silktalk":
            node.cli("disconnect", peer.peer_id, code=0)
        else:
            peer.cmd("disconnect", peer=node.peer_id)
        peer.cmd("wait_gone", peer=node.peer_id, timeout=10)
        node.wait_log("Peer disconnected", peer=peer.peer_id)

    @both_ways()
    def test_stop_tells_the_peers(self, _dialer, node, peer):
        self.assertEqual(node.stop(), 0)
        peer.cmd("wait_gone", peer=node.peer_id, timeout=5)

    def test_ipv6(self):
        for kind in KINDS:
            try:
                peer = Peer(kind, listen=["/ip6/::1/tcp/0"])
            except PeerError as error:
                self.skipTest(f"no IPv6 here: {error}")
            with self.subTest(peer=kind), peer, SilkTalk() as node:
                dial("silktalk", node, peer)


class Identify(Case):
    @both_ways()
    def test_both_ways(self, _dialer, node, peer):
        told = peer.cmd("identify", peer=node.peer_id)
        self.assertRegex(told["agent"], r"^silktalk/\d")
        self.assertLessEqual({PING, IDENTIFY, PUSH, MESSAGE}, set(told["protocols"]))
        self.assertNotIn(PERF, told["protocols"])
        self.assertIn(node.listen, told["listen_addrs"])
        self.assertTrue(told["signed_record"])
        self.assertIn(node.listen, [a.split("/p2p/")[0] for a in told["record_addrs"]])
        self.assertTrue(told["observed"].startswith("/ip4/127.0.0.1/tcp/"), told)

        def known():
            shown = node.peer_show(peer.peer_id)
            return shown if shown.get("agent") else None
        shown = wait_for("identify of the peer", known)
        self.assertEqual(shown["agent"], f"silktalk-interop-{peer.kind}/1.0.0")
        self.assertIn("/test/echo/1.0.0", shown["protocols"])
        certified = [a["addr"] for a in shown["addresses"] if a["certified"]]  # by the peer's signed record
        self.assertIn(peer.addr.split("/p2p/")[0], [a.split("/p2p/")[0] for a in certified], shown["addresses"])

    @both_ways()
    def test_push_to_the_node(self, _dialer, node, peer):
        peer.cmd("handle", protocol="/test/new/1.0.0")
        wait_for("the pushed protocol",
                 lambda: "/test/new/1.0.0" in (node.peer_show(peer.peer_id)["protocols"] or []), 20)

    @both_ways()
    def test_push_from_the_node(self, _dialer, node, peer):
        self.assertNotIn(PERF, peer.cmd("identify", peer=node.peer_id)["protocols"])
        node.cli("config", "set", "network.perf", "yes", code=0)
        wait_for("the node's push", lambda: PERF in peer.cmd("identify", peer=node.peer_id)["protocols"], 20)


class Streams(Case):
    @both_ways()
    def test_ping(self, _dialer, node, peer):
        self.assertEqual(len(peer.cmd("ping", peer=node.peer_id, count=10)["rtts"]), 10)
        node.cli("ping", peer.peer_id, "-c", 5, code=0)
        if peer.kind == "js":  # allows itself one ping stream at a time
            return
        both = [peer.start("ping", peer=node.peer_id, count=20), peer.start("ping", peer=node.peer_id, count=20)]
        for call in both:
            call.wait()

    @both_ways()
    def test_ping_until_half_close(self, _dialer, node, peer):
        data = bytes(range(64)).hex()
        got = peer.cmd("raw", peer=node.peer_id, protocol=PING, hex=data, half_close=True)
        self.assertEqual((got["hex"], got["end"]), (data, "eof"))

    @both_ways(lambda: SilkTalk(network=SERVE_PERF))
    def test_perf_served(self, _dialer, node, peer):
        for up, down in ((0, 0), (1, 1), (0, 3 * MIB + 1), (3 * MIB + 1, 0), (64 * MIB, 64 * MIB)):
            peer.cmd("perf", peer=node.peer_id, up=up, down=down, timeout=120)

    @both_ways()
    def test_perf_asked_for(self, _dialer, node, peer):
        for up, down in ((0, 0), (1, 1), (64 * MIB, 64 * MIB)):
            got = node.ctl("perf", peer=peer.peer_id, up=up, down=down)
            self.assertEqual((got["up"], got["down"]), (up, down))

    @both_ways(lambda: SilkTalk(network=SERVE_PERF))
    def test_100_streams_at_once(self, _dialer, node, peer):
        got = peer.cmd("perf", peer=node.peer_id, up=100_000, down=100_000, streams=100)
        self.assertEqual(got["streams"], 100)

    @both_ways()
    def test_reset_of_a_stream_leaves_the_connection(self, _dialer, node, peer):
        for _ in range(20):
            peer.cmd("reset", peer=node.peer_id, ours=True, protocol=PING, bytes=32)
        peer.fails("raw", peer=node.peer_id, protocol="/test/nobody/1.0.0", hex="00", half_close=True)
        peer.cmd("ping", peer=node.peer_id, count=3)
        self.assertEqual(len(peer.cmd("peers")["items"]), 1)


class Wire(Case):
    """SilkTalk's own wire as the dialling end of what a node does not offer: the test protocols of the peers."""

    @each_peer
    def test_echo_64_mib(self, peer):
        got = wire("echo", peer.addr, streams=1, bytes=64 * MIB)
        self.assertEqual((got["bytes"], got["same"]), (64 * MIB, True))

    @each_peer
    def test_echo_100_streams(self, peer):
        got = wire("echo", peer.addr, streams=100, bytes=100_000)
        self.assertEqual((got["streams"], got["bytes"], got["same"]), (100, 10_000_000, True))

    @each_peer
    def test_half_close(self, peer):
        for size in (0, 1, 1000, 300_000):
            got = wire("halfclose", peer.addr, bytes=size)
            self.assertEqual(got["answer"], got["sha256"])

    @each_peer
    def test_reset_by_the_peer(self, peer):
        self.assertEqual(wire("reset", peer.addr)["end"], "reset")

    @each_peer
    def test_reset_by_us(self, peer):
        wire("reset-ours", peer.addr, bytes=1000)
        wait_for("the reset", lambda: peer.cmd("sinks")["resets"] == 1)

    @each_peer
    def test_perf_and_ping(self, peer):
        wire("ping", peer.addr, count=5)
        got = wire("perf", peer.addr, up=5 * MIB, down=7 * MIB)
        self.assertEqual(got["down"], 7 * MIB)

    def test_private_network(self):
        key = swarm_key(self.path("swarm.key"), bytes(range(32)))
        other = swarm_key(self.path("other.key"), bytes(range(1, 33)))
        for kind in KINDS:
            with self.subTest(peer=kind), Peer(kind, psk=key) as peer:
                wire("echo", peer.addr, swarm_key=key, streams=10, bytes=MIB)
                for wrong in (other, None):
                    with self.assertRaises(AssertionError):
                        wire("echo", peer.addr, swarm_key=wrong, bytes=1)
                wire("echo", peer.addr, swarm_key=key, bytes=1)


class Served(Case):
    """The same the other way: the peers dial SilkTalk's wire and open the streams."""

    def joined(self, test):
        for kind in KINDS:
            with self.subTest(peer=kind), WireServer() as server, Peer(kind) as peer:
                peer.cmd("connect", addr=server.addr)
                test(peer, server, {"peer": server.peer_id})

    def test_echo_64_mib(self):
        def test(peer, _server, to):
            self.assertEqual(peer.cmd("echo", bytes=64 * MIB, timeout=120, **to)["bytes"], 64 * MIB)
        self.joined(test)

    def test_echo_100_streams(self):
        def test(peer, _server, to):
            got = peer.cmd("echo", streams=100, bytes=100_000, timeout=120, **to)
            self.assertEqual((got["streams"], got["bytes"]), (100, 10_000_000))
        self.joined(test)

    def test_half_close(self):
        def test(peer, _server, to):
            for size in (0, 1, 1000, 300_000):  # the peer compares the hash that comes behind its end
                self.assertTrue(peer.cmd("halfclose", bytes=size, **to)["sha256"])
        self.joined(test)

    def test_reset_by_us(self):
        def test(peer, _server, to):
            self.assertTrue(peer.cmd("reset", **to)["reset"])
            peer.cmd("echo", bytes=1000, **to)  # the connection is as good as before
        self.joined(test)

    def test_reset_by_the_peer(self):
        def test(peer, server, to):
            peer.cmd("reset", ours=True, bytes=1000, **to)
            wait_for("the reset", lambda: server.sinks == [{"sink": "reset", "bytes": 1000}])
            peer.cmd("echo", bytes=1000, **to)
        self.joined(test)

    def test_perf_and_ping(self):
        def test(peer, _server, to):
            self.assertEqual(len(peer.cmd("ping", count=5, **to)["rtts"]), 5)
            self.assertEqual(peer.cmd("perf", up=5 * MIB, down=7 * MIB, **to)["down"], 7 * MIB)
        self.joined(test)

    def test_private_network(self):
        key = swarm_key(self.path("swarm.key"), bytes(range(32)))
        other = swarm_key(self.path("other.key"), bytes(range(1, 33)))
        for kind in KINDS:
            with self.subTest(peer=kind), WireServer(key) as server, Peer(kind, psk=key) as peer:
                peer.cmd("connect", addr=server.addr)
                peer.cmd("echo", peer=server.peer_id, streams=10, bytes=MIB)
                for flags in ({"psk": other}, {}):
                    with Peer(kind, **flags) as stranger:
                        stranger.fails("connect", addr=server.addr, timeout=2)
                peer.cmd("echo", peer=server.peer_id, bytes=1)


class PrivateNetwork(Case):
    def test_members_only(self):
        ours = swarm_key(self.path("ours"), bytes(range(32)))
        other = swarm_key(self.path("other"), bytes(range(1, 33)))

        @both_ways(lambda: SilkTalk(network=SERVE_PERF, swarm_key=ours), lambda kind: Peer(kind, psk=ours))
        def members(self, _dialer, node, peer):
            peer.cmd("ping", peer=node.peer_id)
            peer.cmd("perf", peer=node.peer_id, up=5 * MIB, down=5 * MIB)
            for flags in ({"psk": other}, {}):
                with Peer(peer.kind, **flags) as stranger:
                    stranger.fails("connect", addr=node.addr, timeout=2)
                    self.assertNotEqual(node.cli("connect", stranger.addr, "--timeout", "2s").code, 0)
            peer.cmd("ping", peer=node.peer_id)  # strangers have cost nobody anything

        members(self)


class Many(Case):
    def many(self, node, **params):
        with Peer("go", listen=[]) as go:
            got = go.cmd("many", addr=node.addr, count=200, timeout=120, **params)
            print(f"  200 connections in {got['seconds']:.2f} s, ping {got.get('rtt_median', 0):.1f} ms", flush=True)
            self.assertEqual(got["good"], 200, got)
            self.assertEqual(go.cmd("many_alive")["alive"], 200)
            self.assertEqual(len({p["peer_id"] for p in node.peers()}), 200)
            go.cmd("release", timeout=60)
            wait_for("all gone", lambda: not node.peers(), 20)

    def test_200_at_once_from_200_addresses(self):
        with SilkTalk("[connection]\nmaxIncomingPendingConnections = 256\n") as node:
            self.many(node)

    def test_200_at_once_under_the_default_limits(self):
        """At most 32 handshakes at a time by default: who is refused tries again, as real peers do."""
        with SilkTalk() as node:
            self.many(node, tries=30)

    def test_loopback_is_not_exempt(self):
        limits = "[connection]\nmaxConnectionsPerAddress = 3\ninboundConnectionThreshold = 1000/s\n"
        with SilkTalk(limits) as node, Peer("go", listen=[]) as go:
            got = go.cmd("many", addr=node.addr, count=5, per_address=5, timeout=30)
            self.assertEqual(got["good"], 3, got)
            node.wait_log("Limit reached")


class Messages(Case):
    """Against the second implementation, in JavaScript."""

    def joined(self, ini=FROM_ANY, dialer="js"):
        node, peer = SilkTalk(ini).__enter__(), Peer("js")
        self.addCleanup(peer.stop)
        self.addCleanup(lambda: node.__exit__(None, None, None))
        dial(dialer, node, peer)
        return node, peer

    def test_to_the_node(self):
        for dialer in ("silktalk", "js"):
            with self.subTest(dialer=dialer):
                node, peer = self.joined(dialer=dialer)
                to = {"peer": node.peer_id}
                sent = peer.cmd("message_send", body="Grüße, 世界", subject="first", message_id="01" * 16, **to)
                self.assertEqual(sent["status"], "STORED")
                [row] = node.inbox()
                self.assertEqual((row["id"], row["from"], row["subject"], row["read"]),
                                 ("01" * 16, peer.peer_id, "first", False))
                self.assertEqual(node.read_body("01" * 16), "Grüße, 世界".encode())
                again = peer.cmd("message_send", body="another body", message_id="01" * 16, **to)
                self.assertEqual(again["status"], "DUPLICATE")
                self.assertEqual(len(node.inbox()), 1)
                big = peer.cmd("message_send", bytes=MIB, content_type="application/octet-stream", **to)
                self.assertEqual(big["status"], "STORED")
                self.assertEqual(hashlib.sha256(node.read_body(big["message_id"])).hexdigest(), big["sha256"])
                self.assertEqual(peer.cmd("message_send", bytes=MIB + 1, **to)["status"], "TOO_LARGE")
                self.assertEqual(peer.cmd("message_send", subject="s" * 257, **to)["status"], "INVALID")
                self.assertEqual(peer.cmd("message_send", subject="s" * 256, **to)["status"], "STORED")
                self.assertEqual(peer.cmd("message_send", bytes=0, **to)["status"], "STORED")

    def test_burst_to_the_node_keeps_its_order(self):
        node, peer = self.joined()
        burst = peer.cmd("message_burst", peer=node.peer_id, count=300, body="n", timeout=60)
        self.assertEqual(set(burst["statuses"]), {"STORED"})
        rows = sorted(node.cli("inbox", "-n", 1000, code=0).json["items"], key=lambda r: r["received"])
        self.assertEqual(len(rows), 300)
        self.assertEqual(node.read_body(burst["message_ids"][0]), b"n 0")

    def test_from_the_node(self):
        node, peer = self.joined()
        node.cli("send", peer.peer_id, "Grüße", "--subject", "hello", "--wait=20s", code=0)
        [got] = peer.cmd("message_expect", count=1)["items"]
        self.assertEqual((got["text"], got["subject"], got["from"]), ("Grüße", "hello", node.peer_id))
        self.assertEqual(got["content_type"], "text/plain; charset=utf-8")
        self.assertGreater(got["expires_ms"], got["sent_ms"])
        body = os.urandom(MIB)
        with open(self.path("big"), "wb") as f:
            f.write(body)
        node.cli("send", peer.peer_id, "-f", self.path("big"), "--wait=20s", code=0)
        got = peer.cmd("message_expect", count=2)["items"][1]
        self.assertEqual(got["sha256"], hashlib.sha256(body).hexdigest())
        for i in range(50):
            node.cli("send", peer.peer_id, f"row {i}", code=0)
        items = peer.cmd("message_expect", count=52)["items"][2:]
        self.assertEqual([m["text"] for m in items], [f"row {i}" for i in range(50)])
        self.assertEqual(node.cli("outbox", code=0).json["items"], [])

    def test_busy_is_tried_again_in_order(self):
        for answer in ("BUSY", "NO_STATUS", "UNKNOWN", "RESET"):
            with self.subTest(answer=answer):
                node, peer = self.joined()
                peer.cmd("message_answer", answer=answer, count=2)
                for i in range(3):
                    node.cli("send", peer.peer_id, f"row {i}", code=0)
                items = peer.cmd("message_expect", count=3, timeout=30)["items"]
                self.assertEqual([m["text"] for m in items], ["row 0", "row 1", "row 2"])
                self.assertEqual({m["copies"] for m in items}, {1})

    def test_a_lost_receipt_makes_a_duplicate_once(self):
        node, peer = self.joined()
        peer.cmd("message_answer", answer="NONE")  # it is neither stored nor answered
        node.cli("send", peer.peer_id, "lost", code=0)
        wait_for("it went out", lambda: peer.cmd("message_log")["items"])
        peer.cmd("disconnect", peer=node.peer_id)
        peer.cmd("wait_gone", peer=node.peer_id)
        dial("js", node, peer)
        [got] = peer.cmd("message_expect", count=1, timeout=30)["items"]
        self.assertEqual(got["text"], "lost")

    def test_final_refusals(self):
        for answer in ("DENIED", "TOO_LARGE", "INVALID"):
            with self.subTest(answer=answer):
                node, peer = self.joined()
                peer.cmd("message_answer", answer=answer)
                sent = node.cli("send", peer.peer_id, "no", "--wait=20s", code=1)
                self.assertIn(answer.lower(), (sent.out + sent.err).lower())
                node.cli("send", peer.peer_id, "next", "--wait=20s", code=0)  # the next one goes on
                [row] = node.cli("outbox", code=0).json["items"]
                self.assertEqual(row["state"], "failed")

    def test_duplicate_counts_as_delivered(self):
        node, peer = self.joined()
        peer.cmd("message_answer", answer="DUPLICATE")
        node.cli("send", peer.peer_id, "twice", "--wait=20s", code=0)

    def test_strangers_are_denied_until_known(self):
        node, peer = self.joined(ini="", dialer="js")
        to = {"peer": node.peer_id}
        self.assertEqual(peer.cmd("message_send", body="hello", **to)["status"], "DENIED")
        self.assertEqual(node.inbox(), [])
        node.connect(peer.addr)
        self.assertEqual(peer.cmd("message_send", body="hello", **to)["status"], "STORED")

    def test_full_quota_is_busy(self):
        node, peer = self.joined(ini=FROM_ANY + "inboxPerPeer = 2\n")
        to = {"peer": node.peer_id}
        for _ in range(2):
            self.assertEqual(peer.cmd("message_send", body="fits", **to)["status"], "STORED")
        late = peer.start("message_send", body="waits", timeout=30, **to)
        wait_for("the third is tried", lambda: any(m["tries"] > 1 for m in peer.cmd("message_outbox")["items"]), 20)
        node.cli("inbox", "delete", node.inbox()[0]["id"], "--yes", code=0)
        self.assertEqual(late.wait()["status"], "STORED")

    def test_delivered_after_both_ends_were_away(self):
        key = self.path("js.key")
        port = None
        with SilkTalk(FROM_ANY) as node:
            with Peer("js", key_file=key) as peer:
                port = peer.addr.split("/tcp/")[1].split("/")[0]
                dial("silktalk", node, peer)
            node.wait_gone(peer.peer_id)
            node.cli("send", peer.peer_id, "later", code=0)
            node.kill()
            node.start()
            with Peer("js", key_file=key, listen=[f"/ip4/127.0.0.1/tcp/{port}"]) as peer:
                [got] = peer.cmd("message_expect", count=1, timeout=60)["items"]
                self.assertEqual((got["text"], got["copies"]), ("later", 1))

    def test_broken_frames_cost_their_stream_alone(self):
        node, peer = self.joined()
        to = {"peer": node.peer_id}
        message = bytes([0x0A, 16, *range(16), 0x10, 1, 0x22, 2]) + b"hi"  # id, sent_ms, body
        frame = bytes([0x0A, len(message)]) + message
        good = bytes([len(frame)]) + frame
        got = peer.cmd("message_raw", hex=(good + good).hex(), count=2, **to)
        self.assertEqual([f["status"] for f in got["frames"]], ["STORED", "DUPLICATE"])
        unknown = frame + bytes([0x9A, 0x06, 1, 7])  # field 99: to be ignored
        got = peer.cmd("message_raw", hex=(bytes([len(unknown)]) + unknown).hex(), **to)
        self.assertEqual([f["status"] for f in got["frames"]], ["DUPLICATE"])
        for what, data in {
            "frame beyond 4 MiB": b"\x81\x80\x80\x02",
            "length of five bytes": b"\xff\xff\xff\xff\x01",
            "not protobuf": b"\x03\xff\xff\xff",
            "id of 15 bytes": bytes([19, 0x0A, 17, 0x0A, 15]) + bytes(15),
            "message and receipt": bytes([len(frame) + 2]) + frame + b"\x12\x00",
        }.items():
            with self.subTest(what=what):
                self.assertEqual(peer.cmd("message_raw", hex=data.hex(), **to)["end"], "reset")
        for cut in range(1, len(good)):
            got = peer.cmd("message_raw", hex=good[:cut].hex(), half_close=True, **to)
            self.assertEqual((got["frames"], got["end"] in ("reset", "eof")), ([], True), cut)
        self.assertEqual(peer.cmd("message_raw", hex="", half_close=True, **to)["end"], "eof")
        self.assertEqual(len(node.inbox()), 1)
        peer.cmd("ping", peer=node.peer_id)


def main():
    for program in (BINARY, WIRE_TOOL):
        if not os.path.exists(program):
            print(f"interop: no {program}: `make check-scripts T=interop/interop` builds it")
            return 1
    try:
        build()
    except Skip as why:
        print(f"SKIPPED {why}")
        return SKIPPED
    result = unittest.main(exit=False, verbosity=2).result
    if not result.wasSuccessful():
        return 1
    for test, why in result.skipped:
        print(f"SKIPPED {test.id()}: {why}")
    return SKIPPED if result.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
