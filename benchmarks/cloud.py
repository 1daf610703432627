"""An emulated AWS in a process of its own, so that its CPU time is nobody else's; driven by its control endpoint."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.request import Request, urlopen

from benchmarks.children import MeasurementFailed, clean_environment, script

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PATH = "/machine-users/"
SECRET = "machine-users/{user}"
IN_MANY_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that the emulator saw."""

    name: str
    time: datetime
    status: int
    throttled: bool


class Cloud:
    """A fresh emulator, for one measurement. Use it in a ``with`` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._about: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Start it; one page holds 1,000 users, because the tool of origin reads one page only."""
        command = [script("twokey"), "emulator", "--port", "0", "--page-size", str(IN_MANY_REQUESTS), "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
        self._about = json.loads(_first_line(self._process))
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            if self._process.stdout:
                self._process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a program that works on this AWS."""
        return clean_environment(self._about["environment"])

    @property
    def aws_variables(self) -> dict[str, str]:
        """Return the variables alone that lead an SDK here."""
        variables: dict[str, str] = self._about["environment"]
        return variables

    def make_users(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Make users with two old keys each; return the newer key of each, as a store holds it.

        Without a journal such a user is due: the newer key is older than the period.
        """
        return {name: _pair(self._ask("POST", "users", {"name": name, "path": PATH})["keys"][-1]) for name in names}

    def credentials(self, account: str) -> dict[str, str]:
        """Return an administrator's key in another account, which is made at need."""
        found: dict[str, str] = self._ask("POST", "credentials", {"account": account})
        return found

    def weather(self, **weather: object) -> None:
        """Set latency, throttling and the like; what is not named is fine."""
        self._ask("PUT", "weather", weather)

    def forget_requests(self) -> None:
        """Begin to count anew."""
        self._ask("DELETE", "requests")

    def requests(self, service: str = "") -> list[Seen]:
        """Return the requests since the start or the last ``forget_requests``, of one service or of all."""
        found = self._ask("GET", "requests")["requests"]
        return [_seen(request) for request in found if not service or request["service"] == service]

    def _ask(self, method: str, what: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._about["control_url"] + what, data, method=method), timeout=60) as answer:
            return json.loads(answer.read())


def names(count: int) -> list[str]:
    """Return names for so many users."""
    return [f"machine-{number:03d}" for number in range(count)]


def fill_files(folder: Path, held: dict[str, dict[str, str]]) -> str:
    """Write what a file store holds; return its URL."""
    folder.mkdir(mode=0o700)
    for name, pair in held.items():
        file = folder / f"{name}.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(pair))
    return f"file:{folder}/{{user}}.json"


def fill_secrets(cloud: Cloud, held: dict[str, dict[str, str]]) -> str:
    """Write what a store in Secrets Manager holds; return its URL."""
    client = _client(cloud, "secretsmanager")
    for name, pair in held.items():
        client.create_secret(Name=SECRET.format(user=name), SecretString=json.dumps(pair))
    return f"secretsmanager:{SECRET}"


def _client(cloud: Cloud, service: str) -> Any:
    import botocore.session

    given = cloud.aws_variables
    return botocore.session.Session().create_client(
        service,
        region_name=given["AWS_REGION"],
        endpoint_url=given["AWS_ENDPOINT_URL"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )


def _pair(key: dict[str, str]) -> dict[str, str]:
    return {"AccessKeyId": key["access_key_id"], "SecretAccessKey": key["secret_access_key"]}


def _seen(request: dict[str, Any]) -> Seen:
    return Seen(
        name=f"{request['service']}:{request['operation']}",
        time=datetime.fromisoformat(request["time"]),
        status=request["status"],
        throttled=request["effect"] == "throttle",
    )


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    out: IO[bytes] | None = process.stdout
    line = out.readline() if out else b""
    if not line:
        raise MeasurementFailed(f"The emulator did not start (exit code {process.wait()}).")
    return line
