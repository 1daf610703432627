"""The control endpoint does over HTTP what the Python API does."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator import Emulator


@pytest.fixture
def control(aws: Emulator) -> Callable[..., Any]:
    """Ask the control endpoint: method, path, and the JSON object as keywords."""

    def ask(method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{aws.endpoint_url}/_twokey/{path}", data, method=method)
        try:
            with urllib.request.urlopen(request) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                return {"status": error.code, **json.load(error)}

    return ask


def test_requests_can_be_read_and_cleared(aws: Emulator, control: Callable[..., Any]) -> None:
    aws.client("iam").list_users()
    found = control("GET", "requests")
    assert found["count"] == 1
    assert (found["requests"][0]["operation"], found["requests"][0]["status"]) == ("ListUsers", 200)
    control("DELETE", "requests")
    assert control("GET", "requests") == {"requests": [], "count": 0}


def test_weather_can_be_set_read_and_cleared(aws: Emulator, control: Callable[..., Any]) -> None:
    control("PUT", "weather", propagation=5, throttle={"iam": {"rate": 20, "burst": 40}})
    assert aws.weather.propagation == 5
    shown = control("GET", "weather")
    assert (shown["propagation"], shown["throttle"]) == (5, {"iam": {"rate": 20, "burst": 40}})
    control("PUT", "weather", list_lag=1)
    assert (aws.weather.propagation, aws.weather.list_lag, aws.weather.limits) == (0, 1, {})
    control("DELETE", "weather")
    assert aws.weather.list_lag == 0


def test_rules_can_be_added_and_their_hits_read(
    aws: Emulator, control: Callable[..., Any], refused: Callable[..., Any]
) -> None:
    control("POST", "rules", operation="sts:*", effect="error_before", status=400, code="Oops")
    assert refused(aws.client("sts").get_caller_identity).code == "Oops"
    assert control("GET", "weather")["rules"][0]["hits"] == 1


def test_the_weather_that_is_read_can_be_set_again(aws: Emulator, control: Callable[..., Any]) -> None:
    numbers = {"report_delay": 1.0, "trail_delay": 2.0, "last_used_lag": 3.0, "propagation": 4.0, "skew": 5.0}
    control("PUT", "weather", **numbers)
    shown = control("GET", "weather")
    assert {name: shown[name] for name in numbers} == numbers
    control("PUT", "weather", **shown)
    assert control("GET", "weather") == shown


def test_time_can_be_advanced(aws: Emulator, control: Callable[..., Any]) -> None:
    before = aws.now()
    control("POST", "clock", advance=3600)
    assert (aws.now() - before).total_seconds() >= 3600
    assert control("GET", "clock")["now"][:13] == aws.now().isoformat()[:13]


def test_users_can_be_created_and_their_keys_read(aws: Emulator, control: Callable[..., Any]) -> None:
    made = control("POST", "users", name="ci", keys=2)["keys"]
    assert aws.client("sts", KeyPair(**made[0])).get_caller_identity()["Arn"].endswith("/ci")
    rows = control("POST", "keys", user="ci")["keys"]
    assert [row["access_key_id"] for row in rows] == [key["access_key_id"] for key in made]
    control("POST", "last-used", access_key_id=made[0]["access_key_id"], seconds_ago=60, service="ses")
    control("POST", "key-age", access_key_id=made[0]["access_key_id"], seconds=86400 * 90)
    assert (aws.now() - aws.keys("ci")[0][2]).days == 90
    assert control("POST", "authenticates", **made[0]) == {"authenticates": True}


def test_the_administrators_key_can_be_read(aws: Emulator, control: Callable[..., Any]) -> None:
    assert control("GET", "credentials")["secret_access_key"] == aws.admin.secret_access_key
    theirs = control("POST", "credentials", account="210987654321")
    assert aws.client("sts", KeyPair(**theirs)).get_caller_identity()["Account"] == "210987654321"


def test_held_requests_can_be_awaited_and_released(aws: Emulator, control: Callable[..., Any]) -> None:
    import threading

    control("POST", "rules", operation="sts:*", effect="hold_before")
    thread = threading.Thread(target=aws.client("sts").get_caller_identity)
    thread.start()
    assert control("POST", "wait-until-held", timeout=5) == {}
    control("POST", "release")
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "nonsense", {}, 404, "unknown path"),
        ("PUT", "weather", {"rain": 1}, 400, "rain"),
        ("POST", "rules", {"operation": "*", "effect": "rain"}, 400, "rain"),
        ("POST", "rules", {"operation": "*", "hits": 3}, 400, "hits"),
        ("POST", "keys", {"user": "nobody"}, 400, "nobody"),
        ("POST", "clock", {"advance": -1}, 400, "forward"),
    ],
)
def test_mistakes_are_explained(
    control: Callable[..., Any], method: str, path: str, body: dict[str, Any], status: int, word: str
) -> None:
    response = control(method, path, **body)
    assert response["status"] == status
    assert word in response["error"]


def test_the_control_endpoint_is_not_recorded(aws: Emulator, control: Callable[..., Any]) -> None:
    control("GET", "weather")
    assert aws.requests == []
