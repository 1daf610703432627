"""The endpoint answers the holder of its token, on this machine, and nobody else."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from support.commands import twokey
from support.roles import file_store
from twokey.aws.clock import ServiceClock
from twokey.core.errors import Failed
from twokey.core.secret import Credential, SessionCredential
from twokey.jobs import refreshing
from twokey.jobs.credentials import Provided
from twokey.jobs.endpoint import Endpoint
from twokey.jobs.refreshing import PATIENCE, Refreshing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def clock(self) -> ServiceClock:
        return ServiceClock(lambda: self.seconds, lambda: self.seconds, lambda _: None)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


class Sessions:
    """A source of sessions, or of access keys, or of nothing."""

    def __init__(self, time: Time, length: timedelta = timedelta(hours=1), *, keys: bool = False) -> None:
        self.time = time
        self.length = length
        self.keys = keys
        self.count = 0
        self.broken = False
        self.grace = timedelta(hours=3)
        self.answers = threading.Event()
        self.answers.set()
        self.begun = 0

    def read(self) -> Provided:
        self.begun += 1
        self.answers.wait()
        if self.broken:
            raise Failed("The store is away.")
        self.count += 1
        end = self.time.now() + self.length
        if self.keys:
            return Provided(Credential(f"AKIA{self.count}", "secret"), end, self.time.now() + self.grace)
        return Provided(SessionCredential(f"ASIA{self.count}", "secret", "token", end), end, end)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def source(time: Time) -> Sessions:
    return Sessions(time)


@pytest.fixture
def endpoint(time: Time, source: Sessions, said: list[str]) -> Iterator[Endpoint]:
    with Endpoint(Refreshing(source, time.clock(), said.append, lambda _: None)) as endpoint:
        yield endpoint


def ask(endpoint: Endpoint, *, token: str | None = None, path: str = "/credentials", host: str = "") -> tuple[int, Any]:
    """Ask as an SDK does; return status and document."""
    port = endpoint.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=300)
    headers = {"Authorization": endpoint.token if token is None else token}
    connection.request("GET", path, headers={**headers, "Host": host or f"127.0.0.1:{port}"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


class TestWhoIsAnswered:
    def test_the_holder_of_the_token(self, endpoint: Endpoint, time: Time) -> None:
        status, document = ask(endpoint)
        assert status == 200
        assert document == {
            "AccessKeyId": "ASIA1",
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": f"{time.now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        }

    @pytest.mark.parametrize("token", ["", "guessed", "tökén"])
    def test_not_who_lacks_it(self, endpoint: Endpoint, source: Sessions, token: str) -> None:
        status, document = ask(endpoint, token=token.encode().decode("latin-1"))
        assert (status, document["code"]) == (401, "Unauthorized")
        assert source.count == 0

    def test_not_a_web_page_by_a_name_of_its_own(self, endpoint: Endpoint, source: Sessions) -> None:
        assert ask(endpoint, host="attacker.example:80")[0] == 403
        assert source.count == 0

    def test_not_for_another_path(self, endpoint: Endpoint) -> None:
        assert ask(endpoint, path="/")[0] == 404

    def test_not_on_another_address(self, endpoint: Endpoint) -> None:
        assert endpoint.server_address[0] == "127.0.0.1"

    def test_nor_is_a_secret_in_its_name(self, endpoint: Endpoint) -> None:
        assert endpoint.token not in repr(vars(endpoint)) + endpoint.url


class TestRefreshing:
    def test_a_session_serves_until_twenty_minutes_before_its_end(self, endpoint: Endpoint, time: Time) -> None:
        assert ask(endpoint)[1]["AccessKeyId"] == "ASIA1"
        time.seconds += 39 * 60
        assert ask(endpoint)[1]["AccessKeyId"] == "ASIA1"
        time.seconds += 60
        assert ask(endpoint)[1]["AccessKeyId"] == "ASIA2"

    def test_the_processes_of_a_job_share_a_session_however_short_it_is(
        self, endpoint: Endpoint, source: Sessions, time: Time
    ) -> None:
        source.length = timedelta(minutes=15)
        assert [ask(endpoint)[1]["AccessKeyId"] for _ in range(2)] == ["ASIA1", "ASIA1"]
        time.seconds += 60
        assert ask(endpoint)[1]["AccessKeyId"] == "ASIA2"

    def test_an_access_key_is_read_each_time(self, endpoint: Endpoint, source: Sessions) -> None:
        source.keys = True
        assert [ask(endpoint)[1]["AccessKeyId"] for _ in range(2)] == ["AKIA1", "AKIA2"]
        assert ask(endpoint)[1]["Token"] == ""

    def test_a_session_that_works_stays_where_no_other_is_to_be_had(
        self, endpoint: Endpoint, source: Sessions, time: Time, said: list[str]
    ) -> None:
        ask(endpoint)
        source.broken = True
        time.seconds += 45 * 60
        assert [ask(endpoint)[1]["AccessKeyId"] for _ in range(2)] == ["ASIA1", "ASIA1"]
        assert said == ["The credentials of the job cannot be refreshed, and it keeps those it has: The store is away."]

    @pytest.mark.parametrize("keys", [False, True])
    def test_what_works_stays_while_the_store_does_not_answer(
        self, endpoint: Endpoint, source: Sessions, time: Time, keys: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An SDK waits for a second or two only, and then the call that needs the credentials fails."""
        monkeypatch.setattr(refreshing, "KEY_PATIENCE", PATIENCE)
        source.keys = keys
        first = ask(endpoint)[1]["AccessKeyId"]
        time.seconds += 45 * 60
        source.answers.clear()
        assert [ask(endpoint)[1]["AccessKeyId"] for _ in range(3)] == [first] * 3
        assert source.begun == 2
        source.answers.set()
        while ask(endpoint)[1]["AccessKeyId"] == first:
            pass

    def test_an_outage_that_begins_with_silence_is_told_once(
        self, endpoint: Endpoint, source: Sessions, time: Time, said: list[str]
    ) -> None:
        ask(endpoint)
        time.seconds += 45 * 60
        source.answers.clear()
        ask(endpoint)
        source.broken = True
        source.answers.set()
        while not said:
            ask(endpoint)
        ask(endpoint)
        assert said == ["The credentials of the job cannot be refreshed, and it keeps those it has: The store is away."]

    def test_one_that_has_ended_is_waited_for(self, endpoint: Endpoint, source: Sessions, time: Time) -> None:
        ask(endpoint)
        time.seconds += 60 * 60
        source.answers.clear()
        threading.Timer(2 * PATIENCE, source.answers.set).start()
        assert ask(endpoint)[1]["AccessKeyId"] == "ASIA2"

    def test_so_does_an_access_key_until_its_grace_ends(self, endpoint: Endpoint, source: Sessions, time: Time) -> None:
        source.keys = True
        start = time.now()
        ask(endpoint)
        source.broken = True
        time.seconds += 150 * 60
        _, document = ask(endpoint)
        assert document["AccessKeyId"] == "AKIA1"
        assert document["Expiration"] == f"{start + source.grace:%Y-%m-%dT%H:%M:%SZ}"
        time.seconds += 30 * 60
        assert ask(endpoint)[0] == 500

    def test_one_that_has_ended_does_not(self, endpoint: Endpoint, source: Sessions, time: Time) -> None:
        ask(endpoint)
        source.broken = True
        time.seconds += 60 * 60
        status, document = ask(endpoint)
        assert (status, document) == (500, {"code": "Failed", "message": "The store is away."})


class TestServeCredentials:
    def test_prints_the_variables_and_serves_until_it_is_ended(self, rig: Rig, tmp_path: Path) -> None:
        _, current = rig.settled()
        words = [sys.executable, "-m", "twokey", "serve-credentials", "--store", file_store(current, tmp_path)]
        serving = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert serving.stdout
        variables = dict(serving.stdout.readline().strip().split("=", 1) for _ in range(2))
        url = urlsplit(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        connection = http.client.HTTPConnection(url.netloc, timeout=300)
        connection.request("GET", url.path, headers={"Authorization": variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]})
        assert json.loads(connection.getresponse().read())["AccessKeyId"] == current.access_key_id
        serving.terminate()
        assert serving.wait(60) == 0
        serving.stdout.close()

    def test_says_that_a_port_is_in_use(self, rig: Rig) -> None:
        rig.settled()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ran = twokey("serve-credentials", "--port", str(port))
        assert (ran.code, ran.out) == (1, "")
        assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in ran.err

    def test_fails_before_it_serves_where_there_are_no_credentials(self, rig: Rig) -> None:
        ran = twokey("serve-credentials", "--role", "nowhere")
        assert (ran.code, ran.out) == (1, "")
        assert "There is no role nowhere" in ran.err
