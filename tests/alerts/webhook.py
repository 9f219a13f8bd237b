"""The command line as a client of web servers: whom it trusts, what it says of those it does not, and that it ends."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import parts
from parts import PKI, SECRET, Proxy, Raw, Webhook, says, write
from common import SILKTALK, WORK, Daemon, answer, eventually, good, new_home, run


def told(home, url, env=None):
    """One health-check beside a dead node: None when the webhook was told, else the reason."""
    r = run(home, "health-check", "--webhook", url, "--repeat", "0s", env=env)
    assert r.returncode == 2 and r.stdout.startswith("SILKTALK CRITICAL - node is not running"), r
    if not r.stderr:
        return None
    assert r.stderr.startswith("silktalk health-check: --webhook: "), r.stderr
    return r.stderr[len("silktalk health-check: --webhook: "):].strip()


def https(home):
    hooks = []
    for certificate in ("ec", "rsa"):
        w = Webhook(certificate)
        hooks.append(w)
        for host in ("localhost", "127.0.0.1"):
            assert (why := told(home, f"https://{host}:{w.port}/some/path?x=y")) is None, (certificate, host, why)
        assert len(w.alerts) == 2 and not w.bad and w.paths[0] == "/some/path?x=y", (w.alerts, w.bad)
    for certificate, host, reason in [
            ("other", "localhost", "is for another name"), ("names-only", "127.0.0.1", "is for another name"),
            ("expired", "localhost", "has expired, or is not valid yet"), ("future", "localhost", "has expired, or is not valid yet"),
            ("self", "localhost", "of no trusted authority"), ("unknown", "localhost", "of no trusted authority"),
            ("no-chain", "localhost", "of no trusted authority"), ("weak", "localhost", "less than 2048 bits"),
            ("sha1", "localhost", "signed in a way that is weak")]:
        w = Webhook(certificate)
        hooks.append(w)
        why = told(home, f"https://{host}:{w.port}/")
        assert why is not None and reason in why and not w.paths, (certificate, why)
    w = Webhook("names-only")
    hooks.append(w)
    assert told(home, f"https://localhost:{w.port}/") is None
    for w in hooks:
        w.close()


def newer_and_older_tls(home):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    p = subprocess.Popen(["openssl", "s_server", "-tls1_3", "-accept", f"127.0.0.1:{port}", "-cert", PKI + "/ec.pem", "-cert_chain",
                          PKI + "/middle.crt", "-key", PKI + "/ec.key", "-www", "-quiet"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        eventually("openssl listens", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        why = told(home, f"https://localhost:{port}/")
        assert why == "the server only speaks TLS 1.3; SilkTalk speaks TLS 1.2", why
    finally:
        p.terminate()
        p.wait()
    w = Webhook()  # no TLS at all
    why = told(home, f"https://127.0.0.1:{w.port}/")
    assert why is not None and "speaks no TLS" in why, why
    w.close()


def authorities(home):
    w = Webhook("ec")
    bundle = open(PKI + "/root.crt", encoding="utf-8").read()
    rows = [("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + bundle, None),
            ("none", "no certificate here\n", "there is no certificate in it"),
            ("stranger", open(PKI + "/stranger.crt", encoding="utf-8").read(), "of no trusted authority"),
            ("huge", bundle + "x" * (1 << 20), "https.caFile: ")]
    for name, text, reason in rows:
        good(home, "config", "set", "https.caFile", write(name + ".bundle", text))
        why = told(home, f"https://localhost:{w.port}/")
        assert why is None if reason is None else reason in (why or ""), (name, why)
    good(home, "config", "unset", "https.caFile")
    why = told(home, f"https://localhost:{w.port}/")  # the system's bundle, or none
    assert "of no trusted authority" in why or "set https.caFile (tried /etc/ssl/" in why, why
    good(home, "config", "set", "https.caFile", PKI + "/root.crt")
    w.close()
    if os.geteuid() == 0:  # a root without a bundle
        empty = WORK + "/empty"
        os.mkdir(empty)
        shutil.copy(SILKTALK, empty + "/silktalk")
        for args in (["config", "init"], ["config", "set", "alerts.webhook", "https://127.0.0.1:1/"]):
            subprocess.run(["chroot", empty, "/silktalk", args[0], "--home", "/h", *args[1:]], check=True, capture_output=True)
        r = subprocess.run(["chroot", empty, "/silktalk", "daemon", "--home", "/h"], capture_output=True, text=True, check=False,
                           timeout=30)
        assert r.returncode == 6 and "no authorities for https; set https.caFile (tried /etc/ssl/{certs/ca-certificates.crt," in r.stderr, r


def liars(home):
    target = Webhook()
    rows = {
        "garbage": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP"),
        "nothing": (says(b""), "closed without a reply"),
        "half": (says(b"HTTP/1.1 200 OK\r\nX: y\r\n"), "in the middle of its reply"),
        "cuts": (parts.cuts, "closed without a reply"),
        "endless head": (parts.endless_head, "too many fields"),
        "endless line": (says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000), "a line of the reply is too long"),
        "wrong length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n"), "the reply's length is no length"),
        "two lengths": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"), "the reply's length is no length"),
        "redirect": (says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % target.port),
                     "sends us elsewhere (status 302), which is not followed"),
        "error": (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "the server answers with status 500"),
        "huge body": (parts.huge_body, None),  # it has taken the alert: nobody reads what else it says
        "escape": (says(b"HTTP/1.1 200 \x1b[2J\r\n\r\n"), "control character"),
    }
    for name, (act, reason) in rows.items():
        s = Raw(act)
        why = told(home, f"http://127.0.0.1:{s.port}/")
        assert why is None if reason is None else reason in (why or ""), (name, why)
        s.close()
    assert not target.paths, "a redirect was followed"
    target.close()
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    why = told(home, f"http://127.0.0.1:{port}/")
    assert why is not None and "refused" in why, why
    why = told(home, "https://name.invalid/")
    assert why is not None and "name.invalid" in why, why
    for url in ("ftp://a/", "http://user:word@a/", "https://127.1/", "http://a/#b"):
        assert told(home, url) is not None, url


def those_that_hang(home):
    """All at the same time, each in a home of its own: 15 s each, and no more."""
    results = {}

    def one(name, url, number):
        h = new_home(f"hang{number}", alerts_webhookSecretFile=WORK + "/secret", https_caFile=PKI + "/root.crt")
        begin = time.monotonic()
        why = told(h, url)
        results[name] = (why, time.monotonic() - begin)

    servers = [Raw(parts.hangs), Raw(parts.drips)]
    threads = [threading.Thread(target=one, args=row) for row in [
        ("hangs", f"http://127.0.0.1:{servers[0].port}/", 1), ("hangs in TLS", f"https://127.0.0.1:{servers[0].port}/", 2),
        ("drips", f"http://127.0.0.1:{servers[1].port}/", 3)]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name, (why, took) in results.items():
        assert why is not None and "no answer in time" in why and 14 < took < 40, (name, why, took)
    assert len(results) == 3
    for s in servers:
        s.close()


def proxies(home):
    w, plain = Webhook("ec"), Webhook()
    proxy, plain_proxy, refusing = Proxy(w.port), Proxy(plain.port), Proxy(w.port, refuses=True)
    trap = Raw(parts.cuts)
    env = os.environ | {k: f"http://127.0.0.1:{trap.port}" for k in
                        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
    assert told(home, f"https://localhost:{w.port}/", env) is None and trap.connections == 0, "the environment is not asked"
    good(home, "config", "set", "https.proxy", f"http://127.0.0.1:{proxy.port}")
    assert (why := told(home, "https://hook.test/deep/secret", env)) is None, why
    assert proxy.asked == ["CONNECT hook.test:443 HTTP/1.1"] and w.paths[-1] == "/deep/secret", (proxy.asked, w.paths)
    assert "secret" not in proxy.heads[0] and "Bearer" not in proxy.heads[0], "the proxy learns the host alone"
    why = told(home, "https://other.example/")
    assert why is not None and "is for another name" in why, why
    n = len(proxy.asked)
    assert told(home, f"https://localhost:{w.port}/") is None and len(proxy.asked) == n, "this host is asked directly"
    good(home, "config", "set", "https.proxy", f"http://127.0.0.1:{plain_proxy.port}")
    assert (why := told(home, "http://hook.test:8000/a")) is None, why
    assert plain_proxy.asked == ["POST http://hook.test:8000/a HTTP/1.1"] and len(plain.alerts) == 1, plain_proxy.asked
    good(home, "config", "set", "https.proxy", f"http://127.0.0.1:{refusing.port}")
    why = told(home, "https://hook.test/")
    assert why is not None and "the proxy refuses (status 403)" in why, why
    good(home, "config", "unset", "https.proxy")
    assert trap.connections == 0
    for s in (w, plain, trap):
        s.close()


def token_and_state(home):
    w, other = Webhook("ec", token="word"), Webhook("ec")
    write(WORK + "/token", "word\n", 0o600)
    good(home, "config", "set", "alerts.webhookTokenFile", WORK + "/token")
    good(home, "config", "set", "alerts.webhook", f"https://localhost:{w.port}/own")
    r = run(home, "health-check", "--repeat", "0s")
    assert "Nobody is told" in r.stderr and not w.paths, "alerts.webhook is the node's own"
    assert told(home, f"https://localhost:{w.port}/x") is None and len(w.alerts) == 1, w.bad
    assert told(home, f"https://localhost:{other.port}/x") is None and len(other.alerts) == 1, "the token goes to its own server alone"
    os.chmod(WORK + "/token", 0o644)
    why = told(home, f"https://localhost:{w.port}/x")
    assert why is not None and "alerts.webhookTokenFile" in why and "word" not in why, why
    good(home, "config", "unset", "alerts.webhookTokenFile")
    good(home, "config", "unset", "alerts.webhook")
    url = f"https://localhost:{other.port}/x"
    os.unlink(home + "/health-check.state")
    for _ in range(3):
        run(home, "health-check", "--webhook", url)
    assert len(other.alerts) == 2, "told once"
    a = other.alerts[-1]
    assert a["schema"] == "silktalk.alert/1" and a["event"] == "problem" and a["status"] == "unhealthy", a
    f = {f["finding"]: f for f in a["findings"]}["node"]
    assert f["level"] == "P0" and "is not running" in f["evidence"] and f["fix"] and f["respond_by"] < f["solve_by"], f
    assert a["contacts"]["operations"] == "Ann" and len(a["id"]) == 32 and a["health"]["checks"], a
    other.status = 503  # not told: again with the next run
    os.unlink(home + "/health-check.state")
    run(home, "health-check", "--webhook", url)
    other.status = 204
    run(home, "health-check", "--webhook", url)
    assert len(other.alerts) == 3
    for s in (w, other):
        s.close()


def a_node_that_lives_or_is_stopped(home):
    w = Webhook("ec")
    url = f"https://localhost:{w.port}/"
    os.unlink(home + "/health-check.state")
    d = Daemon(home)
    try:
        d.p.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        r = run(home, "health-check", "--webhook", url)
        assert r.returncode == 2 and "is stopped" in r.stdout and time.monotonic() - begin < 20, r
        assert w.alerts[-1]["event"] == "problem" and "is stopped" in w.alerts[-1]["text"], w.alerts[-1]
        d.p.send_signal(signal.SIGCONT)
        run(home, "health-check", "--webhook", url)  # well again (or another finding, of a busy machine)
        assert all(f["finding"] != "node" for f in w.alerts[-1]["findings"]) and len(w.alerts) == 2, w.alerts[-1]
        assert w.alerts[-1]["event"] == ("problem" if w.alerts[-1]["findings"] else "recovery"), w.alerts[-1]
    finally:
        d.end()
        w.close()


def url_over_https(home):
    """A node that serves TLS, looked at from elsewhere."""
    served = new_home("served")
    os.chmod(PKI + "/ec.key", 0o600)
    with open(served + "/config.ini", "a", encoding="utf-8") as f:  # they go together
        f.write(f"\n[http]\ntlsCert = {PKI}/ec.pem\ntlsKeyFile = {PKI}/ec.key\n")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    good(served, "config", "set", "http.listen", f"127.0.0.1:{port}")
    token = answer(served, "token", "create", "watcher")["token"]
    write(WORK + "/watcher", token + "\n", 0o600)
    d = Daemon(served)
    try:
        r = run(home, "health", "--url", f"https://localhost:{port}", "--token-file", WORK + "/watcher")
        assert r.stdout.startswith("SILKTALK ") and "outbox" in r.stdout and "certificate" in r.stdout and r.returncode in (0, 1, 2), r
        assert "at https://" not in r.stdout, r
        stranger = new_home("stranger-home", https_caFile=PKI + "/stranger.crt")
        r = run(stranger, "health", "--url", f"https://localhost:{port}")
        assert r.returncode == 2 and "of no trusted authority" in r.stdout, r
        begin = time.monotonic()
        s = Raw(parts.hangs)
        r = run(home, "health", "--url", f"https://127.0.0.1:{s.port}")
        assert r.returncode in (2, 3) and "no answer in time" in r.stdout and time.monotonic() - begin < 3, r
        s.close()
    finally:
        d.end()


def main():
    parts.make_pki()
    write(WORK + "/secret", SECRET + b"\n", 0o600)
    home = new_home("a", https_caFile=PKI + "/root.crt", alerts_webhookSecretFile=WORK + "/secret", contacts_operations="Ann")
    for test in (https, newer_and_older_tls, authorities, liars, proxies, token_and_state, a_node_that_lives_or_is_stopped,
                 url_over_https, those_that_hang):
        test(home)
        print("ok", test.__name__, flush=True)
    assert not [p for p in os.listdir(home) if "secret" in p]


main()
