"""kill -9 of sender and receiver while a large file moves; what came is compared, what was sent again is counted."""
import os
import random
import shutil
import time

from world import MIB, check, digest, files, folder, make_file, memory, node, now, silktalk, wait_state

SIZE = int(os.environ.get("FILE_MIB") or (256 if os.environ.get("CI") else 1024)) * MIB
KILLS = int(os.environ.get("FILE_KILLS", "8"))
SEED = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(1 << 32))
MEMORY_MAX = 32 * 1024  # KiB


class Side:
    def __init__(self, name, of):
        self.name, self.of, self.high = name, of, 0
        self.control, self.sent = None, {}

    def sample(self):
        """The most memory, and the bytes that each connection has sent."""
        self.high = max(self.high, memory(self.of.process.pid))
        try:
            self.control = self.control or self.of.control()
            for row in self.control.call("peers.list")["items"]:
                self.sent[row["since"], row["addr"]] = row["bytes_out"]
        except OSError:
            self.control = None

    def kill(self):
        self.sample()
        self.control = None
        self.of.kill()
        self.of.start()


def part_size(receiver):
    """Bytes in the receiver's folder: of the part, or of the whole file."""
    path = os.path.join(receiver.home, "files")
    try:
        return max([os.stat(os.path.join(path, f)).st_size for f in os.listdir(path)], default=0)
    except OSError:
        return 0


def main():
    rng = random.Random(SEED)
    print(f"seed {SEED}, {SIZE // MIB} MiB, {KILLS} kills and two while it is checked")
    work = folder()
    source = os.path.join(work, "big.bin")
    wanted = make_file(source, SIZE, SEED)
    a, b = node(), node()
    try:
        a.connect(b.addr)
        begin = now()
        sent = a.cli("send", b.peer_id, "-f", source, timeout=600, code=0).json["items"][0]
        check(sent["state"] == "queued", sent)
        os.remove(source)
        print(f"copied in {now() - begin:.1f} s")
        sender, receiver = Side("sender", a), Side("receiver", b)
        moments = sorted(rng.random() for _ in range(KILLS)) + [1.0, 1.0]
        victims = [rng.choice([sender, receiver]) for _ in range(KILLS)] + [receiver, sender]
        victims[0], victims[1] = sender, receiver  # both are hit, whatever the seed
        lost = 0
        begin = now()
        until = begin + 300
        for moment, victim in zip(moments, victims):
            while part_size(b) < moment * SIZE:
                check(now() < until, "stuck at", part_size(b), files(a), files(b), a.log()[-2000:], b.log()[-2000:])
                sender.sample()
                time.sleep(0.005)
            before = part_size(b)
            receiver.sample()
            victim.kill()
            row = files(b, "in")[0]
            again = before - row["done"] if row["state"] == "moving" and victim is receiver else 0
            lost += max(again, 0)
            print(f"  killed the {victim.name:8} at {before / SIZE:6.1%}: {row['state']} {row['done'] / MIB:.1f} MiB"
                  f" kept, {max(again, 0) / MIB:.1f} MiB to be written again")
        row = wait_state(b, sent["id"], "in", "complete", timeout=300)
        wait_state(a, sent["id"], "out", "complete", timeout=60)
        took = now() - begin
        for side in (sender, receiver):
            side.sample()
            check(0 < side.high < MEMORY_MAX, side.name, "took", side.high, "KiB")
        check(row["sha256"] == wanted, "another hash", row)
        check(digest(row["path"]) == wanted, "other bytes")
        check(len([m for m in b.inbox() if m["id"] == sent["id"]]) == 1, "not once in the inbox", b.inbox())
        check(not [f for f in os.listdir(os.path.join(b.home, "files")) if f.endswith(".part")], "a part was left")
        check(os.listdir(os.path.join(a.home, "data", "outgoing")) == [], "the sender kept its copy")
        onwire = sum(sender.sent.values())
        print(f"{took:.1f} s; VmHWM: sender {sender.high} KiB, receiver {receiver.high} KiB;"
              f" {lost / MIB:.1f} MiB written again, {(onwire - SIZE) / MIB:.1f} MiB sent again (as seen at the"
              f" last look before each kill)")
        check(a.stop() == 0 and b.stop() == 0, "no orderly stop")
    except BaseException:
        print(a.log()[-3000:], b.log()[-3000:], sep="\n----\n")
        raise
    finally:
        for of in (a, b):
            of.kill()
            of.drop_home()
        shutil.rmtree(work, ignore_errors=True)


main()
