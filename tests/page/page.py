#!/usr/bin/env python3
"""The status page in headless Chromium before a real node: three sizes, light and dark, with 0, 5 and 300 peers, and with
faults. Its numbers are those of /metrics; it asks nobody else, breaks no policy, and takes nothing from peers but text.

Environment: SILKTALK, BUILD, TMPDIR, BROWSER; SHOTS=folder keeps all pictures, whole; KEEP=1 makes those of this folder
anew, which README.md shows. Prints what went wrong."""
import json
import math
import os
import random
import sqlite3
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "interop"))
sys.path.insert(0, HERE)
import silktalk  # noqa: E402
from browser import Browser, Tab  # noqa: E402

EXE = os.path.abspath(os.environ.get("SILKTALK", "build/silktalk"))
ATTACKER = os.path.join(os.path.abspath(os.environ.get("BUILD", "build")), "abuse", "attacker")
SHOTS = os.environ.get("SHOTS")
SIZES = {"phone": (390, 844), "desk": (1280, 800), "wide": (1920, 1080)}
PAGE_MAX = 40 << 10
INI = """[node]
name = {name}
[http]
listen = 127.0.0.1:{port}
[messages]
from = any
[connection]
maxConnections = 400
inboundConnectionThreshold = 1000
maxConnectionsPerAddress = 1000
[health]
cpuWarning = 100
cpuCritical = 100
memoryWarning = 100
memoryCritical = 100
diskWarning = 100
diskCritical = 100
"""
wrong, crowd_size, sizes_of_pictures = [], 295, []


def check(good, what):
    if not good:
        wrong.append(what)


class Node(silktalk.SilkTalk):
    def __init__(self, name, **more):
        self.http = silktalk.free_port()
        super().__init__(ini=INI.format(name=name, port=self.http), binary=EXE, **more)

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.http}{path}"

    def get(self, path):
        with urllib.request.urlopen(self.url(path), timeout=30) as r:
            return r.read().decode()

    def metrics(self):
        values = {}
        for line in self.get("/metrics").splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name.removeprefix("silktalk_")] = float(value)
        return values


def total(m, name, label=""):
    return sum(v for k, v in m.items() if (k == name or k.startswith(name + "{")) and label in k)


