"""A real OpenBao server on this machine, in memory, for tests; and a relay in front of it that adds faults.

``make servers`` installs it. Sources: "Dev server mode", "TCP listener configuration", "HTTP API", OpenBao's
documentation.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import urllib3

from support.certificates import Authority
from support.ports import free_port
from twokey.testing.server import FakeService, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "root-token-of-the-tests"
LONGEST_START = 600.0
_numbers = itertools.count(1)
_HOP = {"transfer-encoding", "content-length", "connection", "date"}


def find() -> str | None:
    """The program: the project's own, or the machine's."""
    own = ROOT / ".venv-servers" / "bin" / "bao"
    return str(own) if own.exists() else shutil.which("bao")


PROGRAM = find()
needs_openbao = pytest.mark.skipif(PROGRAM is None, reason="OpenBao is not installed (make servers)")


class OpenBao:
    """A server with a listener for http and one for https, whose certificate an authority of the test signed.

    Used as a context manager.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.url, self.tls_url = "", ""
        self._http = urllib3.PoolManager()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        signed = self.authority.sign("a server")
        for name, text in (("ca", self.authority.pem), ("server", signed.certificate), ("server-key", signed.key)):
            (self.folder / f"{name}.pem").write_text(text, encoding="utf-8")
        plain, secured = free_port(), free_port()
        self.url, self.tls_url = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secured}"
        listener = {
            "address": f"127.0.0.1:{secured}",
            "tls_cert_file": str(self.folder / "server.pem"),
            "tls_key_file": str(self.folder / "server-key.pem"),
        }
        configuration = self.folder / "listener.json"
        configuration.write_text(json.dumps({"listener": [{"tcp": listener}]}), encoding="utf-8")
        log = self.folder / "log"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [
                    *(PROGRAM, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}"),
                    *(f"-dev-listen-address=127.0.0.1:{plain}", f"-config={configuration}"),
                ],
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
                cwd=self.folder,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        self._wait(log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def _wait(self, log: Path) -> None:
        assert self._process is not None
        give_up = time.monotonic() + LONGEST_START
        while self._process.poll() is None and time.monotonic() < give_up:
            try:
                if (
                    self._http.request("GET", f"{self.url}/v1/secret/config", headers=_TOKEN, retries=False).status
                    == 200
                ):
                    return
            except urllib3.exceptions.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(log.read_text(encoding="utf-8")[-2000:])

    def send(self, method: str, path: str, body: Any = None, *, namespace: str = "") -> Any:
        """Send a request as the administrator; return the data of the response, or None for 404."""
        space = {"X-Vault-Namespace": namespace} if namespace else {}
        data = None if body is None else json.dumps(body).encode()
        found = self._http.request(
            method, f"{self.url}/v1/{path}", body=data, headers={**_TOKEN, **space}, retries=False
        )
        if found.status == 404:
            return None
        assert found.status < 300, (method, path, found.status, found.data)
        return json.loads(found.data) if found.data else {}

    def mount(self, *, version: int = 2, namespace: str = "") -> str:
        """Mount an empty KV engine, and return its name."""
        name = f"kv-{next(_numbers)}"
        body = {"type": "kv", "options": {"version": str(version)}}
        self.send("POST", f"sys/mounts/{name}", body, namespace=namespace)
        if version == 2:
            # It becomes one of version 2 in the background, and refuses all requests until then.
            until(lambda: self.send("GET", f"{name}/config", namespace=namespace))
        return name

    def token(self, mount: str, *, policy: str = "") -> str:
        """Return a token that may do with a mount what the page of the destination asks for; or that has a policy."""
        name = policy or self.policy(mount)
        return str(self.send("POST", "auth/token/create", {"policies": [name], "ttl": "1h"})["auth"]["client_token"])

    def policy(
        self, mount: str, data: tuple[str, ...] = ("create", "read", "update"), metadata: tuple[str, ...] = ("patch",)
    ) -> str:
        """Write the policy of a mount, with these capabilities, and return its name."""
        rules = {f"{mount}/data/*": list(data), f"{mount}/metadata/*": list(metadata)}
        text = json.dumps({"path": {path: {"capabilities": able} for path, able in rules.items()}})
        self.send("PUT", f"sys/policies/acl/{mount}", {"policy": text})
        return mount

    def approle(self, mount: str, **settings: Any) -> tuple[str, str]:
        """Let a role with the policy of a mount log in, at ``approle-MOUNT``; return its ID and a secret ID."""
        role = f"auth/approle-{mount}/role/twokey"
        self.send("POST", f"sys/auth/approle-{mount}", {"type": "approle"})
        self.send("POST", role, {"token_policies": [mount], **settings})
        made = self.send("POST", f"{role}/secret-id", {})["data"]["secret_id"]
        return str(self.send("GET", f"{role}/role-id")["data"]["role_id"]), str(made)

    def data(self, mount: str, path: str) -> dict[str, Any] | None:
        """Return what the latest version of a secret holds."""
        found = self.send("GET", f"{mount}/data/{path}")
        return found["data"]["data"] if found else None

    def put(self, mount: str, path: str, data: Mapping[str, Any]) -> None:
        """Write a secret as an operator would."""
        self.send("POST", f"{mount}/data/{path}", {"data": dict(data)})

    def version(self, mount: str, path: str) -> int:
        """Return the number of a secret's latest version; 0 without one."""
        found = self.send("GET", f"{mount}/metadata/{path}")
        return int(found["data"]["current_version"]) if found else 0


class Cluster:
    """An active node and a standby that answers reads itself; ``standby`` is its URL. Used as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = ""
        self.standby = ""
        self._http = urllib3.PoolManager()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            active = self._start("active", "")
            made = until(lambda: self.send(f"{active}/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1}))
            self.root = str(made["root_token"])
            self._unseal(active, made)
            self.standby = self._start("standby", active)
            self._unseal(self.standby, made)
            until(lambda: self.send(f"{self.standby}/v1/sys/health?standbyok=true").get("standby"))
            until(lambda: self.send(f"{self.standby}/v1/sys/mounts/kv", {"type": "kv", "options": _VERSION_2}))
            until(lambda: self.send(f"{self.standby}/v1/kv/config").get("data"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def send(self, url: str, body: Any = None, **headers: str) -> Any:
        """Send a request as the administrator, and return the body of a good response."""
        data = None if body is None else json.dumps(body).encode()
        token = {"X-Vault-Token": self.root} if self.root else {}
        found = self._http.request(
            "GET" if body is None else "PUT", url, body=data, headers={**token, **headers}, retries=False
        )
        assert found.status < 300, (url, found.status, found.data)
        return {**(json.loads(found.data) if found.data else {}), "index": found.headers.get("X-Vault-Index", "")}

    def _start(self, name: str, leader: str) -> str:
        assert PROGRAM is not None
        port, beside = free_port(), free_port()
        data = self.folder / name
        data.mkdir()
        join = {"retry_join": [{"leader_api_addr": leader}]} if leader else {}
        listener = {"address": f"127.0.0.1:{port}", "cluster_address": f"127.0.0.1:{beside}", "tls_disable": True}
        settings = {
            "storage": {"raft": {"path": str(data), "node_id": name, "performance_multiplier": 5, **join}},
            "listener": [{"tcp": listener}],
            "api_addr": f"http://127.0.0.1:{port}",
            "cluster_addr": f"https://127.0.0.1:{beside}",
        }
        configuration = self.folder / f"{name}.json"
        configuration.write_text(json.dumps(settings), encoding="utf-8")
        with (self.folder / f"{name}.log").open("wb") as stream:
            self._processes.append(
                subprocess.Popen(
                    [PROGRAM, "server", f"-config={configuration}"],
                    env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                )
            )
        return f"http://127.0.0.1:{port}"

    def _unseal(self, node: str, made: Any) -> None:
        until(lambda: self.send(f"{node}/v1/sys/unseal", {"key": made["keys"][0]}))
        until(lambda: not self.send(f"{node}/v1/sys/seal-status")["sealed"])
        until(lambda: self.send(f"{node}/v1/sys/leader").get("leader_address"))


class Relay(FakeService):
    """Passes each request on to the server, so that a test can add faults and count."""

    def __init__(self, server: OpenBao) -> None:
        super().__init__()
        self.server = server
        self._pool = urllib3.PoolManager()

    def handle(self, request: ReceivedRequest) -> Reply:
        """Return the server's own response."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in {"host", *_HOP}}
        found = self._pool.request(
            request.method,
            f"{self.server.url}{request.raw_path}",
            body=request.data or None,
            headers=headers,
            retries=False,
        )
        passed = {name: value for name, value in found.headers.items() if name.lower() not in _HOP}
        return Reply(found.status, found.data or None, passed)


def until(act: Callable[[], Any]) -> Any:
    """Repeat a request until it succeeds and returns something, and return that."""
    give_up = time.monotonic() + LONGEST_START
    while True:
        try:
            found = act()
            if found:
                return found
        except (AssertionError, urllib3.exceptions.HTTPError):
            if time.monotonic() > give_up:
                raise
        assert time.monotonic() < give_up
        time.sleep(0.05)


_TOKEN = {"X-Vault-Token": TOKEN}
_VERSION_2 = {"version": "2"}
