"""What a client and a fake say to each other: a service's client in its own process, and every request that it sends.

The fake is the same for twokey and for the client, so their requests for one operation can be compared, and each can
read what the other wrote.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree as ET

import pytest

from twokey.testing.server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twokey.testing.server import FakeService, ReceivedRequest

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv-clients"
PYTHON = INSTALLED / "bin" / "python"
NODE_PACKAGES = INSTALLED / "node" / "node_modules"
PROGRAMS = Path(__file__).parent / "programs"
PYTHON_READY, NODE_READY = INSTALLED / ".ready", INSTALLED / "node" / ".ready"
_STEP = "/.step/"
_LOOKS = {"GET", "LIST"}
_SAME = {"text/xml": "application/xml"}
"""Media types that mean the same (RFC 7303)."""
needs_python_clients = pytest.mark.skipif(not PYTHON_READY.exists(), reason="needs the services' clients: make clients")
needs_node_clients = pytest.mark.skipif(
    not NODE_READY.exists() or shutil.which("node") is None,
    reason="needs the services' clients for JavaScript: make clients, with Node.js 20.16 or newer and npm",
)


@dataclass(frozen=True)
class Sent:
    """A request by its meaning: whatever two clients may write differently is the same here."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    media_type: str = ""
    body: Any = None

    def without(self, *names: str) -> Sent:
        """Return it without these parameters of its query."""
        return replace(self, query=tuple(one for one in self.query if one[0] not in names))


class Recording:
    """Every request that a fake gets, by the step that it is a part of.

    ``names`` are texts that differ between two operations which are otherwise the same, and what stands for each.
    ``numbers`` matches what the service numbers things by, which differs, too. ``opened`` makes a body readable that is
    sealed for the service. ``untyped`` is the media type that the service assumes where none is named. ``base`` is the
    path of the service's own URL, which the fake's has not: clients send it.
    """

    def __init__(
        self,
        fake: FakeService,
        names: Mapping[str, str] | None = None,
        opened: Callable[[ReceivedRequest, Any], Any] = lambda _request, body: body,
        base: str = "",
        numbers: str = "",
        untyped: str = "",
    ) -> None:
        self.names = dict(names or {})
        self.step = ""
        self._sent: dict[str, list[Sent]] = defaultdict(list)
        self._opened = opened
        self._base = base
        self._numbers = numbers
        self._untyped = untyped
        self._fake = fake
        self._handle = fake.handle
        vars(fake)["handle"] = self._record

    def run(self, program: str, environment: Mapping[str, str] | None = None, **task: Any) -> dict[str, Any]:
        """Have a client do its part against the fake; return what it found. Later requests are part of no step."""
        results = run(program, {"fake": self._fake.url, **task}, **(environment or {}))
        self.step = ""
        return results

    def sent(self, step: str) -> list[Sent]:
        """Return all requests of a step, in order."""
        return self._sent[step]

    def writes(self, step: str) -> list[Sent]:
        """Return the requests of a step that change something, in order."""
        return [one for one in self._sent[step] if one.method not in _LOOKS]

    def reads(self, *steps: str) -> list[Sent]:
        """Return the requests of some steps that only look, each once."""
        found: list[Sent] = []
        for one in (one for step in steps for one in self._sent[step]):
            if one.method in _LOOKS and one not in found:
                found.append(one)
        return found

    def _record(self, request: ReceivedRequest) -> Reply:
        if request.path.startswith(_STEP):
            self.step = request.path.removeprefix(_STEP)
            return Reply(204)
        if request.path.startswith(f"{self._base}/"):
            raw_path = request.raw_path.removeprefix(self._base)
            request = replace(request, path=request.path.removeprefix(self._base), raw_path=raw_path)
        self._sent[self.step].append(self._meaning(request))
        return self._handle(request)

    def _meaning(self, request: ReceivedRequest) -> Sent:
        media_type = request.headers.get("Content-Type", self._untyped).partition(";")[0].strip().lower()
        body = self._opened(request, _body(request, media_type))
        path = "/".join(quote(unquote(part), safe="{}") for part in request.raw_path.rstrip("/").split("/"))
        query = tuple(sorted(request.query.items()))
        named = self._named([path, query, body])
        media_type = _SAME.get(media_type, media_type) if request.data else ""
        return Sent(request.method, named[0], tuple(map(tuple, named[1])), media_type, named[2])

    def _named(self, value: Any) -> Any:
        if isinstance(value, str):
            for text, name in self.names.items():
                value = value.replace(text, name)
            return re.sub(self._numbers, "{number}", value) if self._numbers else value
        if isinstance(value, dict):
            return {self._named(name): self._named(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._named(one) for one in value]
        return value


def without_nulls(_request: ReceivedRequest, body: Any) -> Any:
    """Leave out what is null, for services to which a member that is missing means the same."""
    if isinstance(body, list):
        return [without_nulls(_request, one) for one in body]
    if not isinstance(body, dict):
        return body
    return {name: without_nulls(_request, one) for name, one in body.items() if one is not None}


def _body(request: ReceivedRequest, media_type: str) -> Any:
    if not request.data:
        return None
    if media_type.endswith(("json", "+yaml")):
        return json.loads(request.data)
    if media_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(request.data.decode(), keep_blank_values=True))
    if media_type.endswith("xml"):
        return _element(ET.fromstring(request.data))
    return request.data.decode()


def _element(element: ET.Element) -> Any:
    """Return an element as its name, its text and what is in it; the order of different ones has no meaning."""
    inner = sorted((_element(one) for one in element), key=str)
    return [element.tag, (element.text or "").strip(), *inner]


def run(program: str, task: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Have a program do its task in a process of its own; return what it found."""
    with tempfile.TemporaryDirectory(prefix="twokey-client-") as home:
        in_node = program.endswith(".mjs")
        if in_node:
            _copy_programs(Path(home))
        done = subprocess.run(
            ["node", program] if in_node else [str(PYTHON), "-m", f"clients.programs.{program}"],
            cwd=home if in_node else PROGRAMS.parents[1],
            env={"PATH": os.environ["PATH"], "HOME": home, "NO_PROXY": "127.0.0.1", **environment},
            input=json.dumps(task),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def _copy_programs(folder: Path) -> None:
    """Put the programs beside the packages: Node.js looks for packages above the file that imports them."""
    for one in PROGRAMS.glob("*.mjs"):
        shutil.copy(one, folder)
    (folder / "node_modules").symlink_to(NODE_PACKAGES)
