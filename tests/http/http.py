#!/usr/bin/env python3
"""HTTP of a running daemon, asked with curl and jq as an operator would, and with clients that break the rules.

Environment: SILKTALK, TMPDIR. Prints what went wrong; exit 0 when nothing did."""
import base64
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

EXE = os.environ.get("SILKTALK", "build/silktalk")
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Node:
    def __init__(self, path, extra=""):
        self.home, self.port = path, free_port()
        self.cli("config", "init")
        with open(path + "/config.ini", "w", encoding="utf-8") as f:
            f.write(f"[network]\nlisten = /ip4/127.0.0.1/tcp/0\n[http]\nlisten = 127.0.0.1:{self.port}, "
                    f"unix:{path}/http.sock\n{extra}")
        os.chmod(path + "/config.ini", 0o640)
        self.log = open(path + "/stderr", "wb")
        self.process = subprocess.Popen([EXE, "daemon", "--home", path], stderr=self.log)
        self.wait(lambda: self.curl("/readyz")[0] == 200, "the node is not ready")

    def restart(self):
        self.stop()
        self.process = subprocess.Popen([EXE, "daemon", "--home", self.home], stderr=self.log)

    def cli(self, *args, code=0):
        r = subprocess.run([EXE, args[0], "--home", self.home, *args[1:]], capture_output=True, text=True, timeout=60)
        check(code is None or r.returncode == code, f"{args}: exit {r.returncode}: {r.stdout} {r.stderr}")
        return r.stdout.strip()

    def wait(self, true, what, seconds=60):
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise SystemExit(f"gave up: {what}")
            time.sleep(0.05)

    def curl(self, path, *args):
        r = subprocess.run(["curl", "-s", "-m", "30", "-w", "\n%{http_code}", *args,
                            f"http://127.0.0.1:{self.port}{path}"], capture_output=True, text=True)
        body, _, code = r.stdout.rpartition("\n")
        return int(code or 0), body

    def dial(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return s

    def stderr(self):
        with open(self.home + "/stderr", encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        check(self.process.wait(30) == 0, "the daemon's exit status")


def bearer(token):
    return ("-H", f"Authorization: Bearer {token}")


def manual(n):
    """Section 3.3 of the operations manual, but for the port."""
    line = f"curl -s http://127.0.0.1:{n.port}/health | jq -r .status"
    out = subprocess.run(["sh", "-c", line], capture_output=True, text=True).stdout.strip()
    check(out in ("healthy", "degraded"), f"the manual's line says {out!r}")
    code, body = n.curl("/health")
    health = json.loads(body)
    check(code == 200 and health["status"] == out, "/health")
    for key in ("node", "peer_id", "version", "time", "uptime_seconds", "maintenance", "checks"):
        check(key in health, f"/health has no {key}")
    r = subprocess.run(["curl", "-s", "--unix-socket", n.home + "/http.sock", "http://localhost/livez"],
                       capture_output=True, text=True)
    check(r.stdout == "ok\n", f"over the unix socket: {r.stdout!r}")
    code, body = n.curl("/health", "-I")
    check(code == 200 and "Content-Length" in body and "no-store" in body, "HEAD /health")


def page(n):
    r = subprocess.run(["curl", "-s", "-i", f"http://127.0.0.1:{n.port}/"], capture_output=True).stdout.decode()
    head, _, html = r.partition("\r\n\r\n")
    for kind in ("style", "script"):
        inside = html.split(f"<{kind}>")[1].split(f"</{kind}>")[0].encode()
        digest = base64.b64encode(hashlib.sha256(inside).digest()).decode()
        check(f"{kind}-src 'sha256-{digest}'" in head, f"the policy has not the hash of the page's {kind}")
    check("default-src 'none'" in head and "unsafe" not in head, f"the policy: {head}")
    check(html.count("<script") == 1 and html.count("<style") == 1, "one script, one style")
    for word in ("innerHTML", "outerHTML", "document.write", "eval(", " onclick", "https://", " src=", "style="):
        check(word not in html, f"the page has {word}")
    check(html.count("http://") == html.count("http://www.w3.org/2000/svg"), "an address outside in the page")


def tokens(n):
    read = n.cli("token", "create", "web", "-q")
    check(re.fullmatch(r"[\w-]{43}", read) is not None, f"a token: {read!r}")
    admin = json.loads(n.cli("token", "create", "ops", "--scope", "admin", "--for", "1h", "--json"))["token"]
    check(n.curl("/api/v1/status")[0] == 401, "the API without a token")
    code, body = n.curl("/api/v1/status", *bearer(read))
    check(code == 200 and json.loads(body)["schema"] == "silktalk.status/1", f"status: {code} {body[:100]}")
    check(n.curl("/api/v1/messages", *bearer(read))[0] == 403, "messages with a read token")
    check(n.curl("/api/v1/reload", "-X", "POST", *bearer(admin))[0] == 200, "reload")
    listed = {i["name"]: i["scope"] for i in json.loads(n.cli("token", "list", "--json"))["items"]}
    check(listed == {"web": "read", "ops": "admin"}, f"token list: {listed}")
    check(read not in open(n.home + "/tokens", encoding="utf-8").read(), "the token is in its file")
    check(os.stat(n.home + "/tokens").st_mode & 0o7777 in (0o600, 0o640), "mode of the token file")
    n.cli("token", "create", "web", code=1)
    n.cli("token", "revoke", "web")
    n.cli("token", "revoke", "web", code=4)
    check(n.curl("/api/v1/status", *bearer(read))[0] == 401, "a revoked token")
    for _ in range(8):
        last = n.curl("/health", *bearer("guess"))[0]
    check(last == 429, f"guessing: {last}")
    check("Failed authentication" in n.stderr() and read not in n.stderr(), "the log of it")


def api(n):
    """All that role read may ask, with curl and jq; lists in pages; what is not GET is not read."""
    token = n.cli("token", "create", "api", "-q")
    admin = n.cli("token", "create", "boss", "--scope", "admin", "-q")

    def jq(path, program, *more):
        line = (f"curl -s -H 'Authorization: Bearer {token}' 'http://127.0.0.1:{n.port}/api/v1/{path}' | jq -er '{program}'")
        r = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
        return r.stdout.strip() if r.returncode in (0, 1) else f"jq: {r.stderr}"

    me = jq("id", ".peer_id")
    check(me.startswith("12D3KooW"), f"id: {me}")
    for path, program, want in (("status", ".node.peer_id", me), ("health", ".peer_id", me), ("version", ".schema", "silktalk.version/1"),
                                ("peers", ".items | length", "0"), ("limits", ".items[0].limit", "connections"),
                                ("loop", ".schema", "silktalk.diag.loop/1"), ("figures", ".schema", "silktalk.figures/1"),
                                ("report", ".items[0].figure", "connections"), ("log/stats?by=event", ".schema", "silktalk.log.stats/1"),
                                ("checks/daily", ".result", "null"), ("config?limit=1", ".items[0].key", "node.name"),
                                ("bootstrap", ".items | length", "0"), ("outbox", ".items | length", "0"), ("files", ".items | length", "0"),
                                ("events?type=config&limit=1", ".items[0].event", "Config reloaded"),
                                (f"explain/{me}", ".schema", "silktalk.explain/1"), ("peers/nobody", ".code", "4")):
        got = jq(path, program)
        check(got == want, f"/api/v1/{path} {program}: {got!r}, not {want!r}")
    # pages: each row once, in their order
    whole = jq("limits", "[.items[].limit] | join(\" \")").split()
    paged, after = [], "0"
    while after != "null" and len(paged) < 1000:
        paged += jq(f"limits?limit=7&after={after}", "[.items[].limit] | join(\" \")").split()
        after = jq(f"limits?limit=7&after={after}", ".next")
    check(paged == whole and len(whole) > 30, f"pages of limits: {len(paged)} of {len(whole)}")
    stranger = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
    ids = [n.cli("send", stranger, f"message {i}", "-q").split()[0] for i in range(5)]
    paged, after = [], "0"
    while after != "null" and len(paged) < 100:
        paged += jq(f"outbox?limit=2&after={after}", "[.items[].id] | join(\" \")").split()
        after = jq(f"outbox?limit=2&after={after}", ".next")
    check(paged == ids, f"pages of the outbox: {paged}, not {ids}")
    for i in ids:
        check(n.curl(f"/api/v1/outbox/{i}", "-X", "DELETE", *bearer(token))[0] == 403, "a read token cancels")
        check(n.curl(f"/api/v1/outbox/{i}", "-X", "DELETE", *bearer(admin))[0] == 200, "cancel")
    last = int(jq("events", ".next"))
    n.curl("/api/v1/reload", "-X", "POST", *bearer(admin))
    events = jq(f"events?after={last}", "[.items[].event] | join(\",\")").split(",")
    check("Config reloaded" in events, f"events since {last}: {events}")
    check(int(jq(f"events?after={last}", ".items[0].number")) == last + 1, "the number of the next event")
    # what reads takes nothing from a body, and keeps nothing
    body = '{"period":"daily","result":{"at":"2026-01-01T00:00:00Z","status":"ok"}}'
    for kind in ("GET", "POST", "PUT"):
        n.curl("/api/v1/checks/daily", "-X", kind, "-H", "Content-Type: application/json", "-d", body, *bearer(token))
        check(jq("checks/daily", ".result") == "null", f"{kind} kept a result")
    n.cli("check", "daily", code=None)
    check(jq("checks/daily", ".result.items | length") == "5", "the kept result of check daily")
    n.cli("token", "revoke", "api")
    n.cli("token", "revoke", "boss")


def attacks(n):
    """Names of others (DNS rebinding), pages of others (cross-site), requests that two readers would read in two ways."""
    port = n.port
    admin = n.cli("token", "create", "victim", "--scope", "admin", "-q")
    for fields, path, want in (
            ("Host: evil.example", "/health", 421), ("Host: 127.0.0.1.evil.example", "/health", 421), ("Host: localhost.evil.example", "/", 421),
            ("Host: localhost@evil.example", "/health", 421), ("Host: [::1].evil.example", "/health", 421), ("Host: ", "/health", 421), ("", "/health", 400),
            (f"Host: [::1]:{port}", "/health", 200), (f"Host: LOCALHOST:{port}", "/health", 200), ("Host: 127.0.0.1", "/health", 200),
            ("Host: localhost\r\nHost: evil.example", "/health", 400), ("Host: localhost\r\nHost: localhost", "/health", 400),
            ("Host: localhost\r\nX-Forwarded-Host: evil.example", "/health", 200),
            ("Host: localhost\r\nOrigin: http://evil.example", "/health", 403), ("Host: localhost\r\nOrigin: null", "/metrics", 403),
            ("Host: localhost\r\nOrigin: http://localhost.evil.example", "/", 403), ("Host: localhost\r\nOrigin: evil", "/", 403),
            ("Host: localhost\r\nOrigin: http://localhost", "/", 200), ("Host: localhost\r\nSec-Fetch-Site: cross-site", "/figures", 403),
            ("Host: localhost\r\nSec-Fetch-Site: same-site", "/health", 403), ("Host: localhost\r\nSec-Fetch-Site: cross-site", "/", 200),
            ("Host: localhost\r\nSec-Fetch-Site: none", "/health", 200),
            (f"Host: localhost\r\nAuthorization: Bearer {admin}\r\nOrigin: http://evil.example", "/api/v1/status", 403),
            (f"Host: localhost\r\nAuthorization: bearer {admin}", "/api/v1/status", 200),
            (f"Host: localhost\r\nAuthorization: Basic {admin}", "/api/v1/status", 401),
            (f"Host: localhost\r\nAuthorization : Bearer {admin}", "/api/v1/status", 400),
            (f"Host: localhost\r\nCookie: token={admin}", "/api/v1/status", 401), ("Host: localhost", f"/api/v1/status?token={admin}", 401),
            ("Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2", "/livez", 400), ("Host: localhost\r\nContent-Length: +1", "/livez", 400),
            ("Host: localhost\r\n folded: x", "/livez", 400), ("Host: localhost\rX: y", "/livez", 400), ("Host: localhost\r\nA: \0", "/livez", 400),
            ("Host: localhost", "/../etc/passwd", 404), ("Host: localhost", "//livez", 404), ("Host: localhost", "/%6civez", 404),
            ("Host: localhost", "http://evil.example/livez", 421), ("Host: localhost", "http://localhost/livez", 200), ("Host: localhost", "*", 400), ("Host: localhost", "/livez HTTP/1.1 x", 400)):
        s = n.dial()
        s.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n".replace("\r\n\r\nC", "\r\nC").encode())
        answer = s.recv(1000)
        s.close()
        got = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
        check(got == want, f"{path!r} with {fields!r}: {got}, not {want}")
        check(b"Access-Control" not in answer, "CORS")
    # guessing: five a minute of one address, whatever it says to be; another address goes on
    def ask(token, source, *more):
        r = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", source, *bearer(token), *more,
                            f"http://127.0.0.1:{port}/api/v1/status"], capture_output=True, text=True)
        return int(r.stdout or 0)
    codes = [ask(f"guess{i}", "127.0.0.2", "-H", f"X-Forwarded-For: 10.0.0.{i}") for i in range(8)]
    check(codes == [401] * 5 + [429] * 3, f"guesses: {codes}")
    check(ask(admin, "127.0.0.2") == 429 and ask(admin, "127.0.0.3") == 200, "the right token, after guesses, and from elsewhere")
    # off this host in clear a token of scope admin reads nothing but what read may
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))  # nothing is sent
            far = s.getsockname()[0]
        except OSError:
            far = "127.0.0.1"
    if not far.startswith("127."):
        n.cli("config", "set", "http.listen", f"127.0.0.1:{port}, {far}:{port}")
        n.wait(lambda: subprocess.run(["curl", "-s", f"http://{far}:{port}/health"], capture_output=True).returncode == 0, far)
        for path, method, want in (("/api/v1/status", "GET", 200), ("/api/v1/messages", "GET", 403), ("/api/v1/reload", "POST", 403)):
            r = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, *bearer(admin), f"http://{far}:{port}{path}"],
                               capture_output=True, text=True)
            check(r.stdout == str(want), f"{path} off this host in clear: {r.stdout}")
        r = subprocess.run(["curl", "-s", f"http://{far}:{port}/health"], capture_output=True, text=True).stdout
        check(set(json.loads(r)) == {"schema", "status"}, f"/health from elsewhere tells {r}")
        r = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{far}:{port}/metrics"], capture_output=True, text=True).stdout
        check(r == "401", f"/metrics from elsewhere: {r}")
        n.cli("config", "set", "http.listen", f"127.0.0.1:{port}, unix:{n.home}/http.sock")
    n.cli("token", "revoke", "victim")


