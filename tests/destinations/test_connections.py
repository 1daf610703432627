"""Every kind of connection can be made from the environment variables that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from twokey.destinations import registry
from twokey.destinations.connections import Settings, types_in
from twokey.destinations.logins.vault import AppRole
from twokey.destinations.logins.vault import Settings as Vault
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionKind

KINDS = registry.connection_kinds()


@pytest.mark.parametrize("name", KINDS)
def test_a_variable_with_a_secret_is_named_in_the_settings_and_one_without_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: ConnectionKind[Settings, object] = KINDS[name]
    for names in kind.environment.values():
        for variable in names:
            monkeypatch.setenv(variable, f"value-of-{variable}")
    found = kind.from_environment()
    for setting, variables in kind.environment.items():
        value = getattr(found, setting)
        secret = isinstance(value, Source)
        assert value == (Source(env=variables[0]) if secret else f"value-of-{variables[0]}")
        assert secret == ("token" in setting or "secret" in setting) or setting == "federated_token_file"


@pytest.mark.parametrize(
    "annotation", [Source, Source | None, Annotated[Source | None, msgspec.Meta()], Annotated[Source, 1] | None]
)
def test_a_setting_is_a_source_whatever_its_annotation(annotation: Any) -> None:
    assert Source in types_in(annotation)


def test_the_files_with_secrets_are_those_of_a_login_too() -> None:
    """twokey warns about them if other users may read them."""
    login = AppRole(role_id="r", secret_id=Source(file="/run/secret-id"))
    assert Vault(url="https://v.example", approle=login).secret_files == ("/run/secret-id",)
