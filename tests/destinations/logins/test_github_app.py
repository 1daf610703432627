"""GitHub as an App sees it: the installation is found, its tokens are renewed, and what is missing is named."""

from __future__ import annotations

import sys
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.canaries import leaks
from support.local_variables import watched
from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, TwokeyError, UsageError
from twokey.destinations import registry
from twokey.destinations.connections import Configured, Connections
from twokey.destinations.logins.github import CONNECTION, Settings
from twokey.destinations.registry import Services
from twokey.testing.contract import Hurried, assert_silent, fresh_credential
from twokey.testing.fakes.github import GitHub
from twokey.testing.server import Effect, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

import msgspec

pytestmark = pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits long")
WRITE = {"secrets": "write", "metadata": "read", "environments": "write"}
START = 1_800_000_000.0


@cache
def key() -> tuple[str, str]:
    """Return the App's private key and its public half, as PEM.

    A short one: each new token checks its primes, which takes eight times as long with the usual length.
    """
    private = rsa.generate_private_key(65537, 1024)
    return pem(private), (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def pem(private: Any) -> str:
    return str(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
    )


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def fake(hurried: Hurried, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub(hurried.monotonic) as github:
        github.now = lambda: START + hurried.slept
        github.app_key = key()[1]
        monkeypatch.setenv("APP_KEY", key()[0])
        github.add_repository("acme/api", "production")
        yield github


def services(fake: GitHub, hurried: Hurried, **app: Any) -> Services:
    given = {"id": fake.app_id, "private_key": {"env": "APP_KEY"}, **app}
    settings = msgspec.convert({"app": given, "url": fake.url}, Settings)
    clock = ServiceClock(wall=lambda: START + hurried.slept, sleep=hurried.sleep, monotonic=hurried.monotonic)
    connections = Connections({"github": Configured(CONNECTION.name, settings, "here")})
    return Services(Clients("tests", clock=clock), connections)


def deliver(url: str, found: Services) -> None:
    destination = registry.open_destination(url, found)
    destination.preflight()
    assert destination.deliver(fresh_credential()).written


def refusal(url: str, found: Services) -> TwokeyError:
    with pytest.raises(TwokeyError) as caught:
        deliver(url, found)
    assert key()[0][100:200] not in str(caught.value)
    return caught.value


class TestTheInstallation:
    @pytest.mark.parametrize(
        ("url", "owner", "target"),
        [
            ("github:acme/site", "acme", "acme/site/actions"),
            ("github:acme/api?environment=production", "Acme", "acme/api/environments/production"),
            ("github:acme", "acme", "acme/actions"),
        ],
    )
    def test_is_found_for_each_kind_of_target(
        self, fake: GitHub, hurried: Hurried, url: str, owner: str, target: str
    ) -> None:
        fake.install(owner, permissions={**WRITE, "organization_secrets": "write"})
        deliver(url, services(fake, hurried))
        assert fake.value(target, "AWS_ACCESS_KEY_ID")

    def test_of_a_user_is_found_too_whose_name_is_managed_by_an_enterprise(
        self, fake: GitHub, hurried: Hurried
    ) -> None:
        fake.add_repository("mona_acme/dotfiles")
        fake.install("mona_acme", permissions=WRITE, user=True)
        deliver("github:mona_acme/dotfiles", services(fake, hurried))

    def test_is_looked_up_once_for_all_repositories_of_an_account_and_apart_for_others(
        self, fake: GitHub, hurried: Hurried
    ) -> None:
        fake.add_repository("other/site")
        for owner in ("acme", "other"):
            fake.install(owner, permissions=WRITE)
        found = services(fake, hurried)
        for url in ("github:acme/site", "github:acme/api", "github:other/site"):
            deliver(url, found)
        assert fake.count("GET", "/installation") == fake.count("POST", "/access_tokens") == 2

    def test_is_not_looked_up_where_it_is_configured(self, fake: GitHub, hurried: Hurried) -> None:
        number = fake.install("acme", permissions=WRITE)
        deliver("github:acme/site", services(fake, hurried, id=fake.client_id, installation=number))
        assert fake.count("GET", "/installation") == 0

    def test_that_does_not_exist_is_an_error_that_says_how_to_install_the_app(
        self, fake: GitHub, hurried: Hurried
    ) -> None:
        error = refusal("github:acme/site", services(fake, hurried))
        assert isinstance(error, NotFound)
        assert "The GitHub App 1234 is not installed on acme" in error.message
        assert "with access to the repository" in error.remedy

    def test_that_may_not_access_the_repository_is_an_error(self, fake: GitHub, hurried: Hurried) -> None:
        fake.install("acme", permissions=WRITE, repositories={"acme/api"})
        error = refusal("github:acme/site", services(fake, hurried))
        assert isinstance(error, NotFound)
        assert "GitHub cannot see acme/site" in error.message
        assert "the permissions Secrets: write and Metadata: read" in error.remedy

    def test_that_is_suspended_is_an_error_that_says_so(self, fake: GitHub, hurried: Hurried) -> None:
        fake.install("acme", permissions=WRITE, suspended=True)
        error = refusal("github:acme/site", services(fake, hurried))
        assert isinstance(error, BadCredentials)
        assert "is suspended" in error.message

    def test_of_a_wrong_id_is_an_error_that_names_the_setting(self, fake: GitHub, hurried: Hurried) -> None:
        fake.install("acme", permissions=WRITE)
        error = refusal("github:acme/site", services(fake, hurried, installation=7))
        assert "its installation 7 was not found (404)" in error.message
        assert "Check `app.installation`" in error.remedy


class TestPermissions:
    @pytest.mark.parametrize(
        ("url", "lacking", "name"),
        [
            ("github:acme/site", "secrets", "Secrets"),
            ("github:acme/site?set=dependabot", "dependabot_secrets", "Dependabot secrets"),
            ("github:acme/api?environment=production", "environments", "Environments"),
            ("github:acme", "organization_secrets", "Secrets"),
        ],
    )
    def test_one_that_is_missing_is_named_before_anything_is_written(
        self, fake: GitHub, hurried: Hurried, url: str, lacking: str, name: str
    ) -> None:
        for level in (None, "read"):
            fake.installations.clear()
            granted = {**WRITE, "organization_secrets": "write", lacking: level}
            fake.install("acme", permissions={one: held for one, held in granted.items() if held})
            error = refusal(url, services(fake, hurried))
            assert isinstance(error, AccessDenied)
            assert f"The GitHub App 1234 lacks {name}: write." in error.remedy
            assert "let an owner of acme accept the new permissions" in error.remedy
        assert fake.count("PUT") == 0

    @pytest.mark.parametrize(
        ("accepted", "words"),
        [
            ("", "needs the permission codespaces_secrets: read."),
            ("secrets=write,metadata=read; actions=write", "secrets: write and metadata: read or actions: write."),
            ("anything (else)", "The token needs the scope repo"),
        ],
    )
    def test_one_that_only_github_knows_of_is_named_by_its_refusal(
        self, fake: GitHub, hurried: Hurried, accepted: str, words: str
    ) -> None:
        fake.accepted = accepted
        fake.install("acme", permissions=WRITE)
        error = refusal("github:acme/site?set=codespaces", services(fake, hurried))
        assert isinstance(error, AccessDenied)
        assert words in error.remedy


class TestSecrets:
    def test_neither_the_key_nor_a_token_shows_in_a_variable(self, fake: GitHub, hurried: Hurried) -> None:
        fake.install("acme", permissions=WRITE)
        found = services(fake, hurried)
        with watched(key()[0], key()[0].replace("\n", ""), "ghs_00000000000000000000000000000000"):
            deliver("github:acme/site", found)

    @pytest.mark.parametrize("effect", ["refuse", "lost_response", "html", "truncated", "throttle"])
    @pytest.mark.parametrize("path", ["/installation", "/access_tokens"])
    def test_no_failure_of_the_login_shows_them(
        self, fake: GitHub, hurried: Hurried, effect: Effect, path: str
    ) -> None:
        fake.install("acme", permissions=WRITE)
        fake.add(Fault("*", path, effect, times=None, status=500, after=1_000))
        error = refusal("github:acme/site", services(fake, hurried))
        assert_silent(error)
        assert not leaks("".join(traceback.format_exception(error)), (key()[0], *fake.granted))
        assert fake.count("PUT") == 0


class TestTheKey:
    def test_may_be_in_a_file_and_in_one_line_of_a_variable(
        self, fake: GitHub, hurried: Hurried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake.install("acme", permissions=WRITE)
        (tmp_path / "app.pem").write_text(key()[0], encoding="utf-8")
        monkeypatch.setenv("APP_KEY", key()[0].replace("\n", "\\n"))
        for source in ({"file": str(tmp_path / "app.pem")}, {"env": "APP_KEY"}):
            deliver("github:acme/site", services(fake, hurried, private_key=source))

    def test_of_another_app_is_refused_with_what_to_check(
        self, fake: GitHub, hurried: Hurried, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("APP_KEY", pem(rsa.generate_private_key(65537, 1024)))
        error = refusal("github:acme/site", services(fake, hurried))
        assert isinstance(error, BadCredentials)
        assert "does not accept the private key of the GitHub App 1234" in error.message

    @pytest.mark.parametrize("text", ["no key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"])
    def test_that_is_none_is_named_and_not_shown(
        self, fake: GitHub, hurried: Hurried, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setenv("APP_KEY", text)
        error = refusal("github:acme/site", services(fake, hurried))
        assert "expected an RSA key in PEM" in error.message
        assert "AAAA" not in str(error)

    def test_of_another_kind_is_refused(self, fake: GitHub, hurried: Hurried, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APP_KEY", pem(ec.generate_private_key(ec.SECP256R1())))
        assert "expected an RSA key" in refusal("github:acme/site", services(fake, hurried)).message

    def test_needs_packages_that_an_extra_installs(
        self, fake: GitHub, hurried: Hurried, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "jwt", None)
        error = refusal("github:acme/site", services(fake, hurried))
        assert isinstance(error, UsageError)
        assert "pip install '.[github-app]'" in error.remedy


def test_a_run_over_three_hundred_repositories_waits_for_githubs_limits_and_renews_its_tokens_in_time(
    fake: GitHub, hurried: Hurried
) -> None:
    """600 writes at 500 an hour take more than the hour that a token lives; no request is sent with one that ended."""
    fake.documented_limits()
    fake.install("acme", permissions=WRITE)
    refused: list[int] = []
    handle = fake.handle

    def watched(request: Any) -> Any:
        reply = handle(request)
        if reply.status >= 400:
            refused.append(reply.status)
        return reply

    fake.handle = watched  # type: ignore[method-assign]
    found = services(fake, hurried)
    for number in range(300):
        fake.add_repository(f"acme/service-{number}")
        deliver(f"github:acme/service-{number}", found)
    assert refused == []
    assert hurried.slept > 3600
    assert fake.count("POST", "/access_tokens") == 2


@pytest.mark.parametrize("both", [True, False])
def test_a_connection_has_either_a_token_or_an_app(fake: GitHub, hurried: Hurried, *, both: bool) -> None:
    given = {"token": {"env": "APP_KEY"}, "app": {"id": 1, "private_key": {"env": "APP_KEY"}}} if both else {}
    settings = msgspec.convert(given, Settings)
    found = Services(Clients("tests"), Connections({"github": Configured("github", settings, "here")}))
    assert "expected either `token` or `app`" in refusal("github:acme/site", found).message
