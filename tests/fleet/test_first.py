"""The keys that are made Inactive before anything else is looked at, and what is left for later."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fleet.leaked import NOW, Iam, key
from fleet.test_lookup import DENIED
from twokey.aws.clients import Clients
from twokey.core.errors import BadCredentials
from twokey.fleet.first import First, connect, contain_first
from twokey.revocation.contain import Contained

pytestmark = pytest.mark.usefixtures("folder")


def first(iam: Iam) -> First:
    return First(Clients("run"), cast("Any", iam))


def test_each_key_is_made_inactive_once_and_its_user_is_remembered() -> None:
    iam = Iam({"a": 2, "b": 2})
    done, keys = first(iam), [key("b", 1), key("a", 2)]
    contain_first([*keys, keys[0]], done)
    assert (iam.asked, iam.deactivated) == (keys, keys)
    assert done.owners == {keys[0]: "b", keys[1]: "a"}
    assert done.contained == {one: Contained(one, NOW, f"request for {one}") for one in keys}


def test_the_runs_own_key_and_one_that_no_user_has_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key("a", 1))
    iam = Iam({"a": 2})
    done = first(iam)
    contain_first([key("a", 1), key("none", 1), key("a", 2)], done)
    assert iam.asked == [key("none", 1), key("a", 2)]
    assert (list(done.owners), list(done.contained)) == ([key("a", 2)], [key("a", 2)])


def test_what_fails_is_left_for_later_and_stops_no_other_key() -> None:
    iam = Iam({"a": 2, "b": 2})
    iam.errors[key("a", 1)] = DENIED
    done = first(iam)
    contain_first([key("a", 1), key("b", 1)], done)
    assert list(done.contained) == [key("b", 1)]
    iam.errors[key("a", 1)] = BadCredentials("Expired.")
    with pytest.raises(BadCredentials):
        contain_first([key("a", 1)], done)


def test_a_connection_is_one_runs_for_all_that_it_calls() -> None:
    one, other = connect(), connect()
    assert one.iam._clients is one.clients
    assert one.clients.run != other.clients.run
    assert len(one.clients.run) == 32
