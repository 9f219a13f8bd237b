#!/usr/bin/env python3
"""An old JavaScript installation is brought over: its configuration, its Peer ID from each form of key, its data
moved aside; nothing is overwritten, dropped silently, or lost at a full disk.

Environment: SILKTALK, BUILD; OLD_INSTALL: a command that makes keys with js-libp2p itself (FORM FILE [KIND], prints
the Peer ID); without it, keys that js-libp2p made before. Prints what went wrong; exit 0 when nothing did."""
import base64
import binascii
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile

EXE = os.environ.get("SILKTALK", "build/silktalk")
FULL = os.path.join(os.environ.get("BUILD", "build"), "full", "silktalk")
PEER = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
# made by js-libp2p 3.3 for this test; tests/crypto/identity_import_test.c has one for each form
SECRET = base64.b64decode("CAESQEBlO+ePLRKUTVPqkxdJIgqF/Tu+8d+8eX1sAgQPGFn6untriwot4jerRAYqeKtVJRVW2M7WuWJ7h/JdMV9BNQ4=")
SECRET_ID = "12D3KooWNNK9t8fEi3YCawFdoZ9rT1Y4n41aCc9TFaotMitZ1kkd"
MANUAL = {"connection": {"maxConnections": 500, "minConnections": 20, "maxConnectionsPerPeer": 10}, "logging": {"level": "warn"}}
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def make_key(form, path):
    if "OLD_INSTALL" in os.environ:
        r = subprocess.run([*shlex.split(os.environ["OLD_INSTALL"]), form, path], stdout=subprocess.PIPE, text=True, check=True)
        return r.stdout.strip()
    seed = SECRET[4:36]
    der = bytes.fromhex("302e020100300506032b657004220420") + seed
    data = {"protobuf": SECRET, "base64": base64.b64encode(SECRET), "hex": binascii.hexlify(SECRET) + b"\n",
            "json": json.dumps({"id": SECRET_ID, "privKey": base64.b64encode(SECRET).decode()}).encode(),
            "pem": b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) + b"\n-----END PRIVATE KEY-----\n",
            "raw": SECRET[4:], "seed": seed}[form]
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o600)
    return SECRET_ID


def old_installation(path, form="protobuf", config=None, key=True, data=True):
    os.makedirs(path, 0o700)
    with open(path + "/config.json", "w", encoding="utf-8") as f:
        json.dump(MANUAL if config is None else config, f, indent=2)
    if data:
        os.makedirs(path + "/data/dht")
        with open(path + "/data/dht/CURRENT", "w", encoding="utf-8") as f:
            f.write("MANIFEST-000001\n")
    return make_key(form, path + "/identity.key") if key else None


def content(path):
    """Everything below a folder: names, modes, bytes."""
    out = {}
    for folder, _, names in os.walk(path):
        for n in names:
            p = f"{folder}/{n}"
            with open(p, "rb") as f:
                out[os.path.relpath(p, path)] = (f.read(), stat.S_IMODE(os.stat(p).st_mode))
    return out


def run(verb, *args, exe=EXE, code=None, env=None):
    e = {k: v for k, v in os.environ.items() if not k.startswith("SILKTALK_")}
    e.update(env or {})
    r = subprocess.run([exe, verb, *map(str, args)], env=e, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                       text=True, errors="replace", stdin=subprocess.DEVNULL)
    if code is not None:
        check(r.returncode == code, f"{verb} {' '.join(map(str, args))}: exit {r.returncode}, not {code}: "
                                    f"{r.stdout.strip()} {r.stderr.strip()}")
    return r


def get(home, key):
    return run("config", "get", key, "--home", home, code=0).stdout.strip()


def peer_id(home):
    return json.loads(run("id", "--json", "--home", home, code=0).stdout or "{}").get("peer_id")