def write_history(home):
    """A month by the hour and a day by the minute, as a node with some work would have written them."""
    db = sqlite3.connect(home + "/data/silktalk.db")
    db.execute("DELETE FROM figures")
    dice, now = random.Random(7), int(time.time() * 1000)
    for step, many in ((3600, 31 * 24), (60, 24 * 60)):
        last = now // (step * 1000) * step * 1000
        for i in range(1, many):
            at = last - i * step * 1000
            if step == 60 and 300 < i < 330:
                continue  # it was down for half an hour
            day = 1 + math.sin(at / 86400e3 * 2 * math.pi) * .6
            load = day * (1 + dice.random() * .4) * step / 60
            db.execute("INSERT OR REPLACE INTO figures(span_s, at_ms, up_seconds, connections, connections_max, peers,"
                       " messages_in, messages_out, bytes_in, bytes_out, latency_p50_ms, latency_p95_ms, cpu_permille,"
                       " memory_permille, outbox, inbox) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                       (step, at, step, int(3 + 2.5 * day), int(4 + 3 * day), int(3 + 2 * day), int(load * 30), int(load * 22),
                        int(load * 900e3), int(load * 300e3), int(8 + 4 * day), int(30 + 25 * day * dice.random()), int(90 + 90 * day),
                        int(320 + 30 * day), int(3 * dice.random() * day), 2 + 11 * (many - i) // many))
    db.commit()
    db.close()


# What a person would look for on each screen: run in the page.
AUDIT = r"""(() => {
  const bad = [], doc = document.documentElement;
  if (doc.scrollWidth > doc.clientWidth) bad.push("wider than the window: " + doc.scrollWidth + " > " + doc.clientWidth);
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".hidden") && e.getClientRects().length > 0;
  const parts = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : Math.pow((v + .055) / 1.055, 2.4); }); return .2126 * r + .7152 * g + .0722 * b; };
  const under = (e) => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  for (const e of document.querySelectorAll("body *")) {
    if (!seen(e) || e.closest("option")) continue;
    const r = e.getBoundingClientRect();
    if (r.right > doc.clientWidth + 1 && !e.closest(".scroll")) bad.push("beyond the edge: " + e.tagName + " " + e.textContent.slice(0, 40));
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const s = getComputedStyle(e), ink = light(parts(e instanceof SVGElement ? s.fill : s.color)), paper = light(under(e));
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (ratio < 4.5) bad.push("contrast " + ratio.toFixed(2) + ": " + e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));
    if (parseFloat(s.fontSize) < 11) bad.push("small: " + s.fontSize + " " + e.textContent.slice(0, 40));
  }
  for (const e of document.querySelectorAll("input, select, button")) {
    if (!seen(e)) continue;
    const name = e.getAttribute("aria-label") || e.textContent.trim() || [...(e.labels || [])].map((l) => l.textContent.trim()).join("");
    if (!name) bad.push("no name: " + e.outerHTML.slice(0, 80));
  }
  for (const e of document.querySelectorAll(".full p")) if (/\d{8,}/.test(e.textContent)) bad.push("bytes without a unit: " + e.textContent);
  for (const e of document.querySelectorAll("svg")) if (!e.getAttribute("aria-label")) bad.push("a chart without words");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) bad.push("an id twice");
  if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
  for (const l of ["header", "main", "footer"]) if (document.querySelectorAll("body > " + l).length !== 1) bad.push("not one " + l);
  for (const e of document.querySelectorAll("[data-t]")) if (!e.textContent) bad.push("no text: " + e.dataset.t);
  if (/undefined|NaN|null|Infinity|\[object/.test(document.body.innerText)) bad.push("nonsense: " + /.{20}(undefined|NaN|null|Infinity|\[object).{20}/s.exec(document.body.innerText));
  return bad;
})()"""


def audit(tab, what):
    for fault in tab.run(AUDIT):
        check(False, f"{what}: {fault}")


def picture(tab, name, **how):
    path = os.path.join(SHOTS or os.environ.get("TMPDIR", "/tmp"), f"page-{name}.png")
    size = tab.picture(path, whole=SHOTS is not None, **how)
    if os.environ.get("KEEP") and name in ("5-desk-light", "300-phone-dark"):  # those of the README
        tab.picture(os.path.join(HERE, name + ".webp"), format="webp", quality=80)
    check(size > 10000, f"picture {name}: {size} bytes")
    sizes_of_pictures.append(size)
    if not SHOTS:
        os.unlink(path)


def every_look(tab, name):
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            tab.look(width, height, dark)
            full = f"{name}-{size}-{'dark' if dark else 'light'}"
            audit(tab, full)
            picture(tab, full)
    tab.look(320, 640)
    audit(tab, f"{name} at 320")
    tab.look(*SIZES["desk"])


def own_requests_only(tab, node, what, complaints=()):
    for url in tab.requests:
        check(url.startswith(node.url("/")) or url.startswith("data:"), f"{what}: asked for {url}")
    for c in tab.complaints:
        check(any(known in c for known in complaints), f"{what}: {c}")
    tab.complaints.clear()


def shown(tab, tile):
    return tab.run(f"document.getElementById('t-{tile}').textContent")


def fresh(tab):
    """The page after one more look at the node."""
    tab.run("new Promise((r) => { const go = async () => { if (busy) return setTimeout(go, 20); await turn(); r(); }; go(); })")


def same_numbers(tab, node, peers):
    """Counters stand between those before and after; what does not move is the same."""
    before = node.metrics()
    fresh(tab)
    after = node.metrics()
    for tile, name, label in (("peers", "peers_connected", ""), ("connections", "connections", ""),
                              ("outbox", "outbox_messages", ""), ("unread", "inbox_messages", 'state="unread"')):
        want = {total(before, name, label), total(after, name, label)}
        check(float(shown(tab, tile)) in want, f"{tile}: {shown(tab, tile)!r}, /metrics says {want}")
    check(total(after, "peers_connected") == peers, f"{peers} peers wanted: {total(after, 'peers_connected')}")
    for key, name, label in (("bi", "network_bytes_total", '"in"'), ("bo", "network_bytes_total", '"out"'),
                             ("mi", "messages_total", '"in"'), ("mo", "messages_total", '"out"'), ("n", "message_latency_seconds_count", "")):
        v = tab.run(f"sample.{key}")
        check(total(before, name, label) <= v <= total(after, name, label),
              f"{name}{label}: {v}, not from {total(before, name, label)} to {total(after, name, label)}")
    texts = [tab.run("iec(sample.bi)"), tab.run("iec(sample.bo)")]
    check(all(x in tab.run("document.getElementById('tiles').textContent") for x in texts), f"the tile of traffic: {texts}")


def no_peers(browser):
    node = Node("harbour-1")
    try:
        tab = Tab(browser)
        tab.look(*SIZES["desk"])
        tab.open(node.url())
        tab.wait("document.getElementById('t-peers')?.textContent === '0'")
        tab.wait("health?.status === 'healthy'")
        check(tab.run("document.getElementById('state').textContent") == "✓Healthy", "a new node is healthy")
        check("connect" in tab.run("document.getElementById('alone').innerText"), "what to do without peers")
        check(tab.run("range") == "r10", "a new node shows the last ten minutes")
        check(len(node.get("/").encode()) <= PAGE_MAX, f"the page has {len(node.get('/').encode())} bytes")
        same_numbers(tab, node, 0)
        every_look(tab, "0")
        keyboard(tab)
        own_requests_only(tab, node, "no peers")
        tab.close()
    finally:
        node.stop()
        node.drop_home()


def keyboard(tab):
    """Tab goes through all that can be used, each shows that it has the focus; the page does not move by itself."""
    tab.look(*SIZES["desk"], still=True)
    check(tab.run("getComputedStyle(document.querySelector('.meter i')).transitionDuration") == "0s", "it moves")
    tab.run("document.activeElement.blur()")
    stops = []
    for _ in range(14):
        tab.key("Tab", 9)
        where = tab.run("(() => { const e = document.activeElement, l = e.closest('label') || e, s = getComputedStyle(l);"
                        " return [e.tagName + '#' + (e.id || e.value || e.getAttribute('class')), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()")
        stops.append(where[0])
        check(where[1] or where[0].startswith("BODY"), f"no focus to be seen on {where[0]}")
    check(stops[0].startswith("A#") and "BUTTON#language" in stops and "INPUT#r10" in stops, f"the way of Tab: {stops}")
    check(sum(s.startswith("svg#") for s in stops) >= 5, f"charts by Tab: {stops}")
    tab.run("document.querySelector('svg').focus()")
    tab.key("ArrowLeft", 37)
    check(tab.run("cursor !== null && document.querySelectorAll('.cursor').length") in (0, 6), "ArrowLeft in a chart")
    tab.key("Escape", 27)
    check(tab.run("cursor") is None, "Escape in a chart")


def some_peers(browser, node, others):
    for i, other in enumerate(others):
        other.connect(node.addr)
        node.cli("peer", "name", other.peer_id, f"ship-{i + 1}", code=0)
        other.cli("send", node.peer_id, f"message {i}", "--wait", code=0)
        node.cli("send", other.peer_id, f"answer {i}", "--wait", code=0)
    tab = Tab(browser)
    tab.open(node.url())
    tab.wait("live.length > 0")
    for i in range(8):
        others[i % 5].cli("send", node.peer_id, "x" * 2000, "--wait", code=0)
        fresh(tab)
    silktalk.wait_for("the count of unread messages", lambda: total(node.metrics(), "inbox_messages", '"unread"') == 13, 30)
    same_numbers(tab, node, 5)
    check(tab.run("range") == "r60" and tab.run("points().length") > 50, "an hour of figures")
    every_look(tab, "5")
    for r in ("r360", "r1440", "r744"):
        tab.run(f"choose('{r}'); chosen = true; figures().then(drawAll)")
        check(tab.run("points().length") > 100 and tab.run("document.querySelectorAll('path.a').length") == 6, f"charts of {r}")
        audit(tab, r)
        if r == "r1440":
            check(tab.run("(document.querySelector('path.a').getAttribute('d').match(/M/g) || []).length") >= 2, "a gap where it was down")
        picture(tab, "range-" + r)
    at = tab.run("(() => { const r = document.querySelector('svg').getBoundingClientRect(); return [r.left + r.width / 2, r.top + 40]; })()")
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
    check(tab.run("document.querySelectorAll('.cursor').length") == 6, "a cursor in each chart")
    own_requests_only(tab, node, "five peers")
    tab.close()
    tab = Tab(browser, "zh-CN")
    tab.open(node.url())
    tab.wait("live.length > 0")
    check(tab.run("document.documentElement.lang") == "zh-CN" and "健康" in tab.run("document.title"), "Chinese by the browser's language")
    every_look(tab, "zh")
    left = tab.run("Object.keys(T.en).filter((k) => !(k in T.zh))")
    check(left == [], f"not in Chinese: {left}")
    tab.run("document.getElementById('language').click()")
    fresh(tab)
    check(tab.run("document.documentElement.lang") == "en" and "Healthy" in tab.run("document.title"), "English by its button")
    own_requests_only(tab, node, "Chinese")
    tab.close()


def many_peers(browser, node):
    crowd = subprocess.Popen([ATTACKER, "crowd", f"127.0.0.1:{node.port}", f"count={crowd_size}"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        check(crowd.stdout.readline() == f"crowd={crowd_size}\n", "the crowd did not come")
        silktalk.wait_for("300 peers", lambda: total(node.metrics(), "peers_connected") == crowd_size + 5, 30)
        tab = Tab(browser)
        tab.look(*SIZES["desk"])
        tab.open(node.url())
        tab.wait(f"document.getElementById('t-peers')?.textContent === '{crowd_size + 5}'")
        same_numbers(tab, node, crowd_size + 5)
        every_look(tab, "300")
        with_token(tab, node)
        faults(tab, node)
        own_requests_only(tab, node, "300 peers", ["status of 401", "status of 503"])
        node_gone(tab, node)
        tab.close()
    finally:
        crowd.stdin.close()
        crowd.wait(30)


def with_token(tab, node):
    token = node.cli("token", "create", "page", code=0).json["token"]
    say = ("document.getElementById('token').value = {0}; document.getElementById('form').requestSubmit(); 0")
    tab.run(say.format(json.dumps("wrong")))
    tab.wait("document.getElementById('said').textContent.includes('not known')")
    tab.run(say.format(json.dumps(token)))
    tab.wait("list !== null && document.getElementById('peers').children.length === 50")
    check(tab.run("document.getElementById('said').textContent") == f"{crowd_size + 5} connections", "how many there are")
    check(token not in tab.run("document.documentElement.outerHTML"), "the token stands in the page")
    every_look(tab, "token")
    tab.run("document.getElementById('more').click()")
    check(tab.run("document.getElementById('peers').children.length") == crowd_size + 5, "all peers")
    tab.run("document.getElementById('filter').value = 'onerror'; document.getElementById('filter').oninput()")
    row = tab.run("document.getElementById('peers').textContent")
    check("<img src=x onerror=alert(1)><b>bold</b>" in row, f"the hostile program's name: {row!r}")
    check(tab.run("document.querySelectorAll('img, b b, #peers b').length") == 0, "a peer's words became elements")
    check(not any(ord(c) < 32 or c in "\u009b\u202e\x7f" for c in row), f"control characters in {row!r}")
    audit(tab, "one peer")
    picture(tab, "hostile")
    tab.run("document.getElementById('filter').value = ''; document.getElementById('filter').oninput(); sortBy('peer')")
    ids = tab.run("[...document.querySelectorAll('#peers td:nth-child(2)')].map((e) => e.textContent)")
    check(len(ids) == crowd_size + 5 and ids == sorted(ids), "sorted by Peer ID")
    node.cli("token", "revoke", "page", code=0)
    tab.run("asked = 0")
    fresh(tab)
    check(tab.run("list === null && token === ''"), "a token that was revoked while the page is open")


def faults(tab, node):
    node.cli("maintenance", "on", "--for", "2h", "--notify", "<i>new disk</i>", code=0)
    fresh(tab)
    note = tab.run("document.getElementById('maintenance').innerText")
    check("Maintenance since" in note and "until" in note and "<i>new disk</i>" in note, f"maintenance: {note}")
    every_look(tab, "maintenance")
    node.cli("maintenance", "off", code=0)
    node.cli("config", "set", "health.connectionsNormal", "100", code=0)
    node.cli("config", "set", "health.connectionsWarning", "200", code=0)
    fresh(tab)
    problem = tab.run("document.getElementById('problems').innerText")
    check("connections" in problem and "silktalk config set connection.maxConnections N" in problem, f"a warning: {problem}")
    # a processor at 100 % reaches any threshold: what else this machine does is no fault of the page
    busy = tab.run("health.checks.some((c) => c.name === 'cpu' && c.status === 'critical')")
    check(tab.run("document.getElementById('state').textContent") == ("✕Unhealthy" if busy else "!Degraded"), "degraded")
    node.cli("config", "set", "health.connectionsCritical", "250", code=0)
    fresh(tab)
    check(tab.run("document.getElementById('state').textContent") == "✕Unhealthy", "unhealthy")
    check(tab.run("document.getElementById('spoken').textContent") == "Unhealthy", "a change is told to who does not see")
    check(tab.run("document.title").startswith("Unhealthy"), "the title")
    every_look(tab, "unhealthy")


def node_gone(tab, node):
    """It stops to answer, dies, and comes back while the page is open: all of it is said."""
    node.signal(19)
    tab.run("AbortSignal.timeout = (f => () => f.call(AbortSignal, 300))(AbortSignal.timeout)")
    fresh(tab)
    check(tab.run("document.getElementById('state').textContent") == "✕No answer", "a node that is stopped")
    node.signal(18)
    node.kill()
    fresh(tab)
    check("has not answered since" in tab.run("document.getElementById('gone').innerText"), "a node that is dead")
    check(shown(tab, "peers") == str(crowd_size + 5), "the last known number")
    every_look(tab, "gone")
    node.start()
    tab.run("AbortSignal.timeout = () => new AbortController().signal")
    fresh(tab)
    check(tab.run("document.getElementById('gone').hidden") and tab.run("!document.getElementById('main').classList.contains('stale')"), "it is back")
    check(all("ERR_" in c or "503" in c or "Failed to load" in c for c in tab.complaints), f"complaints beside the lost node: {tab.complaints}")


def main():
    browser, nodes = Browser(os.environ.get("BROWSER", "chromium")), []
    try:
        no_peers(browser)
        node = Node("harbour-1")
        nodes.append(node)
        node.stop()
        write_history(node.home)
        node.start()
        others = []
        for i in range(5):
            others.append(Node(f"ship-{i + 1}"))
            nodes.append(others[-1])
        some_peers(browser, node, others)
        many_peers(browser, node)
    finally:
        browser.close()
        for node in nodes:
            node.kill()
            node.drop_home()
    for w in list(dict.fromkeys(wrong))[:60]:
        print(w)
    if not wrong:
        print(f"{len(sizes_of_pictures)} pictures, 300 peers, numbers as in /metrics")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
