#!/usr/bin/env python3
"""SilkTalk nodes with each other: what the operator of one sees of the other.

Usage: connect_test.py [-v] [Class | Class.test]…
Exit: 0 all held; 1 not; 77 a part can't be run here, with the reason.
"""
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer import SKIPPED, swarm_key  # noqa: E402
from silktalk import BINARY, SilkTalk, clean_environment, wait_for  # noqa: E402

DEBUG = "[logging]\nlevel = debug\n"
INSIDE = "SILKTALK_TEST_WITHOUT_IPV6"
FAILED, USAGE, NOT_FOUND, DENIED, VERIFICATION = 1, 2, 4, 5, 7


def address(node):
    """A node's address without /p2p/."""
    return node.addr.split("/p2p/")[0]


def on_terminal(node, words, answer):
    """Runs the executable on a terminal, answers its question: exit code and all that it wrote."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(BINARY, [BINARY, *words, "--home", node.home], {**clean_environment(), "TERM": "xterm"})
    seen = b""
    try:
        while True:
            part = os.read(fd, 4096)
            if not part:
                break
            seen += part
            if answer is not None and b"[y/N]" in seen:
                os.write(fd, answer.encode() + b"\n")
                answer = None
    except OSError:  # Linux says EIO when the program has closed its terminal
        pass
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


class WithoutIdentity(unittest.TestCase):
    """`connect` to an address without /p2p/: who answers there is shown, and nothing is done without a yes."""

    def unchanged(self, node, other):
        """Looking has made nobody known, let alone one whose messages are taken."""
        self.assertFalse(node.connected(other.peer_id))
        shown = node.peer_show(other.peer_id)
        self.assertEqual((shown["known_as"], shown["may_send"]), ([], False))
        self.assertFalse(any(a["operator"] for a in shown["addresses"]))

    def test_not_a_terminal(self):
        with SilkTalk() as node, SilkTalk() as other:
            got = node.cli("connect", address(other), as_json=False)
            self.assertEqual((got.code, got.out.strip()), (USAGE, other.addr))
            self.assertIn(other.peer_id, got.err)
            self.unchanged(node, other)
            self.assertIn('"silktalk.error/1"', node.cli("connect", address(other)).err)
            self.unchanged(node, other)

    def test_answer_no(self):
        with SilkTalk() as node, SilkTalk() as other:
            for answer in ("n", "", "nonsense"):
                code, text = on_terminal(node, ["connect", address(other)], answer)
                self.assertIn(other.peer_id, text.split("[y/N]")[0])
                self.assertEqual(code, USAGE, text)
                self.unchanged(node, other)
            # nor does the node connect to it by itself later, or take its messages
            self.assertEqual(other.cli("connect", node.addr).code, 0)
            other.cli("send", node.peer_id, "let me in", "--wait=20s", code=FAILED)
            self.assertEqual(node.inbox(), [])

    def test_answer_yes(self):
        with SilkTalk() as node, SilkTalk() as other:
            code, text = on_terminal(node, ["connect", address(other)], "y")
            self.assertIn(other.peer_id, text.split("[y/N]")[0])
            self.assertEqual(code, 0, text)
            self.assertIn(f"Connected to {other.peer_id}", text)
            node.wait_peer(other.peer_id)
            self.assertEqual(node.peer_show(other.peer_id)["known_as"], ["connected"])

    def test_yes_given(self):
        with SilkTalk() as node, SilkTalk() as other:
            got = node.cli("connect", address(other), "--yes", code=0).json
            self.assertEqual((got["peer_id"], got["connected"]), (other.peer_id, True))
            node.wait_peer(other.peer_id)

    def test_nobody_there(self):
        with SilkTalk() as node, SilkTalk() as other:
            other.stop()
            got = node.cli("connect", address(other), "--yes", as_json=False, code=FAILED)
            self.assertIn("refused", got.err)

    def test_wrong_identity(self):
        with SilkTalk() as node, SilkTalk() as other, SilkTalk() as third:
            claimed = f"{address(other)}/p2p/{third.peer_id}"
            got = node.cli("connect", claimed, as_json=False, code=VERIFICATION)
            self.assertIn(other.peer_id, got.err)  # who it is instead
            self.assertIn('"name":"verification"', node.cli("connect", claimed, code=VERIFICATION).err)
            self.assertEqual(node.peers(), [])
            self.assertIn("identity", [row["step"] for row in node.cli("explain", third.peer_id).json["items"]])


class Bootstrap(unittest.TestCase):
    def known(self, node):
        [item] = node.cli("bootstrap", "list", code=0).json["items"]
        return item

    def test_comes_back_after_it_was_down(self):
        with SilkTalk() as server:
            there, who = server.addr, server.peer_id
            server.stop()
            redial = "[connection]\nredialMin = 1s\nredialMax = 4s\n"
            begin = time.monotonic()
            with SilkTalk(f"{redial}[discovery]\nbootstrap = {there}\n") as node:
                wait_for("five attempts", lambda: self.known(node)["tries"] >= 5, 60)
                # 1, 1, 2 and 4 s between them, each less 25 % at most: sooner would be no backoff
                self.assertGreaterEqual(time.monotonic() - begin, 0.75 * (1 + 1 + 2 + 4))
                server.start()
                wait_for("connected", lambda: self.known(node)["state"] == "connected", 60)
                self.assertTrue(node.connected(who))
                server.kill()
                wait_for("gone", lambda: self.known(node)["state"] != "connected", 60)
                server.start()
                wait_for("connected again", lambda: self.known(node)["state"] == "connected", 60)
                server.cli("disconnect", node.peer_id, code=0)
                wait_for("connected once more", lambda: len(node.log_lines("Peer connected", peer=who)) == 3, 60)


class Access(unittest.TestCase):
    """Who may connect: as the dialled node and as the dialling one, from the start and by reload."""

    def refused(self, node, rule, **keys):
        line = node.wait_log("Failed access", **keys)
        self.assertRegex(line, f'rule="?{re.escape(rule)}"?( |$)')
        self.assertEqual((node.peers(), node.log_lines("Peer connected")), ([], []))

    def test_denied_peer(self):
        with SilkTalk() as dialer, SilkTalk(f"[access]\ndenyPeers = {dialer.peer_id}\n") as node:
            dialer.cli("connect", node.addr)
            self.refused(node, "denyPeers", peer=dialer.peer_id)
            dialer.wait_gone(node.peer_id)
            got = node.cli("connect", dialer.addr, as_json=False, code=DENIED)  # nor does it dial who is denied
            self.assertIn("access.denyPeers", got.err)

    def test_denied_block(self):
        with SilkTalk() as dialer, SilkTalk("[access]\ndenyCidrs = 127.0.0.0/8\n") as node:
            self.assertNotEqual(dialer.cli("connect", node.addr).code, 0)
            self.refused(node, "denyCidrs")
            got = node.cli("connect", dialer.addr, as_json=False, code=DENIED)
            self.assertIn("access.denyCidrs", got.err)

    def test_allowlist(self):
        with SilkTalk() as friend, SilkTalk() as stranger:
            only = f"[access]\nmode = allowlist\nallowPeers = {friend.peer_id}\n"
            with SilkTalk(only) as node:
                stranger.cli("connect", node.addr)
                self.refused(node, "mode=allowlist", peer=stranger.peer_id)
                friend.connect(node.addr)
                node.wait_peer(friend.peer_id)
                node.cli("connect", stranger.addr, code=DENIED)
                self.assertEqual([p["peer_id"] for p in node.peers()], [friend.peer_id])

    def test_allowed_block(self):
        with SilkTalk("[access]\nallowCidrs = 127.0.0.1/32\n") as node:
            with socket.create_connection(("127.0.0.1", node.port), 10, ("127.9.9.9", 0)) as s:
                s.settimeout(20)
                try:
                    self.assertEqual(s.recv(1), b"")  # closed, without a byte
                except ConnectionResetError:
                    pass
            self.refused(node, "allowCidrs")
            with SilkTalk() as friend:
                friend.connect(node.addr)
                node.wait_peer(friend.peer_id)

    def test_reload_ends_who_is_denied_now(self):
        with SilkTalk() as node, SilkTalk() as other, SilkTalk() as third:
            for peer in (other, third):
                node.connect(peer.addr)
            node.cli("config", "set", "access.denyPeers", other.peer_id, code=0)
            node.wait_gone(other.peer_id)
            self.assertIn("access.denyPeers", node.wait_log("Peer disconnected", peer=other.peer_id))
            self.assertTrue(node.connected(third.peer_id))
            node.cli("connect", other.addr, code=DENIED)
            node.cli("config", "unset", "access.denyPeers", code=0)
            node.connect(other.addr)


class Probes(unittest.TestCase):
    """`nc -z` and load balancers open the port and go: no failed handshake, no line that asks for an operator."""

    def probe(self, node, times, reset):
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", node.port), 10) as s:
                if reset:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for("all are seen", lambda: len(node.log_lines("Connection probed")) == times, 20)
        log = node.log()
        for word in ("Failed", "WARN", "ERROR"):
            self.assertNotIn(word, log)
        self.assertEqual(node.cli("status", code=0).json["messages"]["errors_percent"], 0)

    def test_connect_and_close(self):
        for reset in (False, True):
            with self.subTest(reset=reset), SilkTalk(DEBUG) as node:
                self.probe(node, 10, reset)

    def test_in_a_private_network(self):
        """There the node speaks first, so that a close with its bytes unread comes as a reset."""
        for reset in (False, True):
            with self.subTest(reset=reset), SilkTalk(start=False) as keep:
                key = swarm_key(os.path.join(keep.home, "key"), bytes(range(32)))
                with SilkTalk(DEBUG, swarm_key=key) as node:
                    self.probe(node, 10, reset)

    def test_nonsense_is_a_failed_handshake(self):
        """That the tests above can fail."""
        with SilkTalk(DEBUG) as node:
            with socket.create_connection(("127.0.0.1", node.port), 10) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n" * 10)
                node.wait_log("Failed handshake")


class WithoutIPv6(unittest.TestCase):
    """In a network namespace that has loopback alone, with IPv6 switched off in the kernel."""

    def test_listens_and_dials(self):
        enter = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
        setup = ("ip link set lo up && for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done && "
                 "test $(cat /proc/sys/net/ipv6/conf/lo/disable_ipv6) = 1")
        if not os.path.exists("/proc/net/if_inet6"):
            setup = "ip link set lo up"  # this kernel has none anyway
        try:
            can = subprocess.run([*enter, "sh", "-c", setup], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            self.skipTest("no unshare here")
        if can.returncode != 0:
            self.skipTest(f"no network namespace of one's own here: {can.stderr.strip()}")
        inside = f"{setup} && exec {sys.executable} {os.path.abspath(__file__)} NoIPv6"
        done = subprocess.run([*enter, "sh", "-c", inside], env={**os.environ, INSIDE: "1"}, capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Ran 2 tests", done.stderr)


class NoIPv6(unittest.TestCase):
    """The inner part of WithoutIPv6."""

    def both(self):
        node = SilkTalk(start=False)
        with open(os.path.join(node.home, "config.ini"), "w", encoding="utf-8") as f:
            f.write(f"[network]\nlisten = {node.listen}, /ip6/::/tcp/{node.port}, /ip6/::1/tcp/{node.port}\n")
        return node

    def test_ipv6_is_off(self):
        with socket.socket(socket.AF_INET6) as s, self.assertRaises(OSError):
            s.bind(("::1", 0))

    def test_start_and_dial(self):
        with self.both() as node, self.both() as other:
            for each in (node, other):
                each.start()
                self.assertIn(f"addr=[::1]:{each.port}", each.wait_log("Listener skipped addr=[::1]"))
                self.assertEqual(each.log_lines("Start refused"), [])
            six = f"/ip6/::1/tcp/{other.port}/p2p/{other.peer_id}"
            got = node.cli("connect", six, as_json=False)
            self.assertEqual(got.code, NOT_FOUND, got.err)
            self.assertIn("[::1]", got.err)
            node.connect(other.addr)  # both addresses are known now: IPv6 is tried first and hinders nothing
            node.wait_peer(other.peer_id)
            self.assertEqual(len(node.peer_show(other.peer_id)["addresses"]), 2)
            node.cli("disconnect", other.peer_id, code=0)
            node.cli("connect", other.peer_id, code=0)
            node.wait_peer(other.peer_id)


def main():
    tests = sys.argv[1:] or ["WithoutIdentity", "Bootstrap", "Access", "Probes", "WithoutIPv6"]
    suite = unittest.defaultTestLoader.loadTestsFromNames([t for t in tests if t != "-v"], sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        return 1
    for test, why in result.skipped:
        print(f"SKIPPED {test.id()}: {why}")
    return SKIPPED if result.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