def elsewhere(work):
    """Each form of key, from a folder to a new home: the old one stays as it is."""
    for form in ("protobuf", "base64", "json", "pem", "raw", "seed", "hex"):
        old, home = f"{work}/old-{form}", f"{work}/new-{form}"
        wanted = old_installation(old, form)
        before = content(old)
        run("import", old, "--home", home, "--dry-run", code=0)
        check(not os.path.exists(home), f"{form}: --dry-run made something")
        r = run("import" if form != "hex" else "migrate", old, "--home", home, code=0)
        check(wanted in r.stdout, f"{form}: {r.stdout}")
        check(peer_id(home) == wanted, f"{form}: {peer_id(home)}, not {wanted}")
        check(content(old) == before, f"{form}: the old files changed")
        check(stat.S_IMODE(os.stat(home + "/identity.key").st_mode) == 0o600, f"{form}: mode")
        values = {"connection.maxConnections": "500", "connection.minConnections": "20",
                  "connection.maxConnectionsPerPeer": "10", "logging.level": "warn"}
        for k, v in values.items():
            check(get(home, k) == v, f"{form}: {k} = {get(home, k)}")
        items = json.loads(run("config", "history", "--json", "--home", home, code=0).stdout)["items"]
        check(items[0]["command"] == "import" and len(items[0]["changes"]) == 4, f"{form}: history {items}")
        again = content(home)
        r = run("import", old, "--home", home, code=1)
        check("nothing is overwritten" in r.stderr and r.stderr.count("\n") == 1 and content(home) == again, f"{form}: twice: {r.stderr}")


def in_place(work):
    """In ~/.silktalk itself: the key gets our form, the data folder makes room; the daemon asks for it."""
    for form, mode in (("protobuf", 0o600), ("base64", 0o644), ("pem", 0o600), ("json", 0o644)):
        home = f"{work}/place-{form}"
        wanted = old_installation(home, form)
        os.chmod(home + "/identity.key", mode)
        before = content(home)
        r = run("daemon", "--home", home, code=6)
        check("silktalk import" in r.stderr and before.items() <= content(home).items(), f"daemon: {r.stderr}")
        check(not os.path.exists(home + "/config.ini"), "daemon made a configuration")
        r = run("start", "--home", home, "--timeout", "20s", code=6)
        check("silktalk import" in r.stderr, f"start: {r.stderr}")
        run("import", "--home", home, code=0)
        check(peer_id(home) == wanted, f"in place, {form}: {peer_id(home)}, not {wanted}")
        after = content(home)
        check(after["config.json"] == before["config.json"], f"{form}: config.json")
        moved = [n for n in after if n.startswith("data.old-") and n.endswith("/dht/CURRENT")]
        check(len(moved) == 1 and after[moved[0]] == before["data/dht/CURRENT"], f"{form}: the data folder: {list(after)}")
        kept = [n for n in after if n.startswith("identity.key.old-")]
        check(len(kept) == (form in ("pem", "json")), f"{form}: {kept}")
        for n in kept:
            check(after[n] == (before["identity.key"][0], 0o600), f"{form}: the old key")
        check(after["identity.key"][1] == 0o600, f"{form}: mode of the key")
        run("config", "set", "network.listen", "/ip4/127.0.0.1/tcp/0", "--home", home, code=0)
        run("config", "set", "http.listen", "off", "--home", home, code=0)
        run("start", "--home", home, code=0)
        status = run("status", "--home", home, code=0).stdout
        check(wanted[:12] in status, f"{form}: status {status}")
        run("stop", "--home", home, code=0)
        with open(home + "/log/silktalk.log", encoding="utf-8") as f:
            check("Old installation found" in f.read(), f"{form}: no warning of config.json beside CONF")


