"""p99 of small messages' latency, idle and while a file moves. Prints both; fails far beyond the aim only."""
import os
import shutil
import time

import world
from silktalk import Control
from world import MIB, check, files, make_file

MOST = float(os.environ.get("MOST", "10"))
COUNT = int(os.environ.get("COUNT", "300"))


def latencies(a, b, count, until=None):
    control = Control(a.home + "/control.sock")
    times = []
    while len(times) < count and (until is None or until()):
        time.sleep(0.01)
        begin = time.monotonic()
        r = control.call("send", {"peer": b.peer_id, "body": "x" * 100, "wait": True})
        check(r["items"][0]["state"] == "stored", r)
        times.append(time.monotonic() - begin)
    control.close()
    return sorted(times)


def main():
    folder = world.folder()
    try:
        with world.node() as a, world.node(more="[limits]\n") as b:
            a.cli("connect", f"{b.listen}/p2p/{b.peer_id}", code=0)
            latencies(a, b, 20)
            idle = latencies(a, b, COUNT)
            path = folder + "/large"
            make_file(path, int(os.environ.get("FILE_MIB", "1024")) * MIB)
            sending = world.spawn(a, "send", b.peer_id, "-f", path, "--wait=100s", "-q")
            world.silktalk.wait_for("it moves", lambda: any(r["done"] > 0 for r in files(b, "in")), 60)
            busy = latencies(a, b, COUNT, lambda: sending.poll() is None)
            check(sending.wait(100) == 0)
            check(len(busy) >= 50, f"the file was too quick: {len(busy)} messages; a larger FILE_MIB is needed")
            p99 = lambda t: t[len(t) * 99 // 100] * 1000
            p50 = lambda t: t[len(t) // 2] * 1000
            print(f"{len(busy)} messages while the file moved: p50 {p50(busy):.1f} ms (idle {p50(idle):.1f}), "
                  f"p99 {p99(busy):.1f} ms (idle {p99(idle):.1f}): {p99(busy) / p99(idle):.1f}x")
            check(p99(busy) < max(MOST * p99(idle), 100), "small messages wait for the file")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
