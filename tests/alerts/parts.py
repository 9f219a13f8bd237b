"""Certificates made by openssl, and servers good and bad, for the tests of alerts."""
import http.server
import importlib.util
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "health"))
from common import WORK  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
spec = importlib.util.spec_from_file_location("alert_verify", os.path.join(ROOT, "contrib/examples/alert/verify.py"))
alert_verify = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alert_verify)
SECRET = b"a secret of the tests"
PKI = WORK + "/pki"


# ---- certificates

def openssl(*args):
    r = subprocess.run(["openssl", *args], cwd=PKI, capture_output=True, text=True, check=False)
    assert r.returncode == 0, (args, r.stderr)


def write(name, text, mode=0o644):
    path = name if name.startswith("/") else f"{PKI}/{name}"
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)
    return path


def new_key(name, kind):
    if kind == "ec":
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")
    else:
        openssl("genrsa", "-out", name + ".key", kind[3:])


def authority(name, kind, by=None):
    new_key(name, kind)
    if by is None:
        openssl("req", "-x509", "-new", "-key", name + ".key", "-days", "30", "-subj", f"/CN={name}", "-out", name + ".crt")
    else:
        write(name + ".ext", "basicConstraints=critical,CA:TRUE\n")
        sign(name, by, name + ".ext")


def sign(name, by, extensions, digest="sha256", dates=("20200101000000Z", "20991231000000Z")):
    """By `openssl ca`, which sets both dates everywhere."""
    write(by + ".cnf", f"""[ca]\ndefault_ca=x\n[x]\nnew_certs_dir=.\ndatabase={by}.db\nserial={by}.serial\nunique_subject=no
default_md={digest}\npolicy=p\ncopy_extensions=none\n[p]\ncommonName=supplied\n""")
    if not os.path.exists(f"{PKI}/{by}.db"):
        write(by + ".db", "")
        write(by + ".serial", "1000\n")
    openssl("req", "-new", "-key", name + ".key", "-subj", f"/CN={name}", "-out", name + ".csr")
    openssl("ca", "-batch", "-notext", "-config", by + ".cnf", "-cert", by + ".crt", "-keyfile", by + ".key", "-in", name + ".csr",
            "-out", name + ".crt", "-extfile", extensions, "-startdate", dates[0], "-enddate", dates[1])


def leaf(name, kind, by, names="DNS:localhost,IP:127.0.0.1,DNS:hook.test", chain=True, **more):
    new_key(name, kind)
    write(name + ".ext", f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
    sign(name, by, name + ".ext", **more)
    parts = [name + ".crt"] + ([by + ".crt"] if chain else [])
    write(name + ".pem", "".join(open(f"{PKI}/{p}", encoding="utf-8").read() for p in parts))


def make_pki():
    os.mkdir(PKI)
    authority("root", "rsa2048")
    authority("middle", "ec", by="root")
    authority("middle-rsa", "rsa2048", by="root")
    authority("stranger", "ec")
    leaf("ec", "ec", "middle")
    leaf("rsa", "rsa2048", "middle-rsa")
    leaf("other", "ec", "middle", names="DNS:other.example")
    leaf("names-only", "ec", "middle", names="DNS:localhost")
    leaf("expired", "ec", "middle", dates=("20200101000000Z", "20200201000000Z"))
    leaf("future", "ec", "middle", dates=("20980101000000Z", "20990101000000Z"))
    leaf("unknown", "ec", "stranger")
    leaf("no-chain", "ec", "middle", chain=False)
    leaf("weak", "rsa1024", "middle-rsa")
    leaf("sha1", "rsa2048", "middle-rsa", digest="sha1")
    leaf("self", "ec", "middle")
    openssl("req", "-x509", "-new", "-key", "self.key", "-days", "30", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", "self.pem")


# ---- a webhook that does its work

class Webhook:
    """Keeps the alerts whose signature is good; others are answered with 403."""

    def __init__(self, certificate=None, token=None, port=0):
        self.alerts, self.bad, self.paths, self.status = [], [], [], 204
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.paths.append(self.path)
                good = alert_verify.verify(SECRET, self.headers.get("SilkTalk-Signature"), body)
                good = good and self.headers.get("Authorization") == (f"Bearer {token}" if token else None)
                good = good and self.headers.get("Content-Type") == "application/json"
                if good and outer.status < 300:
                    outer.alerts.append(json.loads(body))
                elif not good:
                    outer.bad.append((dict(self.headers), body))
                self.send_response(outer.status if good else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                outer.paths.append(self.path)
                self.send_response(404)
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):  # what the client refuses is the test's matter
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.load_cert_chain(f"{PKI}/{certificate}.pem", f"{PKI}/{certificate}.key")
            # in the handler's thread: a client that says nothing must not stop the others
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---- and those that do not

class Raw:
    """Calls act(socket) for each connection, in a thread of its own."""

    def __init__(self, act):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.act = act
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            self.act(s)
        except OSError:
            pass
        s.close()

    def close(self):
        self.listener.close()


def request_head(s):
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(65536)
        if not more:
            break
        data += more
    return data


def says(text):
    def act(s):
        request_head(s)
        s.sendall(text)
        s.shutdown(socket.SHUT_WR)
        while s.recv(65536):
            pass
    return act


def hangs(s):
    while s.recv(65536):
        pass


def drips(s):
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000:
        s.sendall(bytes([byte]))
        time.sleep(1)


def endless_head(s):
    request_head(s)
    s.sendall(b"HTTP/1.1 200 OK\r\n")
    for i in range(200000):
        s.sendall(b"X-%d: y\r\n" % i)


def huge_body(s):
    request_head(s)
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _ in range(1000):
        s.sendall(b"x" * 65536)


def cuts(s):
    s.recv(100)


class Proxy:
    """CONNECT and absolute-form, to one server whatever name is asked for. Keeps the first lines."""

    def __init__(self, to_port, refuses=False):
        self.asked, self.heads, self.to_port, self.refuses = [], [], to_port, refuses
        self.raw = Raw(self.serve)
        self.port = self.raw.port

    def serve(self, s):
        data = b""
        while b"\r\n\r\n" not in data:
            data += s.recv(65536)
        head, rest = data.split(b"\r\n\r\n", 1)
        self.asked.append(head.split(b"\r\n")[0].decode())
        self.heads.append(head.decode())
        if self.refuses:
            s.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        out = socket.create_connection(("127.0.0.1", self.to_port))
        if head.startswith(b"CONNECT "):
            s.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            rest = data
        out.sendall(rest)
        back = threading.Thread(target=self.copy, args=(out, s), daemon=True)
        back.start()
        self.copy(s, out)
        back.join(10)
        out.close()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass
