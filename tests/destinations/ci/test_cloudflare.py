"""Cloudflare's secrets: the contract for a Worker, and what is special to Workers and Pages."""

from __future__ import annotations

import pytest

from support.token_backends import TokenBackend, running
from twokey.core.errors import AccessDenied, BadCredentials, NotFound, ServiceRejected
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    NamedValuesContract,
    fresh_credential,
    opened,
    outcome,
    pair,
)
from twokey.testing.fakes.cloudflare import ACCOUNT, Cloudflare
from twokey.testing.server import Fault

NAMES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


class Worker(TokenBackend):
    """Secrets of a Worker on the fake."""

    fake: Cloudflare
    writes = ("PATCH", "/secrets-bulk")
    bad_names = (
        "cloudflare-worker:site",
        f"cloudflare-worker:{ACCOUNT}/..",
        f"cloudflare-worker:{ACCOUNT}/site/more",
        f"cloudflare-worker:{ACCOUNT.upper()}/site",
        f"cloudflare-worker:{ACCOUNT}/site?environment=preview",
        f"cloudflare-worker:{ACCOUNT}/site?id=1ST",
        f"cloudflare-pages:{ACCOUNT}/site?environment=staging",
        f"cloudflare-pages:{ACCOUNT}/site?secret=WITH-DASH",
    )

    def __init__(self, fake: Cloudflare, url: str = f"cloudflare-worker:{ACCOUNT}/site") -> None:
        super().__init__(fake, url)

    def value(self, name: str) -> str | None:
        return self.fake.workers.get("site", {}).get(name)

    def remove(self) -> None:
        del self.fake.workers["site"]

    def take_permission_away(self) -> None:
        self.fake.may_write = False


class Pages(Worker):
    """Secrets of a Pages project on the fake."""

    writes = ("PATCH", "/pages/projects/")

    def __init__(self, fake: Cloudflare, environment: str = "production", options: str = "") -> None:
        super().__init__(fake, f"cloudflare-pages:{ACCOUNT}/site{options}")
        self.environment = environment

    def value(self, name: str) -> str | None:
        found = self.fake.projects["site"][self.environment]["env_vars"].get(name)
        return found["value"] if found else None


fake = running(Cloudflare)


class TestAWorker(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: Cloudflare) -> Backend:
        return Worker(fake)

    def test_gets_both_values_by_one_request_and_keeps_its_others(self, fake: Cloudflare) -> None:
        destination = opened(Worker(fake))
        assert destination.traits.atomic
        destination.deliver(fresh_credential())
        assert fake.count("PATCH") == 1
        assert fake.workers["site"]["OTHER"] == "x"

    def test_whose_latest_version_is_not_deployed_is_named(self, fake: Cloudflare) -> None:
        fake.deployed = False
        error = outcome(lambda: opened(Worker(fake)).deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "latest version" in error.message
        assert "Deploy" in error.remedy

    def test_takes_no_value_longer_than_cloudflare_allows(self, fake: Cloudflare) -> None:
        backend = Worker(
            fake, f"cloudflare-worker:{ACCOUNT}/site?format=template&template=$SecretAccessKey-{'x' * 5120}"
        )
        assert isinstance(outcome(lambda: opened(backend).deliver(fresh_credential())), ServiceRejected)
        assert fake.count("PATCH") == 0


class TestAPagesProject:
    @pytest.mark.parametrize("environment", ["production", "preview"])
    def test_gets_both_values_in_one_environment_by_one_request(self, fake: Cloudflare, environment: str) -> None:
        options = "" if environment == "production" else f"?environment={environment}"
        backend = Pages(fake, environment, options)
        for _ in range(2):
            credential = fresh_credential()
            opened(backend).deliver(credential)
            assert backend.read() == pair(credential)
        assert fake.count("PATCH") == 2
        for name, config in fake.projects["site"].items():
            assert ({*config["env_vars"]} & NAMES == NAMES) == (name == environment)

    def test_keeps_what_is_not_twokeys(self, fake: Cloudflare) -> None:
        opened(Pages(fake)).deliver(fresh_credential())
        production = fake.projects["site"]["production"]
        assert production["wrangler_config_hash"] == "1cbac7"
        assert production["env_vars"]["MODE"] == {"type": "plain_text", "value": "fast"}

    def test_loses_a_session_token_beside_the_pair(self, fake: Cloudflare) -> None:
        token = {"type": "plain_text", "value": "x"}
        fake.projects["site"]["production"]["env_vars"]["AWS_SESSION_TOKEN"] = token
        opened(Pages(fake)).deliver(fresh_credential())
        assert "AWS_SESSION_TOKEN" not in fake.projects["site"]["production"]["env_vars"]

    def test_that_is_missing_is_not_found(self, fake: Cloudflare) -> None:
        fake.projects.clear()
        assert isinstance(outcome(opened(Pages(fake)).preflight), NotFound)


class TestARefusal:
    @pytest.mark.parametrize(
        ("status", "code", "message", "expected"),
        [
            (400, 6003, "Invalid request headers", BadCredentials),
            (403, 9109, "Invalid access token", BadCredentials),
            (403, 9109, "Unauthorized to access requested resource", AccessDenied),
            (403, 10000, "Authentication error", AccessDenied),
        ],
    )
    def test_of_the_token_is_told_apart_from_a_missing_permission(
        self, fake: Cloudflare, status: int, code: int, message: str, expected: type[Exception]
    ) -> None:
        body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
        fake.add(Fault("*", "", "refuse", times=None, status=status, body=body))
        error = outcome(opened(Worker(fake)).preflight)
        assert isinstance(error, expected)
