"""Tokens: from the environment, a file or another store; read when needed, and again when the service refuses them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.http_servers import READ, TOKEN, WRITE, Service, connection
from twokey.aws.clock import ServiceClock
from twokey.core.errors import AccessDenied, BadCredentials, Unreachable, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.connections import ConnectionContext
from twokey.destinations.registry import readable
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.aws.signed_identity import IdentityRequest, SignedRequest
    from twokey.http.client import Http
    from twokey.http.renewable_token import RenewableToken
    from twokey.testing.contract import Hurried

AT = "twokey.yaml line 7"


def nowhere(url: str) -> Hidden:
    raise AssertionError(url)


def nobody(wanted: IdentityRequest) -> SignedRequest:
    raise AssertionError(wanted)


def secret(source: Source, read: Callable[[str], Hidden] = nowhere) -> RenewableToken:
    return ConnectionContext("service", AT, ServiceClock(), readable, read, nobody).secret(source)


def reached(service: Service, token: RenewableToken, hurried: Hurried | None = None) -> Http:
    return connection(
        service.url,
        hurried,
        headers=lambda: {"Authorization": f"Bearer {token.value()}"},
        renew=token.renew,
        token=f"a valid token (in {token})",
    )


class TestTheEnvironment:
    def test_gives_the_token(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
        assert reached(service, secret(Source(env="SERVICE_TOKEN"))).request(READ).good

    @pytest.mark.parametrize("value", [None, ""])
    def test_that_has_none_is_found_out_before_anything_is_called(
        self, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        monkeypatch.delenv("SERVICE_TOKEN", raising=False)
        if value is not None:
            monkeypatch.setenv("SERVICE_TOKEN", value)
        with pytest.raises(UsageError) as raised:
            secret(Source(env="SERVICE_TOKEN"))
        assert raised.value.message == f"{AT}: `token`: the environment variable SERVICE_TOKEN is not set."
        assert raised.value.remedy


class TestAFile:
    def test_gives_the_token_without_its_line_end(self, service: Service, tmp_path: Path) -> None:
        (tmp_path / "token").write_text(f"{TOKEN}\r\n")
        assert reached(service, secret(Source(file=str(tmp_path / "token")))).request(READ).good

    @pytest.mark.parametrize("make", [lambda _path: None, lambda path: path.mkdir(), os.mkfifo])
    def test_that_is_none_is_found_out_before_anything_is_called(self, tmp_path: Path, make: Any) -> None:
        make(tmp_path / "token")
        with pytest.raises(UsageError, match="there is no file"):
            secret(Source(file=str(tmp_path / "token")))

    def test_that_went_away_since_is_named_and_nothing_is_sent(self, service: Service, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        http = reached(service, secret(Source(file=str(file))))
        file.unlink()
        with pytest.raises(BadCredentials) as raised:
            http.request(WRITE)
        assert str(file) in raised.value.message
        assert "No such file" in raised.value.message
        assert raised.value.state == "Nothing was sent."
        assert service.requests == []

    def test_is_read_again_when_the_service_refuses_the_token(self, service: Service, tmp_path: Path) -> None:
        """A short-lived token is written again beside a long run."""
        file = tmp_path / "token"
        file.write_text(TOKEN)
        http = reached(service, secret(Source(file=str(file))))
        assert http.request(WRITE).good
        service.token = "fresh"
        file.write_text("fresh\n")
        assert http.request(WRITE).good
        assert service.tokens == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", "Bearer fresh"]
        assert service.written == 2

    def test_that_says_the_same_again_is_not_tried_again(self, service: Service, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("stale")
        with pytest.raises(BadCredentials) as raised:
            reached(service, secret(Source(file=str(file)))).request(WRITE)
        assert service.tokens == ["Bearer stale"]
        assert f"a valid token (in the file {file})" in raised.value.remedy
        assert "stale" not in str(raised.value)

    def test_is_read_again_once(self, service: Service, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("stale")
        token = secret(Source(file=str(file)))
        http = reached(service, token)
        token.value()
        file.write_text("stale too")
        with pytest.raises(BadCredentials):
            http.request(WRITE)
        assert service.tokens == ["Bearer stale", "Bearer stale too"]

    def test_that_went_away_leaves_the_refusal_as_it_is(self, service: Service, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("stale")
        token = secret(Source(file=str(file)))
        token.value()
        file.unlink()
        with pytest.raises(BadCredentials, match="does not accept the token"):
            reached(service, token).request(READ)

    def test_is_read_again_for_all_that_were_sent_with_the_old_token(self, service: Service, tmp_path: Path) -> None:
        """Two requests are under way with the old token: the second refusal finds the new one there already."""
        file = tmp_path / "token"
        file.write_text("stale")
        token = secret(Source(file=str(file)))
        both, calls = threading.Barrier(2), iter(range(100))

        def headers() -> dict[str, str]:
            value = token.value()
            if next(calls) < 2:
                both.wait(10)
            return {"Authorization": f"Bearer {value}"}

        http = connection(service.url, headers=headers, renew=token.renew)
        token.value()
        file.write_text(TOKEN)
        failures: list[Exception] = []

        def work() -> None:
            try:
                http.request(WRITE)
            except BadCredentials as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert service.written == 2


class TestAnotherStore:
    def test_gives_the_token_when_it_is_needed_and_once(self, service: Service) -> None:
        asked: list[str] = []

        def read(url: str) -> Hidden:
            asked.append(url)
            return Hidden(TOKEN)

        token = secret(Source(url="secretsmanager:ops/service"), read)
        assert asked == []
        http = reached(service, token)
        http.request(READ)
        http.request(READ)
        assert asked == ["secretsmanager:ops/service"]

    def test_gives_one_member(self, service: Service) -> None:
        token = secret(Source(url="ssm:/ops", key="token"), lambda _: Hidden(f'{{"token": "{TOKEN}", "n": 1}}'))
        assert reached(service, token).request(READ).good

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f'{{"other": "{TOKEN}"}}', "it has no token"),
            (TOKEN, "not a JSON object"),
            ('{"token": 5}', "has no token"),
        ],
    )
    def test_without_that_member_is_named(self, service: Service, text: str, expected: str) -> None:
        token = secret(Source(url="ssm:/ops", key="token"), lambda _: Hidden(text))
        with pytest.raises(BadCredentials, match=expected) as raised:
            reached(service, token).request(READ)
        assert TOKEN not in str(raised.value)
        assert service.requests == []

    @pytest.mark.parametrize(
        "error", [AccessDenied("ssm:GetParameter", "/ops"), Unreachable("No connection."), BadCredentials("Expired.")]
    )
    def test_that_cannot_be_read_is_named_and_nothing_is_sent(self, service: Service, error: Exception) -> None:
        def read(_: str) -> Hidden:
            raise error

        with pytest.raises(BadCredentials) as raised:
            reached(service, secret(Source(url="ssm:/ops"), read)).request(WRITE)
        assert "ssm:/ops" in raised.value.message
        assert getattr(error, "message", "?") in raised.value.message
        assert service.requests == []


class TestATokenThatIsNone:
    @pytest.mark.parametrize(
        "text",
        [f"{TOKEN}\nX-Other: 1", f"{TOKEN}\r\nHost: evil.test", "a\tb", "a\0b", "tökén", "a\x7f", "\n", " "],
    )
    def test_is_named_without_being_shown_and_nothing_is_sent(
        self, service: Service, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "token"
        file.write_text(text, encoding="utf-8", newline="")
        with pytest.raises(BadCredentials) as raised:
            reached(service, secret(Source(file=str(file)))).request(WRITE)
        message = str(raised.value)
        assert "empty" in message or "that a token cannot have" in message
        assert not any(part in message for part in (TOKEN, "X-Other", "evil", "tökén"))
        assert service.requests == []

    def test_is_no_text(self, service: Service, tmp_path: Path) -> None:
        (tmp_path / "token").write_bytes(b"\xff\xfe" + TOKEN.encode())
        with pytest.raises(BadCredentials, match="not text"):
            reached(service, secret(Source(file=str(tmp_path / "token")))).request(WRITE)


@pytest.mark.parametrize("given", [{}, {"env": "A", "file": "b"}, {"env": "A", "url": "ssm:/b"}])
def test_a_source_is_exactly_one(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="exactly one"):
        secret(Source(**given))


def test_a_token_in_the_place_of_its_variables_name_is_not_repeated() -> None:
    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    with pytest.raises(UsageError, match=r"the environment variable that it names .* is not set") as raised:
        Source(env=token).check("here", readable)
    assert token not in str(raised.value)
