"""A real headless Chromium, driven over its DevTools protocol through two pipes: no port, no driver, no package.

Chromium reads commands from descriptor 3 and writes to descriptor 4, each message ending with a zero byte
("Chrome DevTools Protocol", ``--remote-debugging-pipe``).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_AT_3_AND_4 = (
    "import os, sys; i, o = map(int, sys.argv[1:3]); os.dup2(i, 3); os.dup2(o, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def _raised(*descriptors: int) -> tuple[int, ...]:
    """Return copies that are not at 3 and 4, which the child needs, nor at what this process has open."""
    return tuple(fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in descriptors)


class Browser:
    """One Chromium with one page. It loads files of this machine only, and has a profile of its own."""

    def __init__(self, folder: Path) -> None:
        """Start it; ``folder`` is for its profile."""
        assert PROGRAM
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        options = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
            *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync"),
            *("--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"),
            *(f"--user-data-dir={folder / 'profile'}", "about:blank"),
        )
        raised = _raised(commands, answers)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_3_AND_4, *map(str, raised), PROGRAM, *options],
            pass_fds=raised,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (commands, answers, *raised):
            os.close(descriptor)
        self._read = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result; what happens meanwhile is kept in ``events``."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session := getattr(self, "_session", None):
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == self._number:
                assert "error" not in received, received
                result: dict[str, Any] = received["result"]
                return result
            self.events.append(received)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "Chromium ended"
            self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, file: Path) -> None:
        """Load a file, and wait until its load event is over."""
        self.events.clear()
        self.send("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def emulate(self, *, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "screen") -> None:
        """Set the size of the window, the colour scheme that the user prefers, and the medium."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=media, features=features)

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in a world of its own, which the page's policy does not concern."""
        frame = self.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
        world = self.send("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
        answer = self.send(
            "Runtime.evaluate", expression=expression, contextId=world, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, AssertionError):
            del self._session
            self.send("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
