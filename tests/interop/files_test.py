"""Large files between the node and tests/interop/peers/js/silktalk-file.js: whole, broken and resumed, refused, lied about."""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "files"))
import world  # noqa: E402  it also finds the modules of this folder
from peer import Peer, Skip, build  # noqa: E402
from silktalk import wait_for  # noqa: E402
from world import MIB, check, digest, files, make_file, wait_state  # noqa: E402

SIZE = 20 * MIB + 12345


def row_of(node, name):
    return next((r for r in files(node, "in") if r["name"] == name), None)


def to_the_node(node, peer, folder):
    path = folder + "/up"
    wanted = make_file(path, SIZE)
    to = {"peer": node.peer_id, "path": path}
    got = peer.cmd("file_send", name="whole.bin", **to)
    check(got["status"] == "STORED" and got["sent"] == SIZE, got)
    check(any(a["status"] == "TAKEN" and a["offset"] > 0 for a in got["answers"]), "it is told what is on disk", got)
    row = row_of(node, "whole.bin")
    check(row["state"] == "complete" and row["sha256"] == wanted and digest(row["path"]) == wanted, row)
    again = peer.cmd("file_send", name="whole.bin", file_id=got["file_id"], **to)
    check(again["status"] == "DUPLICATE" and again["sent"] == 0, again)

    broken = peer.cmd("file_send", name="resumed.bin", cut=12 * MIB, **to)
    check(broken["status"] == "BROKEN" and row_of(node, "resumed.bin")["state"] != "complete", broken)
    rest = peer.cmd("file_send", name="resumed.bin", file_id=broken["file_id"], **to)
    offset = rest["answers"][0]["offset"]
    check(rest["status"] == "STORED" and 0 < offset <= 13 * MIB and rest["sent"] == SIZE - offset, rest)
    check(digest(row_of(node, "resumed.bin")["path"]) == wanted)

    empty = folder + "/empty"
    make_file(empty, 0)
    check(peer.cmd("file_send", name="empty", peer=node.peer_id, path=empty)["status"] == "STORED")
    check(os.path.getsize(row_of(node, "empty")["path"]) == 0)

    small = folder + "/small"
    make_file(small, 3 * MIB)
    small_to = {"peer": node.peer_id, "path": small}
    lied = peer.cmd("file_send", name="wrong-hash", lie={"hash": "00" * 32}, **small_to)
    check(lied["status"] == "BUSY", lied)
    more = peer.cmd("file_send", name="more", extra=1000, lie={"size": 2 * MIB}, **small_to)
    check(more["status"] == "BROKEN", more)
    for name in ("wrong-hash", "more"):
        row = row_of(node, name)
        check(row is None or row["state"] != "complete", row)
    check(not [n for n in os.listdir(node.home + "/files") if n.endswith(("-wrong-hash", "-more"))])
    for name in ("../up", ".hidden", "a/b", "-rf", "esc\x1b[2J"):
        check(peer.cmd("file_send", name=name, **small_to)["status"] == "INVALID", name)
    different = peer.cmd("file_send", name="resumed.bin", file_id=broken["file_id"], **small_to)
    check(different["status"] in ("INVALID", "DUPLICATE") and different["sent"] == 0, different)
    node.cli("config", "set", "files.maxSize", "1MiB", code=0)
    check(peer.cmd("file_send", name="large", **small_to)["status"] == "TOO_LARGE")
    node.cli("config", "set", "files.maxSize", "4GiB", code=0)
    print("to the node: whole, again, cut and resumed, empty; a wrong hash, more bytes, bad names, too large: refused")


def by_acceptance(node, peer, folder):
    path = folder + "/up"
    node.cli("config", "set", "files.from", "none", code=0)
    call = peer.start("file_send", name="asked.bin", peer=node.peer_id, path=path)
    wait_for("the offer is shown", lambda: (row_of(node, "asked.bin") or {}).get("state") == "offered")
    check(not [n for n in os.listdir(node.home + "/files") if "asked" in n], "nothing of it is here")
    node.cli("file", "accept", row_of(node, "asked.bin")["id"], code=0)
    got = call.wait()
    check(got["status"] == "STORED" and got["answers"][0]["status"] == "OFFERED", got)
    call = peer.start("file_send", name="unwanted.bin", peer=node.peer_id, path=path)
    wait_for("the offer is shown", lambda: (row_of(node, "unwanted.bin") or {}).get("state") == "offered")
    node.cli("file", "cancel", "--yes", row_of(node, "unwanted.bin")["id"], code=0)
    check(call.wait()["status"] == "DENIED")
    node.cli("config", "set", "files.from", "any", code=0)
    print("offers wait for `file accept`; `file cancel` denies them")


def from_the_node(node, peer, folder):
    path = folder + "/down"
    wanted = make_file(path, SIZE, seed=2)

    def send(name):
        os.replace(shutil.copy(path, folder + "/" + name + ".x"), folder + "/" + name)
        return node.cli("send", peer.peer_id, "-f", folder + "/" + name, "--wait=60s")

    r = send("first.bin")
    check(r.code == 0, r.out, r.err)
    [got] = peer.cmd("file_received")["items"]
    check(got["name"] == "first.bin" and got["size"] == SIZE and got["sha256"] == wanted and got["offers"] == 1, got)
    peer.cmd("file_policy", break_after=[5 * MIB, 3 * MIB])
    r = send("second.bin")
    check(r.code == 0, r.out, r.err)
    got = peer.cmd("file_received")["items"][-1]
    check(got["sha256"] == wanted and got["offers"] == 3, got)
    for answer in ("DENIED", "TOO_LARGE", "INVALID"):
        peer.cmd("file_policy", answer=answer)
        r = send("refused.bin")
        check(r.code == 1 and answer in r.out + r.err, r.out, r.err)
    peer.cmd("file_policy", answer="OFFERED")
    p = world.spawn(node, "send", peer.peer_id, "-f", path, "--wait=60s", "--json")
    wait_for("it waits for its acceptance", lambda: any(r["state"] == "offered" for r in files(node, "out")))
    peer.cmd("file_policy")
    check(p.wait(60) == 0)
    peer.cmd("file_policy", answer="BUSY")
    p = world.spawn(node, "send", peer.peer_id, "-f", path, "--wait=60s", "--json")
    wait_for("it is tried again", lambda: any("busy" in (r["last_error"] or "") for r in files(node, "out")), 20)
    peer.cmd("file_policy")
    check(p.wait(60) == 0)
    check(all(i["sha256"] == wanted for i in peer.cmd("file_received")["items"]))
    print("from the node: whole, broken twice and resumed, denied, too large, invalid, offered, busy")


def main():
    folder = world.folder()
    try:
        build("js")
        with world.node() as node, Peer("js") as peer:
            peer.cmd("connect", addr=f"{node.listen}/p2p/{node.peer_id}")
            to_the_node(node, peer, folder)
            by_acceptance(node, peer, folder)
            from_the_node(node, peer, folder)
    except Skip as why:
        print(why)
        sys.exit(77)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
