"""An emulated AWS in a process of its own, so that its CPU time is separate; used through its control endpoint."""

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
class RecordedRequest:
    """One request that the emulator recorded."""

    name: str
    time: datetime
    status: int
    throttled: bool


class Cloud:
    """A fresh emulator, for one measurement. Use it in a ``with`` block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._description: dict[str, Any] = {}
        self._session: Any = None

    def __enter__(self) -> Self:
        """Start it; one page holds 1,000 users, because the original tool reads one page only."""
        command = [script("twokey"), "emulator", "--port", "0", "--page-size", str(IN_MANY_REQUESTS), "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
        self._description = json.loads(_first_line(self._process))
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
        """Return the environment of a program that uses this AWS."""
        return clean_environment(self._description["environment"])

    @property
    def aws_variables(self) -> dict[str, str]:
        """Return only the variables that point an SDK at it."""
        variables: dict[str, str] = self._description["environment"]
        return variables

    def make_users(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Create users with two old keys each; return the newer key of each, as a store holds it.

        Without a journal such a user is due: the newer key is older than the period.
        """
        return {name: _pair(self._request("POST", "users", {"name": name, "path": PATH})["keys"][-1]) for name in names}

    def make_users_in(self, account: str, names: Sequence[str], ages: Sequence[float]) -> dict[str, dict[str, str]]:
        """Create users in an account, with keys of these ages, in seconds; return the newest key of each."""
        more = {"account": account, "path": PATH, "keys": len(ages), "ages": list(ages)}
        return {name: _pair(self._request("POST", "users", {"name": name, **more})["keys"][-1]) for name in names}

    def make_user(self, name: str, ages: Sequence[float]) -> list[str]:
        """Create a user with keys of these ages, in seconds; return the ids of the keys, the oldest first."""
        made = self._request("POST", "users", {"name": name, "path": PATH, "keys": len(ages), "ages": list(ages)})
        return [key["access_key_id"] for key in made["keys"]]

    def set_last_use(self, key_id: str, seconds_ago: float) -> None:
        """Set what IAM knows of the latest use of a key."""
        self._request("POST", "last-used", {"access_key_id": key_id, "seconds_ago": seconds_ago})

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._request("POST", "clock", {"advance": seconds})

    def credentials(self, account: str) -> dict[str, str]:
        """Return an administrator's key in another account, which is created on demand."""
        pair: dict[str, str] = self._request("POST", "credentials", {"account": account})
        return pair

    def weather(self, **weather: object) -> None:
        """Set latency, throttling and other faults; those without a value are reset."""
        self._request("PUT", "weather", weather)

    def clear_requests(self) -> None:
        """Start counting again from zero."""
        self._request("DELETE", "requests")

    def requests(self, service: str = "") -> list[RecordedRequest]:
        """Return the requests since the start or the last ``clear_requests``, of one service or of all."""
        recorded = self._request("GET", "requests")["requests"]
        return [_recorded(request) for request in recorded if not service or request["service"] == service]

    def client(self, service: str, key: dict[str, str] | None = None) -> Any:
        """Return a client of this AWS, of botocore, with its own key or another one."""
        import botocore.session

        variables = self.aws_variables
        own = {
            "access_key_id": variables["AWS_ACCESS_KEY_ID"],
            "secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
        }
        pair = key or own
        self._session = self._session or botocore.session.Session()
        return self._session.create_client(
            service,
            region_name=variables["AWS_REGION"],
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=pair["access_key_id"],
            aws_secret_access_key=pair["secret_access_key"],
        )

    def _request(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._description["control_url"] + path, data, method=method), timeout=60) as response:
            return json.loads(response.read())


def names(count: int) -> list[str]:
    """Return names for this number of users."""
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
    client = cloud.client("secretsmanager")
    for name, pair in held.items():
        client.create_secret(Name=SECRET.format(user=name), SecretString=json.dumps(pair))
    return f"secretsmanager:{SECRET}"


def _pair(key: dict[str, str]) -> dict[str, str]:
    return {"AccessKeyId": key["access_key_id"], "SecretAccessKey": key["secret_access_key"]}


def _recorded(request: dict[str, Any]) -> RecordedRequest:
    return RecordedRequest(
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