def clients(n):
    """1,000 connections that say nothing, and some that say too much, do not keep others out."""
    idle = []
    for _ in range(1000):
        try:
            idle.append(n.dial())
        except OSError:
            pass
        if len(idle) % 100 == 0:
            check(n.curl("/livez")[0] == 200, f"/livez beside {len(idle)} idle connections")
    check(n.curl("/health")[0] == 200, "/health beside 1,000 idle connections")
    n.cli("status")
    for s in idle:
        s.close()
    s = n.dial()
    s.sendall(b"GET / HTTP/1.1\r\nA: " + b"a" * 9000)
    check(b" 431 " in s.recv(1000), "a huge head")
    s.close()
    for text, want in ((b"GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", b" 421 "),
                       (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b" 400 "),
                       (b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b" 501 ")):
        s = n.dial()
        s.sendall(text)
        check(want in s.recv(1000), f"{text!r}")
        s.close()
    s = n.dial()  # one byte at a time, and half-closed
    for b in b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n":
        s.sendall(bytes([b]))
    s.shutdown(socket.SHUT_WR)
    check(b"200 OK" in s.recv(1000), "one byte at a time")
    s.close()


def listening(n):
    """A new http.listen is applied by reload; a port that is taken is said, and keeps nothing from running."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    n.cli("config", "set", "http.listen", f"127.0.0.1:{port}, 127.0.0.1:{n.port}")
    check(n.curl("/livez")[0] == 200, "what stays in http.listen")
    n.wait(lambda: "Listener skipped" in n.stderr(), "no word of the taken port")
    check(not os.path.exists(n.home + "/http.sock"), "the unix socket is left")
    n.cli("config", "set", "http.listen", f"0.0.0.0:{n.port}")
    check(n.process.poll() is None and n.curl("/livez")[0] == 200, "0.0.0.0 in the place of 127.0.0.1")
    os.rename(n.home + "/tokens", n.home + "/tokens.away")
    n.cli("reload", code=6)
    check("Reload rejected" in n.stderr(), "0.0.0.0 without tokens")
    os.rename(n.home + "/tokens.away", n.home + "/tokens")
    n.cli("config", "set", "http.listen", "off")
    check(n.curl("/livez")[0] == 0, "http.listen = off")
    taken.close()


def tls(n):
    """TLS when a certificate is given: curl checks it; in clear nothing is answered; a bad key changes nothing."""
    cert, key = n.home + "/cert.pem", n.home + "/key.pem"
    for kind in (("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), ("rsa:2048",)):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key, "-out", cert, "-days",
                        "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       check=True, capture_output=True)
        os.chmod(key, 0o600)
        with open(n.home + "/config.ini", "w", encoding="utf-8") as f:
            f.write(f"[network]\nlisten = /ip4/127.0.0.1/tcp/0\n[http]\nlisten = 127.0.0.1:{n.port}\n"
                    f"tlsCert = {cert}\ntlsKeyFile = {key}\n")
        n.restart()
        def https(*args):
            r = subprocess.run(["curl", "-s", "-m", "20", "-w", "\n%{http_code}", "--cacert", cert, *args],
                               capture_output=True, text=True)
            return int(r.stdout.rpartition("\n")[2] or 0), r.stdout.rpartition("\n")[0]
        n.wait(lambda: https(f"https://localhost:{n.port}/readyz")[0] == 200, f"TLS with {kind[0]}")
        code, body = https(f"https://localhost:{n.port}/health")
        check(code == 200 and json.loads(body)["status"] in ("healthy", "degraded"), f"/health over TLS: {code}")
        check(len(https(f"https://localhost:{n.port}/")[1]) > 10000, "the page over TLS")
        code, body = https("--http1.1", "-d", "x" * 100000, f"https://localhost:{n.port}/health")
        check(code == 405, f"a body of several records: {code}")
        check(https(f"http://127.0.0.1:{n.port}/health")[0] == 0, "an answer in clear")
        check(https("--tls-max", "1.1", f"https://localhost:{n.port}/health")[0] == 0, "TLS 1.1")
    with open(key, "w", encoding="utf-8") as f:
        f.write("nothing")
    n.cli("reload", code=6)
    check(https(f"https://localhost:{n.port}/livez")[0] == 200, "the old certificate stays after a bad reload")


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        n = Node(folder + "/home")
        try:
            manual(n)
            page(n)
            api(n)
            attacks(n)
            tokens(n)
            clients(n)
            listening(n)
            tls(n)
        finally:
            n.stop()
    for w in wrong:
        print(w)
    if not wrong:
        print("the manual's line, tokens, 1,000 idle clients, reload of http.listen, TLS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
