"""Two nodes and large files, for the scripts of this folder: files.sh, resume.sh, quiet.sh, rate.sh."""
import hashlib
import os
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
import silktalk  # noqa: E402  the executable under test, as the interop tests run it

silktalk.BINARY = os.path.abspath(os.environ.get("SILKTALK", silktalk.BINARY))
MIB = 1 << 20
QUICK = "[messages]\nfrom = any\nretryMin = 100ms\nretryMax = 1s\n{messages}\n[connection]\nredialMin = 100ms\n" \
        "redialMax = 500ms\n[files]\nfrom = any\n{files}\n{more}\n"


def check(good, *what):
    if not good:
        raise AssertionError(" ".join(map(str, what)) or "not so")


def node(files="", messages="", more="", network="", **rest):
    ini = QUICK.format(files=files, messages=messages, more=more)
    if "from =" in files:
        ini = ini.replace("from = any\n" + files, files)
    return silktalk.SilkTalk(ini=ini, network=network, binary=silktalk.BINARY, **rest)


def make_file(path, size, seed=1):
    """`size` bytes that no compression and no shift by a part would hide; returns their SHA-256."""
    total = hashlib.sha256()
    block = bytearray(hashlib.shake_256(seed.to_bytes(8, "big")).digest(MIB))
    with open(path, "wb") as f:
        at = 0
        while at < size:
            block[:8] = at.to_bytes(8, "big")
            part = memoryview(block)[: min(MIB, size - at)]
            f.write(part)
            total.update(part)
            at += len(part)
    return total.hexdigest()


def digest(path):
    total = hashlib.sha256()
    with open(path, "rb") as f:
        while part := f.read(MIB):
            total.update(part)
    return total.hexdigest()


def memory(pid, key="VmHWM"):
    """KiB of a process, by /proc; 0: it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def files(of, direction=None):
    rows = of.cli("file", "list", code=0).json["items"]
    return [r for r in rows if direction is None or r["direction"] == direction]


def file_of(of, file_id, direction):
    for row in files(of, direction):
        if row["id"] == file_id:
            return row
    return None


def wait_state(of, file_id, direction, *states, timeout=60):
    def look():
        row = file_of(of, file_id, direction)
        return row if row is not None and row["state"] in states else None

    return silktalk.wait_for(lambda: f"{direction} {file_id} {states}: {files(of)}\n{of.log()[-3000:]}", look, timeout)


def spawn(of, *words, **how):
    """The executable in the background."""
    import subprocess
    return subprocess.Popen([silktalk.BINARY, *map(str, words), "--home", of.home], env=silktalk.clean_environment(),
                            **how)


def folder():
    return tempfile.mkdtemp(prefix="silktalk-files-", dir=os.environ.get("TMPDIR"))


def now():
    return time.monotonic()
