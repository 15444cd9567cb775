"""A real Chromium, driven by its DevTools protocol over a pipe: no driver, no port, nothing to install."""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")
SECONDS = 60


class Page:
    """One tab. Everything that it tells is kept in `events`."""

    def __init__(self, commands, answers):
        self.commands, self.answers, self.buffer = commands, answers, b""
        self.numbers, self.events, self.session = itertools.count(1), [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """One command of the protocol, and its result."""
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        os.write(
            self.commands, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0"
        )
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, path, width=1280, height=900, dark=False):
        """Opens a file and waits until the completions are there. Returns the seconds that it took."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        started = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.readyState === 'complete' && !document.body.innerText.includes('Opening…')")
        return time.monotonic() - started

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression):
        """Until a JavaScript expression is true."""
        until = time.monotonic() + SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.02)

    def press(self, key, code=0, text=""):
        """One key: its name, its number, and the text that it writes."""
        for kind in ("keyDown", "keyUp"):
            written = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **written)

    def complaints(self):
        """What the console says at level warning or error, and exceptions."""
        told = {"Runtime.exceptionThrown", "Log.entryAdded"}
        loud = [event for event in self.events if event.get("method") in told]
        said = [event for event in self.events if event.get("method") == "Runtime.consoleAPICalled"]
        return loud + [event for event in said if event["params"]["type"] in ("error", "warning", "assert")]

    def requests(self):
        """Addresses that were asked for, but for the file itself and data inside of it."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        addresses = [params["request"]["url"] for params in sent if params.get("type") != "Document"]
        return [address for address in addresses if not address.startswith("data:")]

    def screenshot(self, path, whole=True):
        """Writes a PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def print(self, path):
        """Writes a PDF."""
        data = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.answers], [], [], SECONDS)
            assert ready, "Chromium does not answer"
            self.buffer += os.read(self.answers, 1 << 20)
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def chromium():
    """A tab of a browser of its own, with a profile of its own."""
    command_end, commands = os.pipe()
    answers, answer_end = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [CHROMIUM, *_FLAGS, *_QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
        # Chromium reads commands at descriptor 3 and answers at 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{command_end} 4>&{answer_end}', "chromium", *words]
        browser = subprocess.Popen(
            shell, pass_fds=(command_end, answer_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(command_end)
        os.close(answer_end)
        try:
            yield Page(commands, answers)
        finally:
            os.close(commands)
            os.close(answers)
            try:
                browser.wait(10)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()