def everything(work):
    """Durations, sizes, lists, other names; what has no place is left as comments, exit 8."""
    config = {
        "node": {"name": "web-01"},
        "addresses": {"listen": ["/ip4/0.0.0.0/tcp/4002", "/ip4/0.0.0.0/tcp/4003/ws", "/ip6/::/tcp/4002"], "noAnnounce": []},
        "connection": {"idleTimeout": 90000, "dialTimeout": 1500, "inboundConnectionThreshold": 7, "maxStreams": 100000,
                       "keepAlive": "45s", "unknown": {"a": [1, 2]}},
        "messages": {"maxBody": 2097152, "retention": 604800000},
        "discovery": {"bootstrap": [f"/ip4/10.0.0.1/tcp/4001/p2p/{PEER}", "/dns4/x/tcp/1"]},
        "access": {"mode": "allowlist", "allowPeers": [PEER], "denyCidrs": "10.0.0.0/8"},
        "network": {"perf": True, "listen": ["/ip4/1.2.3.4/tcp/1"]},
        "logging": {"level": "trace", "file": None},
        "health": {"errorsNormal": 0.5},
        "apiKey": "hunter2",
        "evil": "x\n[access]\nmode = open",
        "evil]\n[node]": {"name": "x"},
    }
    old, home = work + "/old-all", work + "/new-all"
    old_installation(old, config=config)
    r = run("import", old, "--home", home, code=8)
    check("were not taken over" in r.stderr, f"exit 8: {r.stderr}")
    values = {"node.name": "web-01", "network.listen": "/ip4/0.0.0.0/tcp/4002\n/ip6/::/tcp/4002", "connection.idleTimeout": "90s",
              "connection.dialTimeout": "1500ms", "connection.inboundConnectionThreshold": "7/s", "connection.keepAlive": "45s",
              "connection.maxStreams": "256", "messages.maxBody": "2MiB", "messages.retention": "7d",
              "discovery.bootstrap": f"/ip4/10.0.0.1/tcp/4001/p2p/{PEER}", "access.mode": "allowlist", "access.allowPeers": PEER,
              "access.denyCidrs": "10.0.0.0/8", "network.perf": "yes", "logging.level": "info", "health.errorsNormal": "0.5"}
    for k, v in values.items():
        check(get(home, k) == v, f"{k} = {get(home, k)!r}, not {v!r}")
    with open(home + "/config.ini", encoding="utf-8") as f:
        ini = f.read()
    tail = ini[ini.index("# From "):].splitlines()
    left = [line for line in tail if line.startswith("# not taken over: ")]
    check(all(line.startswith("#") for line in tail if line), f"not a comment: {tail}")
    for what in ('addresses.listen[1] = "/ip4/0.0.0.0/tcp/4003/ws"', "connection.maxStreams = 100000", "connection.unknown.a = [1,2]",
                 'discovery.bootstrap[1] = "/dns4/x/tcp/1"', 'network.listen = ["/ip4/1.2.3.4/tcp/1"] (set twice)', 'logging.level = "trace"',
                 "logging.file = null", 'evil = "x\\n[access]\\nmode = open"', "addresses.noAnnounce = []"):
        check(any(what in line for line in left), f"not left: {what}")
    check("hunter2" not in ini and any("apiKey" in line for line in left), "a secret was copied, or its name was not")
    told = json.loads(run("import", old, "--home", work + "/new-told", "--json", code=8).stdout or '{"left": [], "taken": []}')
    check(len(told["left"]) == len(left) and len(told["taken"]) == 14, f"--json: {len(told['left'])} {len(left)} {len(told['taken'])}")
    check("# hard cap" in ini, "the sample's comments are gone")


def backup_folder(work):
    """The folder of the manual's backup script: config.json, identity.key, dht-data.tar.gz."""
    old, home = work + "/20240101", work + "/from-backup"
    wanted = old_installation(old, "base64", data=False)
    with open(old + "/dht-data.tar.gz", "wb") as f:
        f.write(b"\x1f\x8b not read")
    with open(old + "/swarm.key", "w", encoding="utf-8") as f:
        f.write("/key/swarm/psk/1.0.0/\n/base16/\n" + "ab" * 32 + "\n")
    run("import", old, "--home", home, code=0)
    check(peer_id(home) == wanted and os.path.exists(home + "/swarm.key"), "a backup folder")
    check(stat.S_IMODE(os.stat(home + "/swarm.key").st_mode) == 0o600, "mode of the swarm key")


