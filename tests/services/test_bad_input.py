"""Mistakes in ``connections:`` and destinations: exit 2, one sentence that says which, and nothing is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from services.company import GITHUB, STORE

if TYPE_CHECKING:
    from services.company import Company

TOKEN = "ghp_R4nd0mR4nd0mR4nd0mR4nd0mR4nd0mR4nd0"
COMMANDS = ("rotate", "deliver", "plan", "status")


def deliver(*destinations: Any, store: str = STORE, **connections: Any) -> dict[str, Any]:
    return {"deliver": list(destinations), "store": store, "connections": connections}


MISTAKES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a token's variable that is not set": (
        deliver(GITHUB[0], github={"token": {"env": "NOWHERE_SET"}}),
        ("line ", "`github`", "`token`", "NOWHERE_SET is not set"),
    ),
    "a token's file that is not there": (
        deliver(GITHUB[0], github={"token": {"file": "nowhere.token"}}),
        ("`github`", "no file nowhere.token"),
    ),
    "a token from nowhere": (
        deliver(GITHUB[0], github={"token": {}}),
        ("exactly one of `env`, `file`, `from` and `oidc`",),
    ),
    "a token from two sources": (
        deliver(GITHUB[0], github={"token": {"env": "ACME_GITHUB", "file": "gitlab.token"}}),
        ("exactly one of `env`, `file`, `from` and `oidc`",),
    ),
    "a token from a source that keeps none": (
        deliver(GITHUB[0], github={"token": {"from": "gitlab:acme/site"}}),
        ("`github`", "'gitlab:acme/site': twokey cannot read a connection's secret from this kind"),
    ),
    "a token from a source of each user's": (
        deliver(GITHUB[0], github={"token": {"from": "ssm:/tokens/{user}"}}),
        ("'ssm:/tokens/{user}': expected a URL without fields such as {user}",),
    ),
    "a token that is written out": (
        deliver(GITHUB[0], github={"token": TOKEN}),
        ("line ", "`token` contains the secret itself", "{env: NAME}"),
    ),
    "a connection that is not there": (
        deliver(f"{GITHUB[0]}?connection=githib"),
        ("no connection 'githib'; did you mean github?",),
    ),
    "a connection to another service": (
        deliver(f"{GITHUB[0]}?connection=gitlab"),
        ("connection gitlab is of the kind gitlab; expected github",),
    ),
    "a kind of connection that is none": (
        deliver(GITHUB[0], enterprise={"kind": "gitub", "token": {"env": "ACME_GITHUB"}}),
        ("no service 'gitub' to connect to; did you mean github?",),
    ),
    "a setting that a connection has not": (
        deliver(GITHUB[0], github={"tokken": {"env": "ACME_GITHUB"}}),
        ("unknown key `tokken`", "token"),
    ),
    "an address that is none": (
        deliver(GITHUB[0], github={"url": "github.example.com", "token": {"env": "ACME_GITHUB"}}),
        ("line ", "`github`", "expected the URL of a service, not 'github.example.com'"),
    ),
    "an address without TLS": (
        deliver(GITHUB[0], github={"url": "http://github.example.com", "token": {"env": "ACME_GITHUB"}}),
        ("line ", "`github`", "'http://github.example.com' is not encrypted", "https"),
    ),
    "an unknown service": (deliver("githup:acme/site"), ("githup", "github")),
    "an unknown option": (deliver(f"{GITHUB[0]}?environmnet=production"), ("environmnet", "environment")),
    "an option without a value": (deliver(f"{GITHUB[0]}?environment="), ("environment",)),
    "a value that an option has not": (deliver(f"{GITHUB[0]}?set=action"), ("set", "actions")),
    "a name that the service takes for its own": (deliver(f"{GITHUB[0]}?id=GITHUB_ID"), ("GITHUB_ID",)),
    "a destination without to": (deliver({"environment": "production"}), ("`to`",)),
    "a store that cannot be read back": (deliver(store="github:acme/site-{user}"), ("cannot be a store", "vault")),
    "a store whose format cannot be read back": (
        deliver(store="secretsmanager:smtp/{user}?format=ses-smtp&region=eu-west-1"),
        ("ses-smtp",),
    ),
    "an unknown format": (deliver(f"{GITHUB[0]}?format=yaml"), ("yaml", "json")),
    "a webhook without TLS": (deliver("webhook:http://hooks.example.com/x"), ("http://hooks.example.com",)),
    "a program that is not named by its whole path": (deliver("exec:deliver.sh"), ("absolute path",)),
}


@pytest.fixture
def ready(company: Company) -> Company:
    company.rig.aws.make_user("ci", keys=0)
    return company


def configured(company: Company, mistake: str) -> tuple[str, ...]:
    config, hints = MISTAKES[mistake]
    company.write({"users": ["ci"], "store": config["store"], "deliver": config["deliver"]}, **config["connections"])
    return hints


class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_are_exit_2_say_what_is_wrong_and_nothing_is_changed(self, ready: Company, mistake: str) -> None:
        hints = configured(ready, mistake)
        for command in COMMANDS:
            ran = ready.run(command)
            assert (ran.code, ran.out) == (2, ""), ran.err
            assert re.match(r"Error: .+", ran.err)
            for hint in hints:
                assert hint in ran.err, ran.err
            assert "Traceback" not in ran.err
            assert TOKEN not in ran.err
        assert [request for service in ready.services for request in service.requests] == []
        assert ready.rig.aws.requests == []

    def test_in_what_another_user_delivers_to_stop_no_other_user(self, ready: Company) -> None:
        ready.write(
            {"users": ["ci"], "store": STORE},
            {"users": ["cd"], "store": STORE, "deliver": [GITHUB[0]]},
            github={"token": {"env": "NOWHERE_SET"}},
        )
        assert ready.run("rotate", "ci", "--json").outcomes == {"ci": "rotated"}

    def test_on_the_command_line_are_found_too(self, ready: Company) -> None:
        assert not (ready.folder / "twokey.yaml").exists()
        for name in ("GITHUB_TOKEN", "GH_TOKEN"):
            ready.patch.delenv(name, raising=False)
        ran = ready.run("rotate", "ci", "--store", STORE, "--to", GITHUB[0])
        assert (ran.code, ran.out) == (2, "")
        assert "GH_TOKEN or GITHUB_TOKEN" in ran.err
        assert "connections: github: {token: " in ran.err

    def test_in_what_deliver_adds_are_found_before_anything_is_called(self, ready: Company) -> None:
        ready.write({"users": ["ci"], "store": STORE}, github={"token": {"env": "NOWHERE_SET"}})
        ran = ready.run("deliver", "--to", GITHUB[0])
        assert (ran.code, ran.out) == (2, "")
        assert "NOWHERE_SET is not set" in ran.err
        assert ready.rig.aws.requests == []
