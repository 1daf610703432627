"""Messages of services, proxies and helper programs about requests are not repeated if they may contain a secret."""

from __future__ import annotations

import html
import json
import sys
from typing import TYPE_CHECKING

import pytest

from secrecy.outcomes import Stage
from secrecy.proxy import Exchange, Proxy
from support.canaries import leaks
from twokey.aws import sending

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from secrecy.conftest import Commands
    from support.canaries import Canaries
    from support.commands import Ran
    from support.rig import Rig

SECRETS, SSM = "secretsmanager:machine-users/{user}", "ssm:/machine-users/{user}"
STORES = {
    "PutSecretValue": (SECRETS,),
    "CreateSecret": (SSM, "secretsmanager:copies/{user}"),
    "GetSecretValue": (SECRETS,),
    "PutParameter": (SSM,),
    "GetParameters": (SSM,),
    "CreateAccessKey": (SECRETS,),
    "ListUsers": (SECRETS,),
}
"""The store and the other destinations with which each operation is sent."""
PAGES: dict[str, Callable[[Exchange], str]] = {
    "HTML": lambda seen: f"<html><body><h1>Blocked</h1><pre>{seen.quoted()}</pre></body></html>",
    "XHTML": lambda seen: f"<html><body><pre>{html.escape(seen.quoted())}</pre></body></html>",
    "text": lambda seen: seen.quoted().replace("\n", " "),
}
CODES = (
    "ValidationException",
    "AccessDeniedException",
    "ResourceNotFoundException",
    "InvalidRequestException",
    "ThrottlingException",
    "LimitExceededException",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "KMSAccessDeniedException",
)


@pytest.fixture(autouse=True)
def _few_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ATTEMPTS", 2)
    monkeypatch.setattr(sending, "PATIENCE", 0.3)
    monkeypatch.setattr("twokey.aws.iam.PAUSES", (0.0,))


@pytest.fixture
def rotate(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: Commands) -> Callable[[Proxy], Ran]:
    """Rotate through a proxy, twice: an interrupted rotation also continues through it."""

    def run(proxy: Proxy) -> Ran:
        store, *deliver = STORES[proxy.operation]
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        options = Stage(rig, tmp_path, monkeypatch).configured(store=store, deliver=tuple(deliver))
        ran = commands.run("rotate", *options, "-v", "--no-wait")
        commands.run("rotate", *options, "--json", "--no-wait")
        return ran

    return run


def _make(rig: Rig, operation: str) -> None:
    """Create a user that is due; if the operation reads, with a key in the store."""
    rig.store_url = STORES[operation][0]
    if rig.store_url == SECRETS:
        rig.settled()
    else:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)


