"""A token that can be renewed: kept while it is valid, got again before it ends and on request."""

from __future__ import annotations

import pytest

from twokey.aws.clock import ServiceClock
from twokey.core.errors import Ambiguous, BadCredentials, Unreachable
from twokey.core.secret import Hidden
from twokey.http.renewable_token import EARLY, Grant, RenewableToken


class Login:
    """Grants another token each time."""

    def __init__(self, seconds: float | None = None) -> None:
        self.count = 0
        self.error: Exception | None = None
        self._seconds = seconds

    def __call__(self) -> Grant:
        if self.error is not None:
            raise self.error
        self.count += 1
        return Grant(Hidden(f"token-{self.count}"), self._seconds)


def clock(time: list[float]) -> ServiceClock:
    return ServiceClock(monotonic=lambda: time[0])


def test_is_read_when_it_is_needed_and_kept() -> None:
    login = Login()
    token = RenewableToken(login, "the file x")
    assert (login.count, str(token)) == (0, "the file x")
    assert [token.value(), token.value()] == ["token-1", "token-1"]


def test_is_renewed_before_it_ends() -> None:
    time = [1000.0]
    token = RenewableToken(Login(seconds=300), "a login", clock(time))
    assert token.value() == "token-1"
    time[0] += 300 - EARLY
    assert token.value() == "token-1"
    time[0] += 1
    assert token.value() == "token-2"


def test_says_whether_a_renewal_gave_another_one() -> None:
    token = RenewableToken(Login(), "a login")
    token.value()
    assert token.renew()
    same = RenewableToken(lambda: Grant(Hidden("same")), "a file")
    same.value()
    assert not same.renew()


def test_is_read_again_for_each_login_that_sends_it_but_the_first() -> None:
    token = RenewableToken(Login(), "a file")
    assert [token.latest(), token.latest(), token.value()] == ["token-1", "token-2", "token-2"]


@pytest.mark.parametrize("keep", [True, False])
def test_that_cannot_be_renewed_is_kept_where_the_services_refusal_says_more(keep: bool) -> None:
    login = Login()
    token = RenewableToken(login, "a source", keep_unreadable=keep)
    token.value()
    login.error = BadCredentials("The file is empty.")
    if keep:
        assert not token.renew()
    else:
        with pytest.raises(BadCredentials):
            token.renew()
    assert token.value() == "token-1"


def test_a_login_without_a_response_leaves_nothing_in_doubt() -> None:
    login = Login()
    login.error = Ambiguous("The login timed out.")
    with pytest.raises(Unreachable, match="timed out"):
        RenewableToken(login, "a login").value()
