"""The curves of RESULTS.md as SVG: lines over a logarithmic axis, and bars. Own and small: no library."""
import math
import os

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 70, 50, 40, 150
COLOURS = {"silktalk": "#c02020", "go-libp2p": "#2060c0", "js-libp2p": "#b08000", "rust-libp2p": "#208040", "per second": "#c02020",
           "latency p50": "#2060c0", "latency p99": "#60a0e0", "sending": "#c02020", "taking": "#2060c0"}


def text(x, y, words, anchor="middle", size=12):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def line(x1, y1, x2, y2, colour="#ccc", width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def short(v):
    return f"{v / 1e6:g}M" if v >= 1e6 else f"{v / 1e3:g}k" if v >= 1e3 else f"{v:g}"


class Axes:
    """A logarithmic y axis over places along x."""

    def __init__(self, title, y_name, values, places):
        low, high = min(values), max(values)
        self.low, self.high = math.floor(math.log10(low)), max(math.ceil(math.log10(high)), math.floor(math.log10(low)) + 1)
        self.places = places
        self.out = [text(WIDTH / 2, 20, title, size=15), text(LEFT - 60, TOP - 8, y_name, "start")]
        for decade in range(self.low, self.high + 1):
            y = self.y(10.0 ** decade)
            self.out += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 6, y + 4, short(10.0 ** decade), "end")]
        for i, name in enumerate(places):
            self.out.append(text(self.x(i), HEIGHT - BOTTOM + 18, name))

    def x(self, i):
        return LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / len(self.places)

    def y(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    def legend(self, names):
        for i, name in enumerate(names):
            y = TOP + 10 + 20 * i
            self.out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{y}" width="12" height="12" fill="{COLOURS[name]}"/>')
            self.out.append(text(WIDTH - RIGHT + 32, y + 10, name, "start"))

    def save(self, path, x_name=""):
        self.out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name))
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
                    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(self.out) + "\n</svg>\n")


def lines(path, title, y_name, x_name, places, series):
    """series: name -> a value, or None, for each place."""
    series = {n: v for n, v in series.items() if any(v)}
    values = [v for row in series.values() for v in row if v]
    if not values:
        return False
    a = Axes(title, y_name, values, places)
    for name, row in series.items():
        points = [(a.x(i), a.y(v), v) for i, v in enumerate(row) if v]
        path_of = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        a.out.append(f'<polyline points="{path_of}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        for x, y, v in points:
            a.out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[name]}"/>')
            a.out.append(text(x, y - 7, f"{v:,.3g}" if v < 1000 else f"{v:,.0f}", size=9))
    a.legend(series)
    a.save(path, x_name)
    return True


def bars(path, title, y_name, places, series):
    values = [v for row in series.values() for v in row if v]
    if not values:
        return False
    a = Axes(title, y_name, values, places)
    wide = (WIDTH - LEFT - RIGHT) / len(places) / (len(series) + 1)
    for k, (name, row) in enumerate(series.items()):
        for i, v in enumerate(row):
            if v:
                x, y = a.x(i) + (k - len(series) / 2) * wide, a.y(v)
                a.out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" height="{HEIGHT - BOTTOM - y:.1f}" '
                             f'fill="{COLOURS[name]}"/>')
    a.legend(series)
    a.save(path)
    return True


def draw(folder, m):
    """Draws what has been measured: [(file, title)]."""
    servers = ("silktalk", "go-libp2p", "js-libp2p", "rust-libp2p")
    drawn = []

    def add(kind, name, title, *rest):
        if kind(os.path.join(folder, name), title, *rest):
            drawn.append((name, title))

    def of_servers(figures, scale=1.0):
        return {s: row for s in servers if any(row := [m.get(f, {}).get(s, 0) * scale for f in figures])}

    counts = sorted(int(f.split()[1]) for f in m if f.startswith("idle_percent"))
    names = [f"{n:,}" for n in counts]
    add(lines, "idle.svg", "Cost of idle connections", "% of a core", "connections", names,
        of_servers([f"idle_percent {n}" for n in counts]))
    add(lines, "memory.svg", "Memory and connections", "RSS, MiB", "connections", names,
        of_servers([f"curve_rss_kib {n}" for n in counts], 1 / 1024))
    stores = ("tmpfs", "disk", "disk + 5 ms", "disk + 50 ms")
    rate, p50, p99 = ([m.get(f"messages {f}", {}).get(s, 0) for s in stores] for f in ("per_s", "p50_ms", "p99_ms"))
    add(lines, "message_rate.svg", "Messages per second and the disk", "per second", "store", stores, {"per second": rate})
    add(lines, "message_latency.svg", "Latency of a message and the disk", "ms", "store", stores,
        {"latency p50": p50, "latency p99": p99})
    add(bars, "rates.svg", "Set-ups and small requests", "per second",
        ["set-ups, 1", "set-ups, 64", "requests, 1", "requests, 64"],
        of_servers(["setups 1 per_s", "setups 64 per_s", "requests 1 per_s", "requests 64 per_s"]))
    add(bars, "bulk.svg", "Bulk", "GB/s", ["sent, 1", "taken, 1", "sent, 10", "taken, 10"],
        of_servers([f"bulk {way} {n} GB/s" for n in (1, 10) for way in ("down", "up")]))
    return drawn
