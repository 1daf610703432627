"""What holds the fakes to a description does see what the description forbids."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from api.prism import Prism, needs_prism
from twokey.testing.server import FakeService, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_prism

THING = {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}
CONTENT = {"application/json": {"schema": THING}}
RIDDLE = {"application/json": {"schema": {"type": "string", "pattern": "(what"}}}
"""A form that no validator can read."""
DESCRIPTION = {
    "openapi": "3.0.3",
    "info": {"title": "Things", "version": "1"},
    "paths": {
        "/riddle": {"get": {"responses": {"200": {"description": "A riddle", "content": RIDDLE}}}},
        "/thing": {
            "get": {"responses": {"200": {"description": "A thing", "content": CONTENT}}},
            "put": {
                "requestBody": {"required": True, "content": CONTENT},
                "responses": {"204": {"description": "Kept"}},
            },
        },
    },
}


class Things(FakeService):
    """A service that answers as a test requires."""

    reply = Reply(200, {"size": 1})

    @route("GET", "/thing")
    @route("PUT", "/thing")
    @route("GET", "/riddle")
    def thing(self, _request: ReceivedRequest) -> Reply:
        """Answer any request."""
        return self.reply


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    with Prism(DESCRIPTION, tmp_path_factory.mktemp("prism")) as running:
        yield running


@pytest.fixture
def things(prism: Prism) -> Iterator[Things]:
    with Things() as running:
        prism.lead_to(running.url)
        yield running


def send(prism: Prism, method: str, path: str, body: object = None) -> None:
    """Send a request; whatever the response is, is what the test looks for."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(prism.url + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        urllib.request.urlopen(request).close()
    except HTTPError as error:
        error.close()


def test_what_is_described_passes(prism: Prism, things: Things) -> None:
    send(prism, "GET", "/thing")
    things.reply = Reply(204)
    send(prism, "PUT", "/thing", {"size": 2})
    assert [(one.method, one.status) for one in prism.exchanges] == [("GET", 200), ("PUT", 204)]
    assert prism.violations() == []
    assert things.requests == [("GET", "/thing"), ("PUT", "/thing")]


def test_a_request_that_is_not_described(prism: Prism, things: Things) -> None:
    send(prism, "GET", "/other")
    assert "(404)" in prism.violations()[0]
    assert things.requests == []


def test_a_method_that_is_not_described(prism: Prism, things: Things) -> None:
    send(prism, "DELETE", "/thing")
    assert "(405)" in prism.violations()[0]


def test_a_body_that_is_not_as_described(prism: Prism, things: Things) -> None:
    send(prism, "PUT", "/thing", {"size": "large"})
    assert "body.size" in prism.violations()[0]
    assert things.requests == []


def test_a_response_that_is_not_as_described(prism: Prism, things: Things) -> None:
    things.reply = Reply(200, {"colour": "red"})
    send(prism, "GET", "/thing")
    assert "required property 'size'" in prism.violations()[0]


@pytest.mark.parametrize("status", [201, 404, 503])
def test_a_status_that_is_not_described(prism: Prism, things: Things, status: int) -> None:
    things.reply = Reply(status, {"size": 1})
    send(prism, "GET", "/thing")
    assert "status code" in prism.violations()[0]


def test_what_cannot_be_held_to_the_description_does_not_pass(tmp_path: Path) -> None:
    """Prism would pass it in silence."""
    with Prism(DESCRIPTION, tmp_path) as prism, Things() as things:
        prism.lead_to(things.url)
        send(prism, "GET", "/riddle")
        assert things.requests == [("GET", "/riddle")]
        assert "UNCHECKED" in prism.violations()[0]