class TestAProxysPage:
    @pytest.mark.parametrize(
        ("status", "page"), [(200, "HTML"), (403, "HTML"), (403, "XHTML"), (403, "text"), (502, "HTML")]
    )
    @pytest.mark.parametrize("operation", [name for name in STORES if name != "ListUsers"])
    def test_that_quotes_request_and_response_is_not_repeated(
        self, rig: Rig, commands: Commands, rotate: Callable[[Proxy], Ran], operation: str, status: int, page: str
    ) -> None:
        _make(rig, operation)
        with Proxy(rig.aws, operation, lambda seen: (status, "text/html", PAGES[page](seen))) as proxy:
            rotate(proxy)
        assert proxy.hits
        commands.assert_silent()

    def test_in_place_of_the_response_to_a_creation_does_not_count_as_a_refusal(
        self, rig: Rig, rotate: Callable[[Proxy], Ran], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A scanner of responses may block the secret of the new key after AWS created the key."""
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        with Proxy(rig.aws, "CreateAccessKey", lambda _: (403, "text/html", "<p>Blocked</p>")) as proxy:
            rotate(proxy)
        assert len(rig.ids()) == 1, "the orphan of the first run was removed, that of the second is there"
        monkeypatch.setenv("AWS_ENDPOINT_URL", rig.aws.endpoint_url)
        assert rig.rotate(run="undisturbed").outcome == "rotated"
        assert len(rig.ids()) == 1


class TestAnErrorOfAws:
    @pytest.mark.parametrize(
        ("operation", "code"),
        [*(("PutSecretValue", code) for code in CODES), ("CreateSecret", CODES[0]), ("PutParameter", CODES[0])],
    )
    def test_that_repeats_the_secret_shows_its_code_only(
        self, rig: Rig, commands: Commands, rotate: Callable[[Proxy], Ran], operation: str, code: str
    ) -> None:
        _make(rig, operation)

        def say(seen: Exchange) -> tuple[int, str, str]:
            words = (
                f"{seen.quoted()} failed to satisfy constraint. User: x is not authorized to perform: {seen.quoted()}"
            )
            return 400, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": words})

        with Proxy(rig.aws, operation, say, before=True) as proxy:
            rotate(proxy)
        assert proxy.hits
        commands.assert_silent()

    @pytest.mark.parametrize("operation", ["ListUsers", "CreateAccessKey"])
    def test_about_the_signature_shows_nothing_of_the_session_token_that_it_repeats(
        self,
        rig: Rig,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        commands: Commands,
        rotate: Callable[[Proxy], Ran],
        operation: str,
    ) -> None:
        """AWS's message contains the canonical request, including its header x-amz-security-token."""
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        token = Stage(rig, tmp_path, monkeypatch).act_in_a_session()

        def say(seen: Exchange) -> tuple[int, str, str]:
            assert seen.headers["X-Amz-Security-Token"] == token
            words = f"The request signature we calculated does not match. {html.escape(json.dumps(seen.headers))}"
            error = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{words}</Message></Error>"
            return 403, "text/xml", f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"

        with Proxy(rig.aws, operation, say, before=True) as proxy:
            rotate(proxy)
        assert proxy.hits
        commands.assert_silent()
        assert not leaks(commands.shown, {token})


class TestWhatIsConfigured:
    def test_a_proxys_password_is_not_shown_where_it_cannot_be_reached(
        self, rig: Rig, commands: Commands, canaries: Canaries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        password = canaries.take().replace("/", "x").replace("+", "y")
        canaries.secrets.add(password)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{password}@127.0.0.1:9")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://aws.example:1")
        ran = commands.run("rotate", "ci", "--store", SECRETS)
        assert ran.code == 1
        assert "no connection" in ran.err + ran.out
        commands.assert_silent()

    @pytest.mark.parametrize(
        ("url", "code"), [("http://user:{}@127.0.0.1:9", 1), ("no url user:{}@x", 2), ("http://user:{}@[x", 2)]
    )
    def test_a_password_in_the_endpoint_is_not_shown(
        self, rig: Rig, commands: Commands, canaries: Canaries, monkeypatch: pytest.MonkeyPatch, url: str, code: int
    ) -> None:
        password = canaries.take().replace("/", "x").replace("+", "y")
        canaries.secrets.add(password)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url.format(password))
        assert commands.run("rotate", "ci", "--store", SECRETS).code == code
        commands.assert_silent()

    @pytest.mark.parametrize("url", ["http://user:{}@aws.example:1", "http://{}@aws.example/x?y={}", "http://x/{}"])
    def test_a_secret_in_an_endpoint_without_tls_is_not_shown(
        self, rig: Rig, commands: Commands, canaries: Canaries, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        password = canaries.take().replace("/", "x").replace("+", "y")
        canaries.secrets.add(password)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url.format(password, password))
        assert commands.run("rotate", "ci", "--store", SECRETS).code == 2
        commands.assert_silent()

    @pytest.mark.parametrize("prints", ["stdout", "stderr"])
    def test_what_a_credential_process_prints_is_not_shown(
        self,
        rig: Rig,
        commands: Commands,
        canaries: Canaries,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        prints: str,
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        program = tmp_path / "helper.py"
        program.write_text(
            f"import sys\nprint('+ SECRET={canaries.take()}', file=sys.{prints})\nsys.exit({prints == 'stderr'})"
        )
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        assert commands.run("rotate", "ci", "--store", SECRETS).code == 1
        commands.assert_silent()

    def test_a_credentials_file_that_is_broken_is_not_quoted(
        self, rig: Rig, commands: Commands, canaries: Canaries, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        file = tmp_path / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        for text in ("aws_secret_access_key = {}\n", "[default\nx {}\n", "[default]\n{}\n", "[a]\nx=1\n[a]\nx={}\n"):
            file.write_text(text.format(canaries.take()))
            assert commands.run("rotate", "ci", "--store", SECRETS).code == 1
        commands.assert_silent()

    @pytest.mark.parametrize(
        "text",
        [
            "version: 1\naws_secret_access_key: {}\n",
            "version: 1\nmachine_users:\n  - path: x\n    store: secretsmanager:x\n    token: {}\n",
            "version: 1\nwindow: [{}]\n",
            "a: b: {}\n",
            "- {}\n",
            "version: 1\nmachine_users: {{secret: {}\n",
        ],
    )
    def test_a_misplaced_secret_in_the_configuration_is_not_quoted(
        self, commands: Commands, canaries: Canaries, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "twokey.yaml"
        secret = canaries.take()
        file.write_text(text.format(secret))
        for command in ("rotate", "plan", "status"):
            assert commands.run(command, "--config", str(file)).code == 2
        commands.assert_silent()
