"""HTTP clients that keep to no rule, in clear and inside TLS: those who do are served, and all is as before afterwards."""
import json
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from scene import CLOCKED, Scene, free_port, wait_for
from local_abuse import DAY, Clock

TESTS = {}


def test(function):
    TESTS[function.__name__] = function
    return function


def connect(port, trusted=None):
    """Blocking, in clear or, with the file of its certificate, inside TLS."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that what it does not read waits at the node
    s.settimeout(30)
    s.connect(("127.0.0.1", port))
    return s if trusted is None else ssl.create_default_context(cafile=trusted).wrap_socket(s, server_hostname="localhost")


def ask(port, text, trusted=None):
    """The beginning of the answer."""
    s = connect(port, trusted)
    data = b""
    try:
        s.sendall(text)
        while len(data) < 12 and (chunk := s.recv(65536)):
            data += chunk
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        pass
    s.close()
    return data


def status(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


GOOD = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def scene_with_http(more="", binary=None):
    port = free_port()
    ini = f"[http]\nlisten = 127.0.0.1:{port}\n{more}"
    return (Scene(ini=ini) if binary is None else Scene(ini=ini, binary=binary)), port


@test
def http_requests():
    """Each that breaks a rule has a status of its own, and none is waited for longer than ten seconds."""
    scene, port = scene_with_http()
    host = b" HTTP/1.1\r\nHost: localhost\r\n"
    rows = [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(40) + b"\r\n\r\n", 400),  # TLS to a port in clear
        (os.urandom(2000).replace(b"\n", b"x") + b"\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400), (b"GET /health HTTP/9.9\r\n\r\n", 505), (b"BREW /health" + host + b"\r\n", 405),
        (b"GET /" + b"a" * 5000 + host + b"\r\n", 414), (b"GET /health" + host + b"A: " + b"b" * 9000 + b"\r\n\r\n", 431),
        (b"GET /health" + host + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /health" + host + b"a : b\r\n\r\n", 400), (b"GET /health" + host + b" folded\r\n\r\n", 400),
        (b"GET /health" + host + b"A: \x00\r\n\r\n", 400), (b"GET /health" + host + b"A: \x1b[31m\r\n\r\n", 400),
        (b"GET /health" + host + b"Host: b\r\n\r\n", 400), (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"POST /health" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /health" + host + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /health" + host + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /health" + host + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST /health" + host + b"Content-Length: 9223372036854775807\r\n\r\n", 413),
        (b"POST /api/v1/messages" + host + b"Content-Length: 1000000\r\n\r\n", 401),  # its body is not waited for
        (b"GET /api/v1/peers/%00" + host + b"Authorization: Bearer \xff\r\nConnection: close\r\n\r\n", 401),
        (b"GET /../../etc/passwd" + host + b"Connection: close\r\n\r\n", 404),
    ]
    for text, wanted in rows:
        got = status(ask(port, text))
        assert got == wanted, f"{text[:60]!r}: {got}, not {wanted}"
        assert status(ask(port, GOOD)) == 200
    assert not [x for x in scene.lines("evil.example", "\x1b")], "what it said is in the log"
    scene.send()
    scene.as_before()
    scene.close()


@test
def http_guesses():
    """Five wrong tokens of an address in a minute, then none is looked at; each is a line, and the limiter's work."""
    scene, port = scene_with_http()
    wrong = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %d\r\n\r\n"
    got = [status(ask(port, wrong % i)) for i in range(20)]
    assert got == [401] * 5 + [429] * 15, got
    assert len(scene.lines("Failed authentication")) == 5
    scene.close()


def certificate(folder):
    cert, key = folder + "/cert.pem", folder + "/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "30000", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


def deaf(port, trusted, questions):
    """Asks so often that its answers fill what the system holds, and reads none of them."""
    s = connect(port, trusted)
    s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * questions)
    return s


@test
def http_clients():
    """More than there are places: silent, half a head, deaf; in clear and inside TLS. A new one is served nevertheless,
    and who reads nothing for a minute is cut: nothing that TLS still holds for it keeps its place."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(folder)
        cert, key = certificate(folder)
        for trusted in (None, cert):
            os.environ["ABUSE_CLOCK"] = clock.path
            scene, port = scene_with_http("" if trusted is None else f"tlsCert = {cert}\ntlsKeyFile = {key}\n", CLOCKED)
            del os.environ["ABUSE_CLOCK"]
            held = [connect(port) for _ in range(40)]  # silent: below TLS, too
            for s in held[::2]:
                s.sendall(b"GET /hea" if trusted is None else b"\x16\x03\x01")
            assert status(ask(port, GOOD, trusted)) == 200, "among silent ones"
            held += [deaf(port, trusted, 100) for _ in range(40)]
            assert status(ask(port, GOOD, trusted)) == 200, "among deaf ones"
            for ahead in (11000, 61000, 61000):
                clock.jump(0, ahead)
                scene.send()
            wait_for("nobody who reads nothing keeps a descriptor", lambda: scene.now()["fds"] <= scene.before["fds"] + 8)
            for s in held:
                s.close()
            scene.as_before()
            scene.close()


@test
def http_slow():
    """A byte a second of a head, of a body, of a greeting of TLS: each is over after ten."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = certificate(folder)
        scene, port = scene_with_http()
        other, tls_port = scene_with_http(f"tlsCert = {cert}\ntlsKeyFile = {key}\n")
        answers, took = {}, {}

        def trickle(name, at, text):
            s, begin = connect(at), time.monotonic()
            try:
                for byte in text:
                    s.sendall(bytes([byte]))
                    time.sleep(1)
                    s.setblocking(False)
                    try:
                        answers[name] = s.recv(4096)
                        break
                    except BlockingIOError:
                        s.setblocking(True)
            except (BrokenPipeError, ConnectionResetError):
                answers[name] = b""
            took[name] = time.monotonic() - begin
            s.close()

        work = [threading.Thread(target=trickle, args=a) for a in (
            ("head", port, GOOD), ("lines", port, b"\r\n" * 50),
            ("greeting", tls_port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)))]
        for w in work:
            w.start()
        for w in work:
            w.join(60)
        assert status(answers["head"]) == 408 and answers["lines"] is not None and answers["greeting"] is not None, answers
        assert all(t < 20 for t in took.values()), took
        assert status(ask(port, GOOD)) == 200 and status(ask(tls_port, GOOD, cert)) == 200
        for s in (scene, other):
            s.as_before()
            s.close()
