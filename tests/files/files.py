"""send -f beyond maxBody, `file list|accept|save|cancel`, files.from, quotas, sizes, names, sources that are no files."""
import os
import shutil
import subprocess

import world
from silktalk import wait_for
from world import MIB, check, digest, files, make_file, wait_state

SIZE = 3 * MIB


def connect(a, b):
    a.cli("connect", f"{b.listen}/p2p/{b.peer_id}", code=0)


def send(a, b, path, *more):
    return a.cli("send", b.peer_id, "-f", path, *more)


def whole_life(a, b, folder):
    path = folder + "/report 1.bin"
    wanted = make_file(path, SIZE)
    r = send(a, b, path, "--wait=60s", "-s", "monthly")
    check(r.code == 0, r.out, r.err)
    file_id = r.json["items"][0]["id"]
    [row] = files(b, "in")
    check(row["id"] == file_id and row["state"] == "complete" and row["bytes"] == SIZE and row["name"] == "report 1.bin", row)
    check(row["sha256"] == wanted and os.stat(row["path"]).st_mode & 0o777 == 0o600 and row["peer_id"] == a.peer_id, row)
    [mail] = b.cli("inbox", code=0).json["items"]
    check(mail["file"] == "report 1.bin" and mail["subject"] == "monthly", mail)
    table = subprocess.run([world.silktalk.BINARY, "file", "list", "--home", b.home], capture_output=True, text=True, check=True)
    check(table.stdout.split("\n")[0].split() == ["ID", "PEER-ID", "DIRECTION", "STATE", "BYTES", "DONE", "NAME"], table.stdout)
    check("\r" not in table.stderr + table.stdout)

    out = folder + "/out"
    os.mkdir(out)
    b.cli("file", "save", file_id[:8], out, code=0)
    check(digest(out + "/report 1.bin") == wanted)
    r = b.cli("file", "save", file_id, out)
    check(r.code == 1 and "is there already" in r.err, r.err)
    os.symlink("/etc/passwd", folder + "/link")
    r = b.cli("file", "save", file_id, folder + "/link")
    check(r.code == 1 and os.readlink(folder + "/link") == "/etc/passwd", r.err)
    check(b.cli("file", "save", "ffffffff", out).code == 4)
    with open(row["path"], "r+b") as f:  # the disk rots
        f.seek(SIZE // 2)
        f.write(b"XXXX")
    r = b.cli("file", "save", file_id, folder + "/damaged")
    check(r.code == 7 and not os.path.exists(folder + "/damaged"), r.err)
    check(not [n for n in os.listdir(folder) if n.endswith(".part")])

    before = b.cli("status", code=0).json["files"]["stored_bytes"]
    check(b.cli("file", "cancel", file_id).code == 2 and os.path.exists(row["path"]), "it asks")
    b.cli("file", "cancel", "--dry-run", file_id, code=0)
    check(os.path.exists(row["path"]))
    b.cli("file", "cancel", "--yes", file_id, code=0)
    check(not os.path.exists(row["path"]) and before - b.cli("status", code=0).json["files"]["stored_bytes"] == SIZE)
    print("sent, listed, in the inbox, saved (never over another, never damaged), cancelled")


def who_may(a, b, folder):
    path = folder + "/report 1.bin"
    b.cli("config", "set", "files.from", "none", code=0)
    send(a, b, path)
    offer = wait_for("an offer", lambda: next((r for r in files(b, "in") if r["state"] == "offered"), None))
    check(not [n for n in os.listdir(b.home + "/files") if n.startswith("%08d" % 2)], "nothing of it is kept")
    b.cli("file", "accept", "--dry-run", offer["id"], code=0)
    check(files(b, "in")[-1]["state"] == "offered")
    b.cli("file", "accept", offer["id"], code=0)
    wait_state(b, offer["id"], "in", "complete")
    for rule, state in (("allowed", "offered"), ("known", "offered")):
        b.cli("config", "set", "files.from", rule, code=0)
        sent = send(a, b, path).json["items"][0]["id"]
        wait_state(b, sent, "in", state)
        b.cli("file", "cancel", "--yes", sent, code=0)
        check(wait_state(a, sent, "out", "failed")["last_error"] == "DENIED")
    b.cli("peer", "name", a.peer_id, "friend", code=0)
    sent = send(a, b, path).json["items"][0]["id"]
    wait_state(b, sent, "in", "complete")  # known by its name
    b.cli("config", "set", "files.from", "allowed", code=0)
    b.cli("config", "set", "access.allowPeers", a.peer_id, code=0)
    sent = send(a, b, path).json["items"][0]["id"]
    wait_state(b, sent, "in", "complete")
    b.cli("config", "set", "files.from", "any", code=0)
    print("files.from none, allowed, known: an offer, or taken; accepted or denied by the operator")


def limits(a, b, folder):
    path = folder + "/report 1.bin"
    b.cli("config", "set", "files.maxSize", "1MiB", code=0)
    r = send(a, b, path, "--wait=30s")
    check(r.code == 1 and "TOO_LARGE" in r.out, r.out, r.err)
    b.cli("config", "set", "files.maxSize", "4GiB", code=0)
    kept = b.cli("status", code=0).json["files"]["stored_bytes"]
    b.cli("config", "set", "files.quota", f"{kept + MIB}B", code=0)
    r = send(a, b, path, "--wait=2s")
    check(r.code == 8, "full at the receiver is BUSY, and waits", r.out, r.err)
    sent = r.json["items"][0]["id"]
    row = next(r for r in files(a, "out") if r["id"] == sent)
    check("busy" in (row["last_error"] or ""), row)
    b.cli("config", "set", "files.quota", "16GiB", code=0)
    wait_state(b, sent, "in", "complete")
    wait_for("it has gone out", lambda: not any(r["state"] in ("moving", "offered") for r in files(a, "out")))
    a.cli("config", "set", "files.quota", "2MiB", code=0)
    r = send(a, b, path)
    check(r.code == 9 and "files.quota" in r.err, r.err)
    check(not os.listdir(a.home + "/data/outgoing"), "nothing is left of it")
    a.cli("config", "set", "files.quota", "16GiB", code=0)
    for source, code in ((folder, (6,)), (folder + "/missing", (4, 6)), ("/dev/zero", (6,))):
        r = send(a, b, source)
        check(r.code in code, source, r.code, r.err)
    odd = folder + "/-dash"
    shutil.copy(path, odd)
    r = send(a, b, odd)
    check(r.code in (0, 6), r.err)  # a name that a receiver would refuse is refused here, or sent under another
    os.chmod(path, 0)
    if os.getuid() != 0:
        check(send(a, b, path).code == 5)
    print("maxSize, quotas at both ends, folders, devices, missing files: an outcome and a sentence each")


def main():
    folder = world.folder()
    try:
        with world.node() as a, world.node() as b:
            connect(a, b)
            whole_life(a, b, folder)
            who_may(a, b, folder)
            limits(a, b, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
