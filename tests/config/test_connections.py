"""``connections:`` and places with options in twokey.yaml: what they make, and what is said where they are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from twokey.config.load import load as load_file
from twokey.core.errors import UsageError
from twokey.destinations.logins.github import Settings as GitHub
from twokey.destinations.logins.vault import Settings as Vault
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from twokey.config.settings import Settings

ENTRY = "machine_users:\n  - path: /ci/\n    store: ssm:/ci/{user}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> Settings:
    Path("twokey.yaml").write_text(f"version: 1\n{text}")
    return load_file(Path("twokey.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as refused:
        load(text)
    return str(refused.value)


def test_a_connection_is_named_like_its_service_or_says_which() -> None:
    found = load(
        "connections:\n  github: {token: {env: GH}}\n"
        "  eu: {kind: github, url: https://eu.example/api/v3, token: {file: t}}\n"
        "  vault: {url: https://vault.example, approle: {role_id: r, secret_id: {env: S}}}\n" + ENTRY
    ).connections
    assert found["github"].settings == GitHub(token=Source(env="GH"))
    assert found["eu"].kind == "github"
    assert isinstance(found["vault"].settings, Vault)


@pytest.mark.parametrize(
    ("connections", "line", "sentence"),
    [
        (
            "github: {token: ghp_abcdefghijklmnopqrstuvwxyz0123456789}",
            3,
            "`token` contains the secret itself: twokey.yaml never holds",
        ),
        (
            "vault:\n    url: https://v.example\n    approle:\n      role_id: r\n      secret_id: s3cr3t-s3cr3t",
            7,
            "`secret_id` contains the secret itself",
        ),
        ("gitub: {token: {env: X}}", 3, "there is no service 'gitub' to connect to; did you mean github? Give"),
        ("github: {tokn: {env: X}}", 3, "unknown key `tokn`; did you mean token?"),
        ("gitlab: {}", 3, "`gitlab` has no `token`, which is required."),
        ("gcp: {token: ya29.abcdefghijklmnop}", 3, "`token` contains the secret itself"),
        ("github: {app: {id: 1, private_key: abc}}", 3, "`private_key` contains the secret itself"),
        ("github: {app: {id: 1, private_kee: {env: X}}}", 3, "unknown key `private_kee`; did you mean private_key?"),
        ("github: {app: {id: 1}}", 3, "`github.app` has no `private_key`, which is required."),
        ("github: {token: {envv: X}}", 3, "unknown key `envv`; did you mean env?"),
        ("github: {token: {value: ghp_x}}", 3, "unknown key `value`; expected one of env, file, from, key, oidc."),
        ("vault: {approle: {rolle_id: r}}", 3, "unknown key `rolle_id`; did you mean role_id?"),
        ("github: {token: {env: X}, url: [a]}", 3, "`github.url`: expected text, got a list."),
        ("github: x", 3, "`github`: expected a mapping of the connection's settings, got text."),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_with_its_line(connections: str, line: int, sentence: str) -> None:
    said = refusal(f"connections:\n  {connections}\n{ENTRY}")
    assert said.startswith(f"twokey.yaml line {line}: ")
    assert sentence in said


@pytest.mark.parametrize("secret", ["ghp_abcdefghijklmnopqrstuvwxyz0123456789", "12345678901234567890"])
def test_a_secret_that_is_written_out_is_not_repeated_and_the_error_says_what_to_write(secret: str) -> None:
    said = refusal(f"connections:\n  github:\n    token: {secret}\n{ENTRY}")
    assert secret not in said
    assert "{env: NAME}" in said
    assert "Replace this secret" in said


def test_a_place_can_have_its_options_apart() -> None:
    found = load(
        ENTRY + "    deliver:\n      - github:acme/site\n"
        "      - {to: github:acme/api, environment: production, id: '{USER}_ID', secret: '{USER}_SECRET'}\n"
        "      - {to: github:acme/web, format: json, name: AWS, extra: {region: eu-central-1}}\n"
    )
    assert found.selections[0].deliver == (
        "github:acme/site",
        "github:acme/api?environment=production&id={USER}_ID&secret={USER}_SECRET",
        "github:acme/web?extra.region=eu-central-1&format=json&name=AWS",
    )


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("{format: json}", "this is a mapping without `to`."),
        ("{to: github:acme/site, enviroment: x}", "did you mean environment?"),
        ("{to: github:acme/site, id: GITHUB_ID}", "GITHUB_"),
        ("{to: github:acme/site, id: '{usr}'}", "there is no field {usr}; did you mean {user}?"),
    ],
)
def test_what_is_wrong_with_a_places_options_is_said_with_its_line(place: str, sentence: str) -> None:
    said = refusal(f"{ENTRY}    deliver:\n      - {place}\n")
    assert said.startswith("twokey.yaml line 6: ")
    assert sentence in said
