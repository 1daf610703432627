"""A run whose own credentials end before a new key is stored is refused while LAST is still there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from support.rig import QUICK
from twokey.aws.clock import ServiceClock
from twokey.core import lifetime
from twokey.core.errors import BadCredentials
from twokey.core.reasons import Outcome, Reason
from twokey.core.secret import Hidden
from twokey.destinations.connections import Connections
from twokey.destinations.registry import Services, open_store
from twokey.http.renewable_token import Grant, RenewableToken
from twokey.testing.fakes.vault import Vault

if TYPE_CHECKING:
    from support.rig import Rig

NEEDED = timedelta(minutes=2) + QUICK.timeout


def session(rig: Rig, monkeypatch: pytest.MonkeyPatch, left: timedelta) -> None:
    """Run twokey with credentials whose end is known, as in a CI job that assumed a role."""
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (rig.aws.now() + left).isoformat())


@pytest.mark.parametrize(("left", "outcome"), [(-5, Outcome.REFUSED), (30, Outcome.ROTATED)])
def test_a_session_must_outlast_what_cannot_be_interrupted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, left: float, outcome: Outcome
) -> None:
    last, _ = rig.settled()
    session(rig, monkeypatch, NEEDED + timedelta(seconds=left))
    result = rig.rotate()
    assert result.outcome is outcome, result.message
    assert (last.access_key_id in rig.ids()) == (outcome is Outcome.REFUSED)


def test_the_refusal_has_the_arithmetic_and_what_to_do(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.settled()
    session(rig, monkeypatch, timedelta(seconds=100))
    result = rig.rotate()
    assert result.reason is Reason.PREFLIGHT
    assert "The AWS session that twokey runs with ends in 1m" in result.message
    assert "may take 2m 30s" in result.message
    assert "1m to be created, 30s to be verified and 1m to be stored" in result.message
    assert "a session that lasts longer" in result.message
    assert not [request for request in rig.aws.requests if request.operation in {"DeleteAccessKey", "CreateAccessKey"}]


def test_where_no_key_goes_a_short_session_is_enough(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves unfinished, the next run finishes."""
    rig.aws.make_user("ci", keys=1)
    session(rig, monkeypatch, timedelta(seconds=100))
    assert rig.rotate().outcome is Outcome.ROTATED


def test_a_session_whose_end_is_not_known_is_used(rig: Rig) -> None:
    rig.settled()
    assert rig.rotate().outcome is Outcome.ROTATED


class TestATokenOfADestination:
    def test_is_renewed_if_it_would_end_too_soon(self) -> None:
        tokens = iter("abc")
        token = RenewableToken(lambda: Grant(Hidden(next(tokens)), 100), "a login", standing())
        assert token.value() == "a"
        with lifetime.needing(180):
            assert token.value() == "b"

    def test_is_refused_if_its_source_has_no_other_one(self) -> None:
        token = RenewableToken(lambda: Grant(Hidden("cached"), 100), "the machine's identity", standing())
        assert token.value() == "cached"
        with (
            lifetime.needing(180),
            pytest.raises(BadCredentials, match="The token from the machine's identity ends in 1m"),
        ):
            token.value()

    def test_is_used_if_its_end_is_not_known(self) -> None:
        token = RenewableToken(lambda: Grant(Hidden("a")), "a file", standing())
        with lifetime.needing(180):
            assert token.value() == "a"


def standing() -> ServiceClock:
    """A clock that stands still."""
    return ServiceClock(monotonic=lambda: 1000.0)


@pytest.mark.parametrize(
    ("ttl", "renewable", "good"), [(3600, False, True), (60, True, True), (60, False, False), (0, False, True)]
)
def test_a_token_of_vault_is_renewed_or_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ttl: int, renewable: bool, good: bool
) -> None:
    """A ttl of 0 is that of a token that never ends."""
    with Vault() as fake:
        monkeypatch.setenv("VAULT_ADDR", fake.url)
        monkeypatch.setenv("VAULT_TOKEN", "root-token")
        fake.ttl, fake.renewable = ttl, renewable
        store = open_store("vault:secret/ci", Services(rig.clients(), Connections()))
        with lifetime.needing(180):
            if good:
                store.preflight()
            else:
                with pytest.raises(BadCredentials, match=r"Vault's token ends in 1m, .* may take 3m"):
                    store.preflight()
        assert fake.ttl == (3600 if renewable else ttl)
