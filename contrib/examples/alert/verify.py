#!/usr/bin/env python3
"""Takes SilkTalk's alerts and checks their signature: verify.py SECRET_FILE [PORT]. See contrib/alerts.md."""
import hashlib
import hmac
import http.server
import json
import sys
import time


def verify(secret, header, body, now=None):
    """True: `body` was signed with `secret` (bytes of the file, without newline) within the last 5 minutes."""
    try:
        parts = dict(part.split("=", 1) for part in header.split(","))
        age = (time.time() if now is None else now) - int(parts["t"])
        wanted = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        return abs(age) <= 300 and hmac.compare_digest(wanted, parts["v1"])
    except (AttributeError, KeyError, ValueError):
        return False


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))
        good = verify(SECRET, self.headers.get("SilkTalk-Signature"), body)
        self.send_response(204 if good else 403)
        self.end_headers()
        if good:
            alert = json.loads(body)
            print(alert["time"], alert["node"], alert["event"], alert["text"], flush=True)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        SECRET = f.read().rstrip(b"\r\n")
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8090), Handler).serve_forever()
