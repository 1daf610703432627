"""Requests to moto that skip its application: the responses are the application's."""

from __future__ import annotations

import dataclasses
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from twokey.emulator import Emulator, moto_side

if TYPE_CHECKING:
    import pytest

    from twokey.emulator.responses import Response

CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "list_groups", {}),
    ("iam", "get_role", {"RoleName": "missing"}),
    ("iam", "list_service_specific_credentials", {}),
    ("ssm", "describe_parameters", {}),
    ("ssm", "get_parameter", {"Name": "/missing:1"}),
    ("ssm", "describe_sessions", {"State": "Active"}),
    ("dynamodb", "list_tables", {}),
    ("dynamodb", "describe_table", {"TableName": "missing"}),
    ("organizations", "describe_organization", {}),
]
"""What changes nothing, succeeds, fails or is not implemented by moto."""


def without_request_id(response: Response) -> Response:
    """Leave out what is another for each request."""
    kept = tuple((name, value) for name, value in response.headers if name.lower() != "x-amzn-requestid")
    return dataclasses.replace(response, headers=kept, body=re.sub(rb"(?i)(requestid\W+)[\w-]+", rb"\1", response.body))


def test_a_response_without_the_application_is_the_one_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, shorter = moto_side.Moto.forward, moto_side._only_handler
    handlers: list[Any] = []
    found: dict[str, tuple[Response, Response]] = {}

    def recorded(*asked: Any) -> Any:
        handlers.append(shorter(*asked))
        return handlers[-1]

    def both(moto: Any, call: Any, account: str, body: bytes | None = None) -> Response:
        monkeypatch.setattr(moto_side, "_only_handler", recorded)
        first = forward(moto, call, account, body)
        monkeypatch.setattr(moto_side, "_only_handler", lambda *_: None)
        found[call.name] = without_request_id(first), without_request_id(forward(moto, call, account, body))
        return first

    monkeypatch.setattr(moto_side.Moto, "forward", both)
    with Emulator() as aws:
        for service, operation, parameters in CALLS:
            with suppress(ClientError):
                getattr(aws.client(service), operation)(**parameters)
    assert len(handlers) == len(found) == len(CALLS)
    assert all(handlers)
    assert {first.status for first, _ in found.values()} >= {200, 400, 404, 501}
    for first, second in found.values():
        assert first == second
