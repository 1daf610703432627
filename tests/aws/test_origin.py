"""Responses that are not from AWS, to every call of twokey: they prove nothing, and do not count as AWS's."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.aws.iam import Iam
from twokey.aws.sending import Sender
from twokey.aws.sts import Sts
from twokey.core.errors import Ambiguous
from twokey.core.model import MachineUser
from twokey.core.secret import Credential
from twokey.emulator import Rule
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.rig import Rig

KEY = "AKIAIOSFODNN7EXAMPLE"
CREDENTIAL = Credential(KEY, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
LONG = "The proxy says something. " * 100
PAGES = {
    "a page that is well-formed XML": f"<html><head><title>Sign in</title></head><body>{LONG}</body></html>",
    "a page of HTML": f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>Sign in</title><p>{LONG}<br>",
    "a page after a comment": f"\ufeff<!-- portal -->\n<!doctype HTML><html><p>{LONG}",
    "XML of another service": f"<portal><message>{LONG}</message></portal>",
    "text": LONG,
    "nothing": "",
    "JSON of another service": f'{{"message": "{LONG}", "error": "login"}}',
    "an empty JSON object": "{}",
    "null": "null",
    "a JSON list": "[1]",
}
STATUSES = (200, 302, 400, 403, 404, 407, 429, 502, 503)
READS: dict[str, Callable[[Clients], Any]] = {
    "ListUsers": lambda clients: list(Iam(clients).users("/")),
    "GetUser": lambda clients: Iam(clients).user("ci"),
    "ListAccessKeys": lambda clients: Iam(clients).keys("ci"),
    "GetAccessKeyLastUsed": lambda clients: Iam(clients).last_use(KEY),
    "GetCallerIdentity": lambda clients: Sts(clients).identity_of(CREDENTIAL),
    "DescribeSecret": lambda clients: secrets(clients, "DescribeSecret", mutates=False),
    "GetSecretValue": lambda clients: secrets(clients, "GetSecretValue", mutates=False),
    "GetParameters": lambda clients: Sender(clients, "ssm").send("GetParameters", "/x", mutates=False, Names=["/x"]),
    "GetParameter": lambda clients: Sender(clients, "ssm").send("GetParameter", "/x", mutates=False, Name="/x"),
}
WRITES: dict[str, Callable[[Clients], Any]] = {
    "CreateAccessKey": lambda clients: Iam(clients).create_key("ci"),
    "UpdateAccessKey": lambda clients: Iam(clients).deactivate_key("ci", KEY),
    "DeleteAccessKey": lambda clients: Iam(clients).delete_key("ci", KEY),
    "CreateSecret": lambda clients: Sender(clients, "secretsmanager").send("CreateSecret", "x", Name="x"),
    "PutSecretValue": lambda clients: secrets(clients, "PutSecretValue", SecretString="{}"),
    "UpdateSecretVersionStage": lambda clients: secrets(clients, "UpdateSecretVersionStage", VersionStage="x"),
    "PutParameter": lambda clients: Sender(clients, "ssm").send("PutParameter", "/x", Name="/x", Value="{}"),
}


def secrets(clients: Clients, operation: str, **parameters: Any) -> Any:
    return Sender(clients, "secretsmanager").send(operation, "x", SecretId="x", **parameters)


@contextmanager
def proxy() -> Iterator[Any]:
    """Run a server that responds to every request instead of AWS, with ``status``, ``page`` and ``date`` as set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet for each response: the client would wait for the second one

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.hits += 1
            page = server.page.encode()
            self.send_response_only(server.status)
            self.send_header("Date", server.date)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.page, server.date, server.hits = 200, "", "Mon, 01 Jun 2026 00:00:00 GMT", 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def portal() -> Iterator[Any]:
    """One sign-in page for all tests here."""
    with proxy() as server:
        yield server


@pytest.fixture
def connected(portal: Any, monkeypatch: pytest.MonkeyPatch) -> Clients:
    """An AWS edge that reaches nothing but the page, and does not sleep between its attempts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{portal.server_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIAL.reveal())
    hurried = Hurried()
    return Clients("run", clock=ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic))


@pytest.fixture
def clients(portal: Any, connected: Clients) -> Clients:
    """The same without connections, which take most of the time of thousands of requests."""

    def respond(request: Any, **_: object) -> Any:
        portal.hits += 1
        headers: Any = {"Date": portal.date, "Content-Length": str(len(portal.page.encode()))}
        raw: Any = None
        response = AWSResponse(request.url, portal.status, headers, raw)
        vars(response)["_content"] = portal.page.encode()
        return response

    session: Any = connected.session
    session.register("before-send", respond)
    return connected


CONNECTED = ("CreateAccessKey", "GetCallerIdentity", "GetParameter")
"""The operations, of each protocol, whose every page crosses a connection."""


@pytest.mark.parametrize("operation", [*READS, *WRITES])
def test_no_page_and_no_status_counts_as_a_response_of_aws(
    operation: str, portal: Any, request: pytest.FixtureRequest
) -> None:
    clients = request.getfixturevalue("connected" if operation in CONNECTED else "clients")
    for status in STATUSES:
        for name, page in PAGES.items():
            portal.status, portal.page, portal.hits = status, page, 0
            with pytest.raises(Ambiguous) as caught:
                {**READS, **WRITES}[operation](clients)
            message = str(caught.value)
            assert ("It may have taken effect" in message) == (operation in WRITES), (status, name)
            assert "The proxy says" not in message, (status, name)
            assert len(message) < 400, (status, name)
            assert caught.value.remedy, (status, name)
            if operation == "CreateAccessKey":
                assert portal.hits == 1, (status, name)


def test_the_message_names_the_status_and_the_likely_cause(portal: Any, connected: Clients) -> None:
    for operation in ("ListAccessKeys", "GetSecretValue"):
        portal.status, portal.page = 403, PAGES["a page of HTML"]
        with pytest.raises(Ambiguous, match=r"the response with status 403 is not from AWS; .*proxy settings"):
            READS[operation](connected)


@pytest.mark.parametrize("page", PAGES)
def test_the_clock_uses_dates_of_aws_only(page: str, portal: Any, clients: Clients) -> None:
    before = clients.clock.now()
    portal.page, portal.date = PAGES[page], "Fri, 01 Jan 2100 00:00:00 GMT"
    for status in (200, 403, 503):
        portal.status = status
        for read in READS.values():
            with pytest.raises(Ambiguous):
                read(clients)
    assert (clients.clock.now() - before).total_seconds() < 60


def test_a_page_is_no_reason_to_doubt_that_a_key_may_be_created(portal: Any, clients: Clients) -> None:
    portal.status, portal.page = 200, PAGES["a page that is well-formed XML"]
    user = MachineUser("ci", "/", "AIDA", "123456789012", "arn:aws:iam::123456789012:user/ci")
    assert Iam(clients).may_create(user) is None


def test_a_rotation_behind_a_sign_in_page_claims_nothing(rig: Rig) -> None:
    """The page is well-formed XML with status 200: to botocore the successful response to DeleteAccessKey."""
    last, current = rig.settled()
    rig.aws.weather.add(Rule("iam:DeleteAccessKey", effect="html", status=200, times=None))
    result = rig.rotate()
    assert result.outcome == "failed"
    assert not result.removed
    assert rig.ids() == [last.access_key_id, current.access_key_id]
