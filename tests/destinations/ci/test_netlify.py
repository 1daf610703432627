"""Netlify's environment variables: the contract for a site, and what is special to Netlify."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    fresh_credential,
    opened,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.netlify import Netlify
from twokey.testing.server import Fault

SITE = "00000000-0000-0000-0000-00000000517e"
ID, SECRET = "MY_AWS_ACCESS_KEY_ID", "MY_AWS_SECRET_ACCESS_KEY"


class Variables(TokenBackend):
    """Variables on the fake, as a new deployment in a context sees them."""

    fake: Netlify
    writes = ("P*", "/env")
    names = (ID, SECRET)
    bad_names = (
        "netlify:acme/site",
        f"netlify:acme/{SITE}/more",
        f"netlify:Acme/{SITE}",
        "netlify:..",
        "netlify:acme?context=staging",
        "netlify:acme?id=AWS_ACCESS_KEY_ID",
        "netlify:acme?id=_ID",
        "netlify:acme?secret=WITH-DASH",
    )

    def __init__(self, fake: Netlify, url: str = f"netlify:acme/{SITE}", context: str = "production") -> None:
        super().__init__(fake, url)
        self.target = url.removeprefix("netlify:").partition("?")[0]
        self.context = context

    def value(self, name: str) -> str | None:
        return self.fake.value(self.target, name, self.context)

    def remove(self) -> None:
        self.fake.delete(self.target)

    def take_permission_away(self) -> None:
        self.fake.may_write = False


fake = running(Netlify)


def test_two_names_of_a_team_are_found_as_soon_as_its_variables_exist(fake: Netlify) -> None:
    fake.targets["5f0c1"] = fake.targets["acme"]
    services = services_of(Variables(fake), Hurried())
    one, two = (registry.open_destination(url, services) for url in ("netlify:acme", "netlify:5f0c1"))
    assert one.deliver(fresh_credential()).written
    error = outcome(lambda: two.deliver(fresh_credential()))
    assert isinstance(error, ServiceRejected)
    assert "netlify:5f0c1 and netlify:acme are two names of the same thing" in error.message


class TestASite(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Netlify) -> Backend:
        return Variables(fake)


class TestContexts:
    @pytest.mark.parametrize("context", ["deploy-preview", "dev", "all"])
    def test_of_the_option_get_the_pair_as_secrets_where_netlify_has_them(self, fake: Netlify, context: str) -> None:
        backend = Variables(fake, f"netlify:acme?context={context}", context)
        credential = fresh_credential()
        destination = opened(backend)
        destination.preflight()
        destination.deliver(credential)
        assert backend.read() == pair(credential)
        secret = context == "deploy-preview"
        assert [one["is_secret"] for one in fake.targets["acme"]] == [secret, secret]
        holding = destination.held()
        assert isinstance(holding, CannotTell) if secret else holding == Held(credential.access_key_id)

    def test_that_are_others_keep_their_value(self, fake: Netlify) -> None:
        for name in (ID, SECRET):
            fake.add_variable(f"acme/{SITE}", name, {"deploy-preview": "other"}, secret=True)
        backend = Variables(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert fake.value(f"acme/{SITE}", ID, "deploy-preview") == "other"

    @pytest.mark.parametrize(("there", "context"), [("all", "production"), ("deploy-preview", "all")])
    def test_that_would_lose_their_value_are_refused_before_anything_is_created(
        self, fake: Netlify, there: str, context: str
    ) -> None:
        fake.add_variable("acme", ID, {there: "other"})
        destination = opened(Variables(fake, f"netlify:acme?context={context}", context))
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert f"context={context}" in error.message
        assert fake.count("P*") == 0


class TestASessionToken:
    def test_beside_the_pair_is_removed_from_this_context_alone(self, fake: Netlify) -> None:
        token = "MY_AWS_SESSION_TOKEN"
        fake.add_variable(f"acme/{SITE}", token, {"production": "x", "deploy-preview": "y"}, secret=True)
        destination = opened(Variables(fake))
        destination.deliver(fresh_credential())
        assert fake.value(f"acme/{SITE}", token, "production") is None
        assert fake.value(f"acme/{SITE}", token, "deploy-preview") == "y"
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert token not in holding.why


class TestACreation:
    def test_whose_response_is_lost_is_sent_once_and_then_written(self, fake: Netlify) -> None:
        fake.add(Fault("POST", "/env", "lost_response"))
        backend = Variables(fake)
        credential = fresh_credential()
        opened(backend).deliver(credential)
        assert backend.read() == pair(credential)
        assert (fake.count("POST"), fake.count("PATCH")) == (2, 1)
