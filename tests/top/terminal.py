"""A terminal for tests: a pty of a given size, and a screen that obeys the few sequences that `top` may use. Whatever
else comes, or is written beyond the edge, is a fault."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

LIMIT = 60
SEQUENCE = re.compile(rb"\x1b\[(\??)([0-9;]*)([A-Za-z])")


def wide(char):
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


class Screen:
    def __init__(self, width, height):
        self.width, self.height, self.faults = width, height, []
        self.lines = [[" "] * width for _ in range(height)]
        self.row = self.column = 0
        self.modes = {7: True, 25: True, 1049: False}
        self.styles, self.waiting = 0, b""

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def fault(self, what):
        if len(self.faults) < 20:
            self.faults.append(what)

    def feed(self, data):
        self.waiting += data
        while self.waiting:
            c = self.waiting[0]
            if c == 27:
                m = SEQUENCE.match(self.waiting)
                if m:
                    self.obey(*m.groups())
                elif len(self.waiting) < 16 and re.fullmatch(rb"\x1b(\[(\??[0-9;]*)?)?", self.waiting):
                    return
                else:
                    self.fault(f"a sequence that nobody expects: {self.waiting[:20]!r}")
                self.waiting = self.waiting[m.end() if m else 1:]
            elif c < 32 or c == 127:
                self.control(c)
                self.waiting = self.waiting[1:]
            else:
                n = 1 if c < 128 else 2 if c < 0xe0 else 3 if c < 0xf0 else 4
                if len(self.waiting) < n:
                    return
                self.put(self.waiting[:n].decode(errors="replace"))
                self.waiting = self.waiting[n:]

    def control(self, c):
        if c == 13:
            self.column = 0
        elif c == 10:
            self.row += 1
            if self.row >= self.height:
                self.fault("it scrolls")
                self.row = self.height - 1
        else:
            self.fault(f"control character {c}")

    def put(self, char):
        n = wide(char)
        if self.column + n > self.width:
            self.fault(f"beyond the edge in line {self.row}: {self.text().splitlines()[self.row]!r} {char!r}")
            return
        if n > 0:
            self.lines[self.row][self.column] = char
            if n == 2:
                self.lines[self.row][self.column + 1] = ""
        self.column += n

    def obey(self, private, numbers, kind):
        values = [int(x or 0) for x in numbers.split(b";")]
        if private and kind in b"hl":
            if values[0] not in self.modes:
                self.fault(f"mode {values[0]}")
            self.modes[values[0]] = kind == b"h"
        elif kind == b"H" and not numbers:
            self.row = self.column = 0
        elif kind == b"J":
            if values[0] == 0:
                self.lines[self.row][self.column:] = [" "] * (self.width - self.column)
            for i in range(0 if values[0] == 2 else self.row + 1, self.height):
                self.lines[i] = [" "] * self.width
        elif kind == b"K" and values[0] == 2:
            self.lines[self.row] = [" "] * self.width
        elif kind == b"m":
            self.styles += 1
        else:
            self.fault(f"sequence {numbers!r} {kind!r}")


class Terminal:
    """A program in a terminal of its own, which is its controlling one: ^C and ^Z are signals."""

    def __init__(self, args, width, height, **env):
        self.main, self.side = pty.openpty()
        self.screen, self.raw = None, b""
        self.resize(width, height)
        self.before = termios.tcgetattr(self.side)
        merged = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
        merged.update({"TERM": "xterm-256color", **env})
        self.process = subprocess.Popen(args, stdin=self.side, stdout=self.side, stderr=self.side, env=merged,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, width, height):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        modes = self.screen.modes if self.screen else None
        self.screen = Screen(width, height)
        if modes:
            self.screen.modes = modes

    def type(self, keys):
        os.write(self.main, keys)

    def read(self, seconds=0.1):
        if not select.select([self.main], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.main, 1 << 16)
        except OSError:
            return False
        self.raw += data
        self.screen.feed(data)
        return bool(data)

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not condition(self):
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain: {what}\n{self.screen.text()}\n{self.raw[-500:]!r}")
            self.read()

    def shows(self, *texts):
        self.until(lambda t: all(x in t.screen.text() for x in texts), f"{texts} to be shown")
        self.settle()
        return self.screen.text()

    def settle(self):
        """Until a picture is whole: nothing comes for a moment."""
        while self.read(0.05):
            pass

    def ended(self):
        """Its exit status, when the terminal is as it was before."""
        self.until(lambda t: t.process.poll() is not None, "its end")
        self.settle()
        self.restored()
        code = self.process.returncode
        self.close()
        return code

    def restored(self):
        self.settle()
        assert self.screen.modes == {7: True, 25: True, 1049: False}, self.screen.modes
        after = termios.tcgetattr(self.side)
        assert after == self.before, f"the terminal is not as it was: {after} {self.before}"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.main >= 0:
            os.close(self.main)
            os.close(self.side)
            self.main = -1
