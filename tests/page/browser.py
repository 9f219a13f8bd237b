"""Drives Chromium over its debugging pipe (descriptors 3 and 4, messages that end with a NUL): no package needed."""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

LIMIT = 60  # seconds that anything may take


class BrowserError(Exception):
    """The browser, or a script in it, failed."""


class Browser:
    def __init__(self, program):
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
        there, self.out = os.pipe()
        self.back, here = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (there, here)]

        def plumb():
            for fd, at in zip(ends, (3, 4)):
                os.dup2(fd, at)

        with open(self.folder + "/stderr", "wb") as err:
            self.process = subprocess.Popen(
                [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
                 "--force-color-profile=srgb", "--hide-scrollbars", "--user-data-dir=" + self.folder + "/profile",
                 "--remote-debugging-pipe", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err, preexec_fn=plumb, pass_fds=(3, 4), start_new_session=True,
                env=dict(os.environ, HOME=self.folder))
        for fd in (there, here, *ends):
            os.close(fd)
        self.waiting, self.next, self.answers, self.tabs = b"", 0, {}, {}

    def read(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.back], [], [], left)[0]:
            raise BrowserError("the browser does not answer")
        more = os.read(self.back, 1 << 20)
        if not more:
            with open(self.folder + "/stderr", encoding="utf-8", errors="replace") as f:
                raise BrowserError("the browser has ended: " + f.read()[-2000:])
        *whole, self.waiting = (self.waiting + more).split(b"\0")
        for text in whole:
            m = json.loads(text)
            if "id" in m:
                self.answers[m["id"]] = m
            elif m.get("sessionId") in self.tabs:
                self.tabs[m["sessionId"]].event(m["method"], m["params"])

    def call(self, method, session=None, **params):
        self.next += 1
        number, until = self.next, time.monotonic() + LIMIT
        m = {"id": number, "method": method, "params": params}
        if session:
            m["sessionId"] = session
        os.write(self.out, json.dumps(m).encode() + b"\0")
        while number not in self.answers:
            self.read(until)
        answer = self.answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: nobody else is in it
        except ProcessLookupError:
            pass
        self.process.wait()
        for fd in (self.out, self.back):
            os.close(fd)
        shutil.rmtree(self.folder, ignore_errors=True)


class Tab:
    """One page. `complaints`: console errors, exceptions, refusals of the policy; `requests`: all addresses asked for."""

    def __init__(self, browser, language="en-US"):
        self.browser, self.complaints, self.requests, self.loaded = browser, [], [], 0
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.tabs[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        agent = browser.call("Browser.getVersion")["userAgent"]
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.call("Page.addScriptToEvaluateOnNewDocument", source="addEventListener('securitypolicyviolation', (e) => "
                  "console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))")

    def event(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded += 1
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            e = params["entry"]
            self.complaints.append(f"{e['source']}: {e['text']} {e.get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            d = params["exceptionDetails"]
            self.complaints.append(f"exception: {d.get('exception', {}).get('description', d['text'])}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in params["args"]))

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def open(self, url):
        before, until = self.loaded, time.monotonic() + LIMIT
        self.call("Page.navigate", url=url)
        while self.loaded == before:
            self.browser.read(until)

    def run(self, script):
        """The value of an expression; promises are waited for."""
        r = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in r:
            raise BrowserError(f"{script}: {r['exceptionDetails'].get('exception', {}).get('description')}")
        return r["result"].get("value")

    def wait(self, script, what=""):
        until = time.monotonic() + LIMIT
        while not self.run(script):
            if time.monotonic() > until:
                raise BrowserError(f"waited in vain for {what or script}")
            time.sleep(0.05)

    def look(self, width, height, dark=False, still=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])
        self.run("new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path, whole=False, **how):
        """`whole`: what is below the window's edge too."""
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}}
        data = base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole, **clip, **how)["data"])
        with open(path, "wb") as f:
            f.write(data)
        return len(data)

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
        del self.browser.tabs[self.session]