def refused(work):
    home = work + "/none"
    run("import", work + "/nothing", "--home", home, code=4)
    run("import", "a", "b", "--home", home, code=2)
    bad = {"not json": "{", "no object": "[]", "empty": "", "pairs": '{"connection":{"maxConnections":5,"minConnections":6}}'}
    for what, text in bad.items():
        old = f"{work}/bad-{what.replace(' ', '-')}"
        old_installation(old)
        with open(old + "/config.json", "w", encoding="utf-8") as f:
            f.write(text)
        r = run("import", old, "--home", home, code=6)
        check(r.stderr.count("\n") == 1 and not os.path.exists(home), f"{what}: {r.stderr}")
    for what, key in (("rsa", b"\x08\x00\x12\x01x"), ("text", b"some text"), ("large", b"x" * 20000)):
        old = f"{work}/key-{what}"
        old_installation(old, key=False)
        with open(old + "/identity.key", "wb") as f:
            f.write(key)
        r = run("import", old, "--home", home)
        check(r.returncode == 6 and "identity.key" in r.stderr and not os.path.exists(home), f"{what}: {r.stderr}")
    old = work + "/large"
    old_installation(old)
    with open(old + "/config.json", "w", encoding="utf-8") as f:
        f.write('{"a":"' + "x" * (10 << 20) + '"}')
    run("import", old, "--home", home, code=6)
    os.unlink(old + "/config.json")
    os.mkdir(old + "/config.json")
    run("import", old, "--home", home, code=6)
    old = work + "/no-key"
    old_installation(old, key=False)
    r = run("import", old, "--home", home, code=8)
    check("new Peer ID" in r.stdout, f"no key: {r.stdout}")
    other = work + "/other"
    os.makedirs(other)
    make_key("protobuf", other + "/identity.key")
    old = work + "/another"
    old_installation(old, key=False)
    with open(old + "/identity.key", "wb") as f:
        f.write(bytes.fromhex("08011240") + bytes.fromhex("c2bae783c2d0ba1a18c5de99de6f67b9b0a97efa0d85ded4c6f7da76b86ff0a7"))
    r = run("import", old, "--home", other)
    check(r.returncode in (1, 6) and not os.path.exists(other + "/config.ini"), f"another identity: {r.stderr}")
    old = work + "/same"
    wanted = old_installation(old)
    shutil.copy(old + "/identity.key", other + "/identity.key")
    run("import", old, "--home", other, code=0)
    check(peer_id(other) == wanted, "an import that was cut off goes on")


def of_another(work):
    """Root brings over the home of another user: nothing of root's stays there, no link is followed."""
    if os.getuid() != 0:
        return
    os.chmod(work, 0o755)
    for link in (None, "identity.key", "config.json"):
        home = f"{work}/ana-{link}"
        wanted = old_installation(home, "pem")
        if link:
            os.rename(f"{home}/{link}", f"{work}/root-{link}")
            os.symlink(f"{work}/root-{link}", f"{home}/{link}")
        for folder, _, names in os.walk(home):
            for n in [folder] + [f"{folder}/{x}" for x in names]:
                os.lchown(n, 4242, 4242)
        r = run("import", "--home", home, code=6 if link else 0)
        check(link is None or "symbolic link" in r.stderr, f"{link}: {r.stderr}")
        check(link is not None or wanted in r.stdout, f"of another: {r.stdout}")
        for folder, _, names in os.walk(home):
            for n in [folder] + [f"{folder}/{x}" for x in names]:
                check(os.lstat(n).st_uid == 4242, f"root's in the home of another: {n}")


def faults(work):
    """A full disk at each call: all or nothing, and the same command goes through afterwards."""
    for form, place in (("pem", True), ("protobuf", False)):
        for how in ("full", "kill"):
            for at in range(1, 60):
                old = f"{work}/fault-{form}-{how}-{at}"
                home = old if place else old + "-home"
                wanted = old_installation(old, form)
                before = content(old)
                r = run("import", old, "--home", home, exe=FULL, env={"FAIL_AT": str(at), "FAIL_HOW": how})
                check(r.returncode in ((0, 9) if how == "full" else (0, -9)), f"{form} {how} {at}: exit {r.returncode} {r.stderr}")
                check(r.returncode <= 0 or r.stderr.count("\n") == 1, f"{form} {how} {at}: {r.stderr}")
                through = r.returncode == 0
                if not os.path.exists(home + "/config.ini"):
                    run("import", old, "--home", home, code=0)
                else:
                    run("config", "init", "--home", home, code=0)
                check(peer_id(home) == wanted, f"{form} {how} {at}: another Peer ID: {peer_id(home)}")
                check(get(home, "connection.maxConnections") == "500", f"{form} {how} {at}: settings")
                after = content(old).values()
                check(all(v[0] in [a[0] for a in after] for v in before.values()), f"{form} {how} {at}: an old file is lost")
                shutil.rmtree(old)
                shutil.rmtree(home, ignore_errors=True)
                if through and at > 40:
                    break


def main():
    work = tempfile.mkdtemp(prefix="silktalk-import.", dir=os.environ.get("TMPDIR"))
    try:
        elsewhere(work)
        in_place(work)
        everything(work)
        backup_folder(work)
        refused(work)
        of_another(work)
        if os.path.exists(FULL):
            faults(work)
        else:
            check(False, f"{FULL} is not built")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for w in wrong[:20]:
        print("FAIL:", w)
    if wrong:
        sys.exit(1)
    print("old installations are brought over, with keys", "made by js-libp2p now" if "OLD_INSTALL" in os.environ else "that js-libp2p made")


if __name__ == "__main__":
    main()
