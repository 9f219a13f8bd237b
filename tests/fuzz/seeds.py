#!/usr/bin/env python3
"""seeds.py FOLDER: stories that the fuzzer would take long to find by itself, written as FOLDER/TARGET/*.

They follow the targets' way of reading their input, so they are only needed when that has changed: then the kept
corpus means something else, and `tests/fuzz/run keep` makes a new one of these and of what fuzzing adds."""
import hashlib
import os
import random
import re
import struct
import sys

random.seed(1)
OUT = sys.argv[1]


def put(target, data):
    folder = os.path.join(OUT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as f:
        f.write(data)


def text_of(name):
    with open(name, encoding="utf-8") as f:
        return f.read()


def u8(*values):
    return bytes(v & 255 for v in values)


def part(data):
    if isinstance(data, str):
        data = data.encode()
    return u8(len(data)) + data if len(data) < 255 else b"\xff" + struct.pack(">H", len(data)) + data


# ---- a whole node: see step() of node_fuzz.c
STORE_OP = re.sub(r"/\*.*?\*/", "", text_of("lib/node/store_op.h"), flags=re.S)
KINDS = re.findall(r"\bSTORE_[A-Z_]+\b", re.search(r"enum store_kind \{(.*?)\};", STORE_OP, re.S).group(1))
METHODS = re.findall(r'X\("([a-z.]+)", method_', text_of("lib/node/control.h"))
KEYS = re.findall(r'"(\w+)"', re.search(r"keys\[\] = \{(.*?)\};", text_of("tests/fuzz/node_fuzz.c"), re.S).group(1))
P1, P2, P3, P4, LAST, ADDRESS, NAME = (chr(i) for i in range(1, 8))


def connect(how=0, who=0):
    return u8(0, how, who)


def request(method, client=0, **fields):
    out = u8(12, client, METHODS.index(method), len(fields))
    for key, value in fields.items():
        out += u8(KEYS.index(key))
        if isinstance(value, bool):
            out += u8(10 if value else 2)
        elif isinstance(value, int):
            out += u8(0, value) if 0 <= value < 256 else u8(1) + struct.pack(">q", value)
        elif isinstance(value, tuple):
            out += u8(15, value[0])
        elif isinstance(value, list):
            out += u8(3) + part(value[0])
        else:
            out += u8(4) + part(value)
    return out


def raw_request(text):
    return u8(17, 0, 0) + part(text)


def later(ms):
    return u8(18) + struct.pack(">H", ms) if ms < 65536 else u8(18 + 64) + struct.pack(">H", ms // 1000)


def back(ms):
    return u8(18 + 128) + struct.pack(">H", ms)


def message(how=0, body="hello"):
    return u8(how) + part(body)


def speech(*pieces):
    return b"".join(pieces) + (u8(0) if len(pieces) < 8 else b"")


def said(text):
    return u8(4) + part(text)


def a_message(how=0, body="hello", more=b""):
    return u8(1) + message(how, body) + more


def a_receipt(how):
    return u8(2, how)


def an_identify():
    return u8(3)


def asks_bytes(n):
    return u8(7) + struct.pack(">H", n)


def open_stream(protocol, *pieces, far=0, flags=0):
    return u8(5 + 32 * far, protocol + flags) + speech(*pieces)


def more(what, *pieces, far=0):
    return u8(9 + 32 * far, what) + speech(*pieces)


def frame(how, stream, length=0, payload=None, far=0):
    out = u8(4 + 32 * far, how, stream)
    if how & 8:
        out += part(payload or b"")
    if how & 16:
        out += struct.pack(">I", length)
    elif not how & 8:
        out += u8(length)
    return out


def store_well(i=0):
    return u8(20 + 32 * i)


def of(kind):  # the first operation of that kind
    return 128 + KINDS.index(kind)


def store_error(error, i=0):
    return u8(21, i, error)


def store_rows(*items, i=0):
    return u8(21, i, 255) + b"".join(items) + (u8(0) if len(items) < 16 else b"")


def row_peer(k):
    return u8(1 + 8 * k)


def row_u8(v):
    return u8(2, v)


def row_u16(v):
    return u8(3, v)


def row_u32(v):
    return u8(4, v)


def row_u64(v):
    return u8(5, v)


def row_bytes(data):
    return u8(6) + part(data)


def row_frame(how=0, body="queued"):
    return u8(7) + message(how, body)


def dialed(how=0, i=0):
    return u8(22 + 32 * i, how)


def resolved(ips=(), texts=(), failed=False):
    out = u8(24, (1 if failed else 0) + 2 * len(ips) + 16 * len(texts)) + u8(*ips)
    for kind, text in texts:
        out += u8(kind) + (part(text) if kind & 2 else b"")
    return out


def hangup(far=0):
    return u8(25 + 32 * far)


def reconfigure(preset=0, text=None):
    return u8(26, 1) + part(text) if text is not None else u8(26, preset * 2)


def other(what):
    return u8(27, what, 1, 0, 0)


READING, BY_HAND, POLITE = u8(28), u8(29), u8(31)
IDENTIFY, PUSH, PING, MESSAGE, PERF, OTHER, LS, FILE = range(8)
A_FILE = (5,)  # a name, so many bytes
DESCRIPTOR = 64  # a client that passes one


def an_offer(how=0, size=5):
    return u8(4 + 128, how, size)


def a_file_answer(status, offset=0):
    return u8(4 + 64, status, offset)


def story(config, *steps, private=False, by_hand=False):
    data = u8(config + (64 if private else 0) + (128 if by_hand else 0)) + b"".join(steps)
    put("node", data)
    put("node", data + b"\x1d")  # the other way to end


def send(to=P1, **more_fields):
    return request("send", peer=to, body="a message", **more_fields)


RECORD = (u8(1) + struct.pack(">QQ", 5, 6) + u8(1) + struct.pack(">Q", 7) + struct.pack(">H", 8) +
          bytes([4, 10, 0, 0, 1, 6, 15, 161]))
ALL_ROWS = (row_peer(1), row_u64(9), row_u32(3), row_u16(4), row_bytes("name"), row_u32(len(RECORD)), row_bytes(RECORD))
QUEUED = (row_peer(0), row_u32(2), row_u64(90), row_u64(1), row_u64(77))


def random_step():
    peer = random.choice([P1, P2, P3, P4, ADDRESS, NAME, "some-name", "/ip4/10.0.0.3/tcp/4001", "abcdef"])
    pick = random.randrange(30)
    if pick < 3:
        return connect(random.choice([0, 0, 0, 2, 4, 8, 1, 32, 64]), random.choice([0, 1, 2, 3, 64, 129, 5]))
    if pick < 7:
        return open_stream(random.randrange(8), *random.choices(
            [a_message(), a_message(32), a_message(16), a_message(2, "x", part("subject")), a_message(0, "z" * 2000),
             an_identify(), said("bytes"), asks_bytes(300), asks_bytes(65000), u8(6), a_receipt(1), a_receipt(5), an_offer(), an_offer(4), a_file_answer(0), a_file_answer(1)],
            k=random.randrange(4)), far=random.randrange(3), flags=random.choice([0, 0, 128, 64]))
    if pick < 9:
        return more(random.choice([0, 64, 8 + 32, 9 + 32, 10 + 32, 8 + 64, 9, 10, 72, 16]), *random.choices(
            [a_receipt(1), a_receipt(2), a_receipt(3), a_receipt(5), a_receipt(129), a_message(), an_identify(), u8(6), a_file_answer(0), a_file_answer(0 + 32), a_file_answer(1), an_offer()],
            k=random.randrange(3)), far=random.randrange(3))
    if pick < 15:
        names = random.sample(KEYS, random.randrange(5))
        values = {k: random.choice([peer, peer, LAST, 0, 1, 5, 1000, -1, 2**62, True, False, [P1], "debug", "hi", A_FILE])
                  for k in names}
        if random.random() < 0.7:
            values["peer"] = peer
        return request(random.choice(METHODS), random.choice([0, 1, 2, 64, 128 + random.randrange(30)]), **values)
    if pick < 17:
        return later(random.choice([1, 100, 300, 1100, 5000, 11000, 61000, 700000, 60000000]))
    if pick < 19:
        return dialed(random.choice([0, 0, 0, 1, 2, 4, 8, 16]), random.randrange(3))
    if pick < 20:
        return resolved([1, 2], [(0, ""), (4, "")]) if random.random() < 0.7 else resolved(failed=True)
    if pick < 22:
        return store_well(random.randrange(3))
    if pick < 24:
        return store_error(random.randrange(16), random.randrange(3))
    if pick < 25:
        return frame(random.choice([0, 1, 33, 65, 129, 161, 2, 34, 3, 8 + 33, 8, 16, 17]), random.choice([1, 3, 200, 40]),
                     random.choice([0, 1, 255]), b"payload")
    return random.choice([hangup(random.randrange(3)), reconfigure(random.randrange(6)), other(random.randrange(256)),
                          READING, BY_HAND, POLITE, u8(31 + 128, random.randrange(40)), back(5000), u8(30, 255, 255),
                          raw_request('{"id":{"a":[1]},"method":"x"}')])


def node_stories():
    friend = connect(0, 0)
    for config in range(6):
        for private in (False, True):
            story(config, friend, later(10), private=private)
    story(1, friend, send(wait=True), later(1000), request("outbox"), request("peers"), request("status"))
    for how in (0, 2, 4, 6, 18):
        story(1, connect(how, 0), send(wait_ms=5000), send(), later(11000), later(6000), send())
    for status in range(8):
        agree = more(8 + 32 + 0, an_identify()) + more(8 + 64)
        story(1, connect(4, 0), agree, send(wait=True), more(9 + 32, a_receipt(status)), more(9, a_receipt(1)),
              later(2000), later(60000))
        story(1, friend, POLITE, send(wait=True), more(9 + 32, a_receipt(status)), more(9 + 64), later(2000), later(60000))
    for k in range(5):  # one message too many for the store's good will
        story(1, friend, BY_HAND, send(wait=True), store_error(k), later(3000), store_well())
    story(1, friend, send(P2), send(P2), later(100), connect(0, 1), later(1000))
    story(1, send(P1), request("outbox.cancel", id=LAST), send(P1), later(10), connect(0, 0), later(10),
          request("outbox.retry", id=LAST), request("outbox.cancel", id=LAST))
    story(1, friend, POLITE, send(), send(), more(9 + 32), request("outbox.cancel", id=LAST), more(9, a_receipt(1)))
    story(1, send(P1, expires_ms=1500), later(2000), later(6000), BY_HAND, later(6000))
    for peer in (P1, P2, ADDRESS, NAME, "/ip4/10.0.0.3/tcp/4001", "/ip6/2001:db8::1/tcp/4001", "/dns4/a.test/tcp/1/p2p/" + P3,
                 "/dns6/a.test/tcp/1/p2p/" + P3, "/dns/a.test/tcp/1/p2p/" + P3, "/ip4/10.0.0.1/udp/1/quic-v1/p2p/" + P2,
                 "/ip4/10.0.0.100/tcp/4001/p2p/" + P2, "/ip4/10.0.0.1/tcp/1/p2p/" + P2 + "/p2p-circuit/p2p/" + P1,
                 "/dnsaddr/a.test", "/ip4/10.9.0.1/tcp/1/p2p/" + P2):
        for how in (0, 1, 2, 4, 8, 16):
            for config in (0, 3, 4):
                story(config, other(6), request("connect", peer=peer), request("connect", peer=peer), later(300),
                      resolved([1, 2, 3], [(0, ""), (4, "")]), dialed(how), later(300), dialed(how), resolved([1]), dialed(0),
                      later(20000), later(30000), request("explain", peer=peer), request("peer.show", peer=peer))
    story(2, dialed(0), later(1500), dialed(1), later(5000), dialed(1), later(60000), request("bootstrap.list"))
    story(2, *[later(400000) + dialed(1) for _ in range(12)], request("bootstrap.list"))
    story(4, resolved([], [(0, ""), (4, ""), (2, "x")]), resolved([], [(4, "")]), resolved([], [(4, "")]),
          resolved([], [(4, "")]), dialed(0), later(2000), dialed(0), request("bootstrap.list"))
    both = friend + later(10)
    for fields in ({"count": 2, "interval_ms": 1000}, {"count": 1}, {"count": 300}, {}):
        story(1, both, request("ping", peer=P1, **fields), later(1100), later(11000))
        story(1, connect(4, 0), request("ping", peer=P1, **fields), more(9 + 32, u8(6)), more(9, u8(6)), later(1100),
              later(11000))
        story(1, both, POLITE, request("ping", peer=P1, **fields), hangup())
    for up, down in ((0, 0), (100, 0), (0, 100), (1 << 20, 5), (-1, 0)):
        story(1, both, request("perf", peer=P1, up=up, down=down), more(9 + 64), more(9 + 64, u8(4) + part(b"x" * 100)),
              hangup())
        for pieces in ((), (u8(4) + part(b"x" * 100),), (u8(4) + part(b"12345"),)):
            story(1, both, request("perf", peer=P1, up=up, down=down), more(9 + 64, *pieces))
    for name in ("web-1", "bad name", P2, "x" * 64, ""):
        story(1, both, request("peer.name", peer=P1, name=name), request("peer.name", peer=P2, name=name),
              request("explain", peer=name), request("peers", all=True), send(name), request("peer.forget", peer=P2),
              request("peer.forget", peer=P1), request("disconnect", peer=name), request("disconnect", peer=P1),
              request("peer.forget", peer=P1))
    for method in METHODS:
        for fields in ({}, {"peer": P1}, {"id": LAST}, {"id": LAST, "read": False}, {"older_ms": 5}, {"all": True}, {"n": 3},
                       {"wait_ms": 1000}, {"after": 0}, {"after": 0, "wait_ms": 2000, "unread": True}, {"level": "debug"},
                       {"level": "debug", "component": "net", "for_ms": 1000}, {"component": "x"}, {"level": "x"},
                       {"changed": True}, {"search": "a", "from": P1, "unread": True}, {"peers": [P2]}, {"v": 2}):
            story(1, both, open_stream(MESSAGE, a_message(), a_message(16, b"\xff\xfe")), request(method, **fields),
                  later(3000), open_stream(MESSAGE, a_message(8)), request(method, 130, **fields))
            story(1, both, BY_HAND, request(method, **fields), u8(27, 1, 0, 0, 0), store_error(3), store_error(5), store_well())
    for fields in ({"body_base64": "aGVsbG8="}, {"body_base64": "?"}, {"reply_to": "00" * 16}, {"reply_to": "0"},
                   {"subject": "s" * 257}, {"content_type": "t" * 129}, {"expires_ms": 5}, {"wait_ms": 0}):
        story(1, request("send", peer=P1, **fields), request("send", peers=[P2], **fields))
        story(3, request("send", peer=P1, body="b" * 2000, **fields))
    story(1, request("send", peer=P1, body="x", wait=True), request("inbox.next", wait_ms=5000), later(6000),
          u8(27, 1, 0, 0, 0))
    for flags in (0, 128):
        for protocol in range(8):
            for pieces in ((), (an_identify(),), (a_message(),), (u8(6), u8(6)), (asks_bytes(0),), (asks_bytes(60000),),
                           (said("x"),)):
                for config in (0, 1, 3, 5):
                    story(config, friend, open_stream(protocol, *pieces, flags=flags), more(0, *pieces), more(64),
                          open_stream(protocol, *pieces, flags=flags), open_stream(protocol, flags=64))
    story(1, friend, *[open_stream(MESSAGE, a_message(i)) for i in range(12)])
    story(1, friend, *[open_stream(PING) for _ in range(4)], *[open_stream(PUSH, an_identify(), flags=128)] * 15)
    story(3, friend, *[open_stream(OTHER)] * 12, *[connect(0, i) for i in range(6)], later(30000), connect(0, 3))
    story(3, *[connect(1, 16 + i) for i in range(6)], later(2000), later(20000))
    story(3, connect(1, 1), connect(1, 2), connect(1, 3), later(500), later(15000))
    story(0, *[connect(1, 5) for _ in range(6)] * 2, later(100))
    story(1, friend, READING, *[open_stream(PERF, asks_bytes(65000), flags=128)] * 3, u8(30, 255, 255), READING, later(10))
    story(1, friend, READING, *[open_stream(PERF, *[asks_bytes(0)] * 2, flags=128)] * 3, later(30000), later(31000),
          later(45000))
    for how in (33, 65, 129, 161, 1, 0, 2, 34, 66, 3, 255):
        for stream in (1, 2, 3, 200, 40):
            story(1, friend, open_stream(PING, u8(6)), frame(how, stream, 1), frame(how | 8, stream, 0, b"data"),
                  frame(how | 16, stream, 1 << 30))
            story(1, connect(4, 0), frame(how, 201), frame(how, 202), later(11000))
    # files
    file_send = request("send", DESCRIPTOR, peer=P1, file=A_FILE, wait=True, progress=True)
    for fields in ({}, {"wait": True}, {"peers": [P2]}, {"subject": "s"}, {"progress": True, "wait": True}, {"reply_to": "1"}):
        story(1, both, request("send", DESCRIPTOR, peer=P1, file=A_FILE, **fields), later(100), request("file.list"),
              request("file.cancel", id=LAST), request("file.open", id=LAST), request("file"), later(700000))
        story(1, request("send", DESCRIPTOR, peer=P1, file=A_FILE, **fields), request("send", 0, peer=P1, file=A_FILE),
              friend, later(2000))
    for status in list(range(9)):
        for offset in (0, 100, 200):
            wait = BY_HAND if offset == 200 else b""
            story(1, both, POLITE, file_send, wait, more(9 + 32, a_file_answer(status, offset)), more(9, a_file_answer(0, 50)),
                  store_well(), later(100), more(9, a_file_answer(1)), more(9, a_file_answer(status)), more(9 + 64), later(70000),
                  request("file.cancel", id=LAST))
    for k in range(6):
        story(1, both, BY_HAND, file_send, *[store_well()] * k, store_error(k), store_well(), later(3000), hangup(), later(3000))
        story(1, both, BY_HAND, file_send, *[store_well()] * k, u8(27, 1, 0, 0, 0), store_well(), store_well())
    for config in (0, 1, 2, 4):
        for how in (0, 1, 2, 4, 8, 16, 32, 64):
            for size in (0, 5, 200):
                offer = an_offer(how, size) + (part("..") if how == 2 else b"")
                story(config, friend, open_stream(FILE, offer, said("12345")), more(0, said("x")), more(64), later(70000),
                      request("file.accept", id=LAST), request("file.list"), request("file.open", id=LAST))
                story(config, friend, BY_HAND, open_stream(FILE, offer), store_rows(row_u8(1), row_u8(1)), request("file.accept", id=LAST),
                      store_well(), store_well(), more(0, said("12345")), store_well(), store_well(), more(64), store_well())
                story(config, friend, BY_HAND, open_stream(FILE, offer, said("12345")), *[store_well()] * 3, store_error(how % 16),
                      request("file.cancel", id=LAST), store_well(), store_well(), store_error(3))
    story(1, friend, *[open_stream(FILE, an_offer(0, 9)) for _ in range(5)], open_stream(FILE, an_offer(16, 9)))
    story(1, friend, open_stream(FILE, an_offer(4, 0) + b"\0" * 4 + b"\x20\0\0"), *[more(0, said("z" * 5000))] * 20)
    # what comes from the database
    story(1, store_rows(*ALL_ROWS), store_rows(*QUEUED), store_rows(*QUEUED), connect(0, 0), by_hand=True)
    story(1, *[store_rows(*ALL_ROWS), store_rows(*QUEUED), store_well(), connect(0, 0),
               store_rows(row_u64(1), row_u64(0), row_frame(), row_u64(2), row_u64(0), row_frame(1)), store_well(),
               later(6000), store_rows(row_peer(0), row_bytes(b"i" * 16), row_u64(1)), store_well(), store_error(1)],
          by_hand=True)
    for k in range(3):
        story(1, store_well(), store_rows(*QUEUED, i=of("STORE_OUTBOX_PEERS")), connect(0, 0), *[store_well()] * k, store_rows(
            row_u64(1), row_u64(0), row_frame(), row_u64(2), row_u64(0), row_frame(1), i=of("STORE_OUTBOX_LOAD")), store_well(),
            later(6000), store_rows(row_peer(0), row_bytes(b"i" * 16), row_u64(1), i=of("STORE_OUTBOX_EXPIRE")), store_well(),
            later(6000), store_rows(row_peer(0), row_u8(1), row_bytes(b"i" * 15), row_u64(1), i=of("STORE_OUTBOX_EXPIRE")), by_hand=True)
        story(1, store_well(), store_rows(*QUEUED, i=of("STORE_OUTBOX_PEERS")), connect(0, 0), store_error(2, of("STORE_OUTBOX_LOAD")),
              later(6000), store_well(), store_well(), by_hand=True)
    for expires in (1500, 3000):
        story(1, both, BY_HAND, request("send", DESCRIPTOR, peer=P1, file=A_FILE, expires_ms=expires), *[store_well()] * 4,
              later(5000), later(5000), store_well(), request("file.cancel", id=LAST), store_well())
        story(1, request("send", DESCRIPTOR, peer=P1, file=A_FILE, expires_ms=expires), later(5000), later(5000))
    story(1, both, POLITE, request("send", DESCRIPTOR, peer=P1, file=A_FILE, wait=True), request("file.cancel", id=LAST))
    for at in range(12):  # one allocation fails: of a turn, of an answer of the store
        for which in (0xdf, 0xff):
            story(1, both, u8(which, at), file_send, later(12000), later(12000), request("file.cancel", id=LAST), later(12000))
            for k in range(1, 6):
                story(1, both, BY_HAND, file_send, *[store_well()] * k, u8(which, at), store_well(), later(6000), store_well(),
                      later(12000), *[store_well()] * 4, request("file.cancel", id=LAST), store_well(), store_well(), later(9000))
                story(1, both, BY_HAND, send(), *[store_well()] * k, u8(which, at), store_well(), later(6000), store_well(),
                      later(12000), *[store_well()] * 4)
            story(1, u8(which, at), send(), both, u8(which, at), later(6000), u8(which, at), later(70000))
    for how in (5, 37, 69, 101, 133, 4, 6):
        for stream in (200, 40, 32, 33):
            story(1, friend, open_stream(PING, u8(6)), frame(how, stream), frame(how | 1, stream), later(100))
            story(1, friend, READING, *[open_stream(PERF, asks_bytes(0), u8(4) + part(b"\0" * 6), flags=128)] * 2, READING,
                  frame(1, stream, 200), frame(1 + 16, stream, 1 << 20), frame(how, stream))
    story(3, *[connect(0, i) for i in range(3)], later(700000), later(700000), later(10))
    for error in range(15):
        story(1, *[store_error(error)] * 3, connect(0, 0), send(), store_error(error), store_well(), store_error(error),
              open_stream(MESSAGE, a_message()), store_error(error), later(6000), store_error(error), by_hand=True)
    for i in range(6):
        story(1, friend, request("reload"), reconfigure(i), send(), request("reload"), reconfigure(0, "[node]\nname = \x05\n"),
              request("reload"), reconfigure(0, "[node]\ndata = /other\n[network]\nlisten = /ip4/127.0.0.1/tcp/9\n"))
    story(1, *[other(6 * k) for k in range(4)], friend, later(6000), *[other(k) for k in (0, 6, 12, 18, 2, 3, 4)])
    story(1, friend, other(255), later(100), send(), request("connect", peer=ADDRESS))
    story(1, friend, hangup(), later(2000), friend, connect(0, 0), connect(0, 0), connect(2, 0), later(700000))
    story(5, *[request("peer.show", peer="Qm" + c * 44) for c in "abcdefgh"], request("peers", all=True))
    many = b"".join(request("peer.show", peer="/ip4/1.2.3.%d/tcp/%d/p2p/%s" % (i, i, P2)) for i in range(20))
    story(5, many, request("peer.show", peer=P2), request("connect", peer=P2), later(5000))
    for _ in range(6000):
        steps = [random_step() for _ in range(random.randrange(3, 25))]
        story(random.randrange(6), connect(random.choice([0, 0, 4]), random.randrange(4)), *steps,
              private=random.random() < 0.1, by_hand=random.random() < 0.2)


# ---- texts
def text_seeds():
    for t in ("2026-02-22T10:15:30.123Z", "2026-02-22", "2024-02-29 23:59", "2026-12-31 23:59:60", "1970-01-01T00:00:00+05:30",
              "2026-02-22t10:15:30.1239z", "2026-02-22T10:15:30-23:59", "2026-13-01", "2026-02-22T24:00:00Z"):
        put("units", b"\x03" + t.encode())
    for t in ("90s", "1h30m", "7d", "250ms", "5"):
        put("units", b"\x00" + t.encode())
        put("units", b"\x01" + t.encode())
    for t in ("64 KiB", "1MiB", "3", "16EiB", "2TiB"):
        put("units", b"\x02" + t.encode())
    for t in ('{"a":1,"b":[true,null,-2,1.5e300,"x\\u0001"],"c":{"d":"e"}}', "[[[[[]]]]]", "[" * 40, '"\\ud83d\\ude00"',
              '{"a":-9223372036854775808,"b":18446744073709551615,"c":"t","b":false}', "[1,2", "true", "null"):
        put("json", b"\x01" + t.encode())
    for t in ("/ip4/10.0.0.1/tcp/4001", "/ip6/::1/udp/4001/quic-v1", "/dns4/example.com/tcp/443/wss", "/memory/5",
              "/garlic64/" + "A" * 516 + "==", "/garlic64/" + "~" * 515 + "-", "/garlic32/" + "a" * 56, "/unix/a/b",
              "/onion/aaimaq4ygg2iegci:80", "/onion3/" + "a" * 56 + ":1", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/http-path/a%2fb",
              "/ip4/1.2.3.4/ipcidr/24", "/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
              "/dnsaddr/x.test/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", "/tls" * 25, "/tls" * 24,
              "/dns/" + "a" * 250 + "/tcp/1", "/unix/" + "u/" * 300, "/p2p/Qm" + "a" * 44, "/ip4/1.2.3.4/tcp/1/p2p-circuit",
              "/" + "x" * 2050, "/tls/", "//", ""):
        put("multiaddr", b"\x00" + t.encode())
    for code, value in ((777, struct.pack(">Q", 7)), (4, b"\x01\x02\x03\x04"), (400, b"\x02/a"), (446, b"\x83\x03" + b"g" * 387),
                        (446, b"\x82\x03" + b"g" * 386), (447, b"\x20" + b"h" * 32), (444, b"o" * 12), (445, b"o" * 37)):
        tag = bytes([code & 127 | 128, code >> 7]) if code > 127 else bytes([code])
        put("multiaddr", b"\x01" + tag + value)
    head = "/key/swarm/psk/1.0.0/\n"
    for t in (head + "/base16/\n" + "0a" * 32 + "\n", head + "/base64/\n" + "A" * 43 + "=\n", head + "/bin/\n" + "k" * 32,
              head + "/bin/\n" + "k" * 32 + "\r\n", (head + "/base16/\n" + "0A" * 32).replace("\n", "\r\n"), head + "/x/\n1"):
        put("key", b"\x04" + t.encode())
    vectors = dict((m[0], "".join(re.findall(r'"([^"]*)"', m[1])))
                   for m in re.findall(r'#define (\w+)((?:\s*\\?\s*"[^"]*")+)', text_of("tests/crypto/key_vectors.h")))
    for name, text in vectors.items():
        if name.endswith("_PUBLIC") and name != "STATIC_PUBLIC":
            public = bytes.fromhex(text)
            signature = bytes.fromhex(vectors.get(name.replace("PUBLIC", "SIGNATURE"), "3006020101020101"))
            put("key", b"\x00" + part(signature) + public)
            put("key", b"\x00" + part(signature[:-1] + b"\x00") + public)
            put("key", b"\x00" + part(b"1") + public)
            put("key", b"\x06" + hashlib.sha256(public).digest())
        if name.endswith("_PRIVATE"):
            put("key", b"\x02" + bytes.fromhex(text))
    put("key", b"\x00\x000" + b"\x08\x00" * 700)
    put("key", b"\x06\x12\x20" + b"d" * 32)
    for t in ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
              "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe", "k51qzi5uqu5dkwkqm42v9j9kqcam2jiuvloi16g72i4i4amoo2m8u3ol3mqu6s"):
        put("key", b"\x05" + t.encode())
    rows = re.findall(r'X\((\w+), (\w+), [A-Z]+, "([^"]*)"', text_of("lib/node/config_keys.h"))
    whole = "".join(f"[{s}]\n{k} = {v}\n" for s, k, v in rows if not v.startswith("<"))
    texts = [whole, "[limits]\nknown_peers = 500\n", "[limits]\nknown_peers = 1\n", "[limits]\nconnections = 5\n",
             "[limits]\nnothing = 5\n", "[connection]\nminConnections = 50\nmaxConnections = 5\n", "[conection]\n",
             "[connection]\nreservedForTrusted = 50\nmaxConnections = 5\n", "[connection]\nmaxConections = 5\n",
             "[connection]\nredialMin = 1h\nredialMax = 1s\n", "[messages]\nretryMin = 1h\nretryMax = 1s\n",
             "[access]\nmode = allowlist\n[network]\nlisten =\n", "x = 1\n", "[network]\nlisten = /ip4/1.2.3.4/tcp/1\n"
             "listen = /ip4/1.2.3.4/tcp/1\n", "[network]\nlisten = /ip4/1.2.3.4/udp/1\n", "[node]\nname = a\n\tb\n",
             "[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/1\n", '[network]\ndnsServers = ["1.1.1.1", "::1"]\n',
             "[access]\nallowPeers = QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N\n", "[node]\nname\n",
             "[node]\n# the name\n#name = x\n; other\ndata = /d\n", "[node]\r\nname = x\r\n\r\n[access]\r\nmode = open",
             "[access]\ndenyCidrs = 10.0.0.0/8, 2001:db8::/32\n", "", "\n\n", "[node]"]
    for t in texts:
        put("config", b"\x00\x00\x00" + t.encode())
        put("config", b"\x00\x00" + part(t) + b"[node]\nname = z\n")
        for key in range(0, len(rows), 3):
            value = rows[key][2]
            put("config", u8(2, key) + part(value) + t.encode())
            put("config", u8(6, key) + part(value) + t.encode())
    for key, row in enumerate(rows):
        put("config", u8(1, key) + row[2].encode())
        put("config", u8(3, 0) + f"{row[0]}.{row[1]}".encode())
        for t in (f"[{row[0]}]\n{row[1]} = {row[2]}\n", f"[{row[0]}]\n#{row[1]} = x\n"):
            put("config", u8(2, key) + part(row[2]) + t.encode())
            put("config", u8(6, key) + part(row[2]) + t.encode())
    put("config", u8(3, 0) + b"!")


def other_seeds():
    whole = u8(1, 33, 2 + 64, 9, 8) + part("name.txt") + u8(9 + 64, 5, 10 + 32, 3) + part("text/plain") + u8(5) + part("subject")
    for data in (whole, whole + u8(6 + 64, 9, 7 + 32), whole + u8(9 + 96) + b"\xff" * 8, u8(1, 1 + 64, 3, 2 + 64, 77, 3 + 64, 1)):
        put("file", data)
    conf = "nameserver 192.0.2.1\nsearch one.test two.test\noptions ndots:2 timeout:1\n"
    hosts = "127.0.0.1 localhost\n10.0.0.1 a.test b # c\n::1 x\n"
    for kind in range(64):
        for packets in (u8(2, 0, 0, 4, 0, 0, 0, 0), u8(2, 1, 1, 4) + part("bad"), u8(2, 255), u8(2, 230), u8(2, 0, 0, 3, 96) +
                        part("dnsaddr=/ip4/1.2.3.4") * 7 + u8(0) + part("") + u8(1) + part("x")):
            put("dns", u8(1, kind % 3) + part(conf) + part(hosts) + u8(kind * 8) + packets * 3 + u8(5, 20, 0, 7, 0, 5, 80, 0, 7))
    put("dns", u8(1, 0) + part(conf) + part("") + u8(16, 7 + 128) + part("search three.test\n") + u8(5, 32, 0, 8, 7))
    put("dns", u8(0, 3 + 16) + part("a.test") + hosts.encode())
    for kind in range(26):
        frames = u8(0, 1, 1) + part("body")
        put("store", b"".join([u8(0, k) + u8(5, k) + frames[1:] + b"" for k in range(2)]) + u8(kind, 0, 3, 9) + u8(72) * 4)
    for add, others in ((10, (11, 12, 13, 14, 15)), (0, (1, 2, 3, 4, 5, 6, 7, 8, 9))):
        for k in range(40):
            data = b""
            for i in range(6):
                data += u8(add, 0, 0, 200) + u8(random.choice([0, 4]), random.randrange(3)) + u8(random.randrange(4)) + part("body")
                data += u8(random.choice(others), 0, random.randrange(8), random.randrange(20), random.choice([64, 65, 128, 160])) + \
                    u8(random.randrange(28), 0)
            put("store", data)
    spool = KINDS.index("STORE_SPOOL_TAKE")
    for how in (0, 1, 2, 3, 4, 8, 16, 32, 64, 96, 128, 68, 72, 144, 148, 20, 12):
        for k in range(4):
            for limits in (0, 2):
                few = b"\x01\x01\x00\x01" if limits else b""
                one = u8(spool, limits, 1, 50) + few + u8(how + 16 * k)
                header = b"" if how & 4 or how & 64 else part('{"v":1,"peer":"x"}')
                put("store", (one + header + u8(0, k) + part("body")) * 4)
    for fault in range(9):  # what the file system refuses: put_file, run
        for error in range(7):
            put("store", u8(spool, 0, 1, 50, 80, fault + 9 * error, 0, 1) + part("body"))
    for taken in (192, 224):
        put("store", u8(spool, 0, 1, 50, 64, 0, 1) + part("body") + u8(spool, taken, 1, 50, 64, 0, 2) + part("body") * 2)
    put("control", b"".join(u8(k) for k in (0, 0, 15, 5, 15, 255, 15, 10, 1, 0, 15, 7, 31, 47, 63, 8, 15)))
    for how in range(0xf0, 0x100):
        put("control", u8(how, 0, 15, 0xf1, 0, 0xff, 5, 15, 10, 9, 9, 15))
    for how in range(16):
        put("control", u8(how, 0) + u8(4) + part("one\ntwo\n" + "x" * 60) + u8(15 + 16 * how, 5, 6) + part("d\n") + u8(31, 70) +
            part("e\nf") + u8(15, 9, 7, 15 + 128, 8, 15))


# ---- HTTP of a whole node: see step() and expand() of web_fuzz.c
def web_seeds():
    routes = re.findall(r'\{HTTP_(\w+), "([^"]+)"', text_of("lib/node/http_routes.c"))
    queries = ("", "?limit=1", "?after=3&limit=2", "?from=\x01&search=x&since=2026-01-01&peer=\x02", "?span=minute&names=peers",
               "?event=Peer&level=warn&n=%zz")
    bodies = (None, "{}", "[]", '{"peer":"\x01","body":"b","wait":true}', '{"state":"on","for_ms":5000,"notify":"n"}', "{")
    for method, path in routes:
        path += "\x05" if path.endswith("/messages/") or path.endswith("/outbox/") else "\x01" if path != "/" and path.endswith("/") else ""
        for i, query in enumerate(queries):
            story = b""
            for client in range(6):
                body = bodies[(client + i) % len(bodies)]
                head = f"{method} {path}{query}\x13" + ("", "\x10", "\x11", "\x12", "\x12", "Authorization: Basic x\r\n")[client]
                if body is not None:
                    head += f"Content-Length: {len(body)}\r\n"
                head += ("", "Connection: close\r\n", "Expect: 100-continue\r\n", "Origin: http://localhost\r\n", "",
                         "Accept: application/openmetrics-text\r\n")[client]
                story += u8(1, client) + part(head.encode("latin-1") + b"\r\n" + (body or "").encode("latin-1"))
                story += u8(10, 0, 0, 5, client)
            put("web", u8(i % 4) + story)
            put("web", u8(1) + story + u8(10, 0, 200, 10, 1, 201, 9, 0, 255, 255, 5, 0, 5, 1))
    head = b"\x13Host: good.example\r\n"
    for odd in (b"GET /health HTTP/1.1\r\nHost: evil\r\n\r\n", b"GET /" + head[:1] + b"Sec-Fetch-Site: cross-site\r\n\r\n",
                b"POST /health" + head[:1] + b"Origin: http://evil\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
                b"GET /health HTTP/1.1\r\nHost: Tester\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: GOOD.example:1\r\n\r\n",
                b"POST /api/v1/messages\x13\x12Content-Length: 9000\r\n\r\n", b"x" * 300):
        for client in range(6):
            put("web", u8(2) + u8(1, client) + part(odd) + u8(5, client) + u8(9, 0, 255, 255, 5, client))
    wrong = b"GET /livez\x13Authorization: Bearer x\r\n\r\n"
    put("web", u8(0) + (u8(1, 0) + part(wrong) + u8(5, 0)) * 8 + u8(1, 1) + part(wrong))
    put("web", u8(0) + b"".join(u8(0, 8 * i) for i in range(40)) + u8(1, 3) + part(b"GET /\x14") + u8(8, 3, 7, 3))
    put("web", u8(0) + u8(11, 0) + part("# x\nname read never " + "a" * 64 + "\n") + u8(11, 0) + part("bad line") + u8(11, 1))
    put("web", u8(0) + u8(1, 0) + part(b"GET /livez\x13\r\nGET /livez\x13\r\n" * 3) + u8(4, 0, 4, 0, 5, 0, 5, 0, 5, 0))


def host_seeds():
    stat, memory, load = "cpu 10 20 30 40 50 60 70 80 90\ncpu0 1\n", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n", "0.5 1.25 2.00 1/2 3"
    groups = ("0::/g\n", "5:memory:/g\n4:cpu:/x\n", "0::/\n", "0::/g/none\n1:a,memory:/\n")
    for i, group in enumerate(groups):
        files = [stat, memory, load, "100 50 1 1 1 1", group, "5000" if i != 2 else "max", "3000",
                 "anon 1\ninactive_file 500\n", "400000", "300000", "total_inactive_file 200\n"]
        later = [stat.replace("10", "99"), stat.replace("20", "999"), stat.replace("40", "0")]
        put("host", b"".join(part(x) for x in files + later))
        put("host", b"".join(part(x[:len(x) // 2]) for x in files + later))
        put("host", b"".join(part(x.replace("0", "-9")) for x in files + later))


def small_seeds():
    source = text_of("tests/node/config_import_test.c")
    for literal in re.findall(r'"(\{(?:[^"\\]|\\.)*)"', source):
        put("import", literal.encode().decode("unicode_escape").encode("latin-1"))
        put("import", literal.encode().decode("unicode_escape").encode("latin-1") + b" ")
    digest = "0123456789abcdef" * 4
    for i, line in enumerate(("a read never", "b.c messages 2026-02-22T10:15:30Z", "d_e admin 2030-01-01T00:00:00+02:00", "a read never", "x other never",
                 "y read sometimes", "? read never", "z" * 63 + " read never", "z" * 64 + " read never")):
        put("tokens", part("new") + f"# c\n\n{line} {digest}\n".encode())
        put("tokens", part("a") + f"a read never {digest}\n{line} {digest} more\n".encode())
        put("tokens", part("") + f"{line} {digest[:i]}".encode())
    put("tokens", part("many") + "".join(f"n{i} read never {digest}\n" for i in range(260)).encode())
    now, before = "2026-02-22T10:15:00.000Z", "2026-02-20T10:15:00.000Z"
    put("logs", f"{before} WARN net: Old text a=b\n{before} ERROR net: Other\n{now} WARN net: Old text a=c\n{now} ERROR net: New text a=b\n".encode())
    put("logs", (json_line(now, "error", "Listener lost") + json_line(before, "warn", "x" * 200) + json_line("x", "info", "y") + "{}\n{\n").encode())
    put("logs", f"{now}\n{now} WARN\n{now} WARN net:\n{now} WARN net: \n{now} WARN x=y: z\n2027-01-01T00:00:00Z ERROR a: b\n".encode())
    put("logs", b".20260222-101500.gz\n-20260219.gz\n-20260215\n.1.gz\n")
    put("logs", b"-20260101.gz \n.20261399\nx\n-2026.gz\n")
    for i in range(8):
        put("answer", u8(i) + part('{"id":1}\n{"id":2,') + u8(3) + part('"x":3}\n\n') + u8(5, 4) + part("ask") + u8(i) + part("end") + u8(6, 0, 5))
    put("answer", (u8(3) + part("a\n")) * 5 + u8(6) + u8(4) + part("late"))
    put("answer", u8(0) + part("no newline") + u8(6) + u8(4) + part("x" * 300) * 4)
    for how in range(16):
        put("tls", u8(1, how * 16 + 3, 3))
        put("tls", u8(1, 3, how * 16 + 3) + part("x"))
        put("tls", u8(1, how * 16 + 1) + struct.pack(">HB", how * 21, 0x55) + u8(1) + struct.pack(">HB", how * 7, 1))
        put("tls", u8(1, 1) + struct.pack(">HB", 0x8000 + how * 17, 0) + u8(3))
    texts = {}
    for name, literal in re.findall(r"static const char (\w+)\[\] = (.*?);\n", text_of("tests/crypto/certificate_test.c"), re.S):
        texts[name] = "".join(re.findall(r'"([^"]*)"', literal)).replace("\\n", "\n")
    for chain in ("ec_cert", "rsa_cert"):
        for key in ("ec_key", "ec_other", "rsa_key"):
            put("tls", u8(1, 0) + part(texts[chain]) + u8(0) + part(texts[key]))
    for how in (2, 4, 6):
        put("tls", u8(how, 14, 14, 3, 14))
    good = u8(14)
    put("tls", u8(0) + good + u8(14, 2) + part("question") + u8(14, 2, 3) + part("answer") + u8(14, 4, 14, 5, 14))
    put("tls", u8(0) + good + u8(14, 2) + part("x" * 20000) + u8(14, 14, 14))
    for op in (6, 7, 0x86, 0x87):
        for at in range(0, 1200, 97):
            put("tls", u8(0, op) + struct.pack(">HB", at, 0x10) + u8(15, 14))
            put("tls", u8(0, 8) + struct.pack(">H", 5000) + u8(op) + struct.pack(">HB", at, 0x10) + u8(15, 14))
            put("tls", u8(0, 14, 2) + part("data") + u8(op) + struct.pack(">HB", at, 1) + u8(14, 15, 5, 4, 14))
    for raw in (b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x03\x00\x02\x02\x46", b"GET / HTTP/1.1\r\n\r\n",
                b"\x17\x03\x03\xff\xff", b"\x80\x2e\x01\x00\x02"):
        put("tls", u8(0, 0) + part(raw))
        put("tls", u8(0, 1) + part(raw) + u8(14))
        put("tls", u8(0, 14, 0) + part(raw) + u8(14, 1) + part(raw))


def json_line(time, level, event):
    return '{"time":"%s","level":"%s","event":"%s"}\n' % (time, level, event)


def client_seeds():
    """See client_fuzz.c; replies and addresses are those of the unit tests."""
    literal = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'

    def texts(name):
        for found in re.findall(literal, text_of(name)):
            joined = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found))
            yield joined.encode("latin-1").decode("unicode_escape").encode("latin-1")
    for text in texts("tests/proto/url_test.c"):
        if b"http" in text or b"ftp" in text:
            put("client", u8(0) + text)
    for text in texts("tests/proto/http_client_test.c"):
        if text.startswith((b"HTTP", b"SSH")):
            for kind in range(3):
                put("client", u8(1, kind, 7) + text)
            for how in range(0, 16):
                put("client", u8(3, how) + part(text[:30]) + part(text[30:]))
            for how in range(16):
                put("client", u8(4) + struct.pack(">H", 1499) + u8(0, how) + text)
    certificate = b"".join(texts("tests/crypto/tls_pair.h")).split(b"-----BEGIN PRIVATE")[0]
    for most in range(3):
        for text in (b"", b"none", certificate, certificate * 3, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + certificate,
                     certificate[:200], certificate[:-30], certificate.replace(b"MIIB", b"MIIC")):
            put("client", u8(2, most) + text)
    for at in range(0, 1500, 25):
        put("client", u8(4) + struct.pack(">H", at) + u8(1 << (at // 25 % 8), at // 25 % 16) + b"HTTP/1.1 200 OK\r\n\r\nx")
    connect = b"HTTP/1.1 200 OK\r\n\r\n"
    for how in range(16):
        for more in (b"", b"\x15\x03\x03\x00\x02\x02\x46", b"HTTP/1.1 403 No\r\n\r\n"):
            put("client", u8(3, how) + part(connect) + (part(more) if more else b""))
            put("client", u8(3, how) + part(connect + more))
            put("client", u8(3, how) + (part(more) if more else b""))


node_stories()
text_seeds()
other_seeds()
web_seeds()
host_seeds()
small_seeds()
client_seeds()
