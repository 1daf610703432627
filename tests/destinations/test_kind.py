"""Kinds of destination as typed values: one that is described wrongly is refused with its field and the reason."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from twokey.destinations import api, registry
from twokey.destinations.kind import ConnectionKind, InvalidKind, Kind, Permission, phrase

if TYPE_CHECKING:
    from twokey.core.destination import Destination
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext, Settings
    from twokey.destinations.kind import DestinationContext

KINDS = {scheme: registry.kind_of(scheme) for scheme in registry.SCHEMES}
PAGES = pages.DOCS / "reference" / "destinations"


def check(address: Address) -> None:
    raise AssertionError(address)


def opened(address: Address, context: DestinationContext) -> Destination:
    raise AssertionError(address, context)


def connect(settings: Settings, context: ConnectionContext) -> str:
    raise AssertionError(settings, context)


def kind(**changes: Any) -> Kind:
    return Kind(**{"scheme": "locker", "check": check, "open": opened, **changes})


def connection(**changes: Any) -> ConnectionKind[Any, Any]:
    return ConnectionKind(**{"name": "locker", "settings": api.Settings, "connect": connect, **changes})


def permission(**changes: Any) -> Permission:
    return Permission(**{"service": "Locker", "name": "writer", "resource": "locker", **changes})


class TestTheIndex:
    def test_is_what_the_kinds_say(self) -> None:
        assert [one.scheme for one in KINDS.values()] == list(registry.SCHEMES)
        assert tuple(scheme for scheme, one in KINDS.items() if one.store) == registry.STORES

    @pytest.mark.parametrize("path", sorted({*registry.SCHEMES.values()}))
    def test_names_each_kind_of_each_module(self, path: str) -> None:
        module = vars(sys.modules[path])
        kinds = module.get("KINDS") or (module["KIND"],)
        assert [one.scheme for one in kinds if registry.SCHEMES.get(one.scheme) != path] == []
        assert ("KIND" in module) != ("KINDS" in module)

    def test_one_name_of_a_connection_means_one_kind_of_it(self) -> None:
        named: dict[str, set[int]] = {}
        for one in KINDS.values():
            if one.connection is not None:
                named.setdefault(one.connection.name, set()).add(id(one.connection))
        assert [name for name, kinds in named.items() if len(kinds) > 1] == []

    @pytest.mark.parametrize("arguments", [["--help"], ["rotate", "--help"]])
    def test_is_all_that_help_needs(self, arguments: list[str]) -> None:
        program = (
            f"import sys; sys.argv[1:] = {arguments}\n"
            "from twokey.cli.main import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print('LOADED', [name for name in sys.modules if name.startswith('twokey.destinations')])"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        assert shown.splitlines()[-1] == "LOADED []"


class TestAKind:
    def test_with_the_required_fields_is_one(self) -> None:
        assert (kind().store, kind().connection, kind().permissions) == (False, None, ())

    @pytest.mark.parametrize("name", ["scheme", "check", "open"])
    def test_without_a_required_field_is_refused(self, name: str) -> None:
        given: dict[str, Any] = {"scheme": "locker", "check": check, "open": opened}
        del given[name]
        with pytest.raises(InvalidKind, match=f"^Kind: the field `{name}` is missing$"):
            Kind(**given)

    def test_with_an_unknown_field_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(InvalidKind, match="`case_insensitiv` is unknown; did you mean case_insensitive"):
            kind(case_insensitiv=True)

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("scheme", "", "is empty"),
            ("scheme", "Locker", "expected lowercase letters"),
            ("scheme", "lock:er", "expected lowercase letters"),
            ("check", "check", "has the type str; expected callable"),
            ("open", None, "has the type NoneType; expected callable"),
            ("check_store", 1, "expected callable"),
            ("read_secret", "x", "expected callable"),
            ("store", "yes", "expected bool"),
            ("case_insensitive", 1, "expected bool"),
            ("connection", "locker", "expected connectionkind"),
            ("non_identifying_options", "actions", "has the type str; expected tuple"),
            ("non_identifying_options", (1,), "holds 1; expected str"),
            ("default_options", ("a", "b"), "expected mapping"),
            ("default_options", {"a": 1}, "holds 1; expected str"),
            ("permissions", ("writer",), "expected Permission"),
        ],
    )
    def test_with_a_value_of_another_type_is_refused(self, field: str, value: object, why: str) -> None:
        with pytest.raises(InvalidKind, match=f"^Kind: the field `{field}` .*{why}"):
            kind(**{field: value})


class TestAConnectionKind:
    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("name", "My Locker", "expected lowercase"),
            ("settings", "Settings", "expected type"),
            ("settings", dict, "is dict; expected a subclass of Settings"),
            ("connect", None, "expected callable"),
            ("environment", {"url": "LOCKER_URL"}, "holds 'LOCKER_URL'; expected tuple"),
            ("environment", {"urll": ("LOCKER_URL",)}, "names the setting 'urll', .* did you mean url"),
            ("enviroment", {}, "is unknown; did you mean environment"),
        ],
    )
    def test_that_is_described_wrongly_is_refused(self, field: str, value: object, why: str) -> None:
        with pytest.raises(InvalidKind, match=f"^ConnectionKind: the field `{field}` .*{why}"):
            connection(**{field: value})


class TestTheFacade:
    @pytest.mark.parametrize("described", [Kind, ConnectionKind, Permission])
    def test_has_every_type_that_a_field_needs(self, described: type) -> None:
        types = " ".join(str(one.type) for one in fields(described))
        needed = {*re.findall(r"\b[A-Z]\w+", types)} - {"Any", "Callable", "Mapping", "None", "SettingsT", "ClientT"}
        assert needed - {*api.__all__} == set()

    @pytest.mark.parametrize("name", ["Clock", "Claims", "AwsScope", "Resources", "LoadMany", "Use"])
    def test_has_what_functions_of_a_kind_get_or_return(self, name: str) -> None:
        assert name in api.__all__

    def test_has_fields_of_a_kind_that_the_page_for_authors_explains(self) -> None:
        text = (pages.DOCS / "how-to" / "write-a-destination.md").read_text(encoding="utf-8")
        first = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
        assert {one.name for one in fields(Kind)} - {*re.findall(r"`(\w+)`", first)} == set()

    def test_has_all_that_it_names(self) -> None:
        assert [name for name in api.__all__ if not hasattr(api, name)] == []


class TestAPermission:
    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("name", "", "is empty"),
            ("uses", "read", "has the type str; expected tuple"),
            ("uses", (), "is empty"),
            ("uses", ("delete",), "holds 'delete'; expected some of load, load_many, read, write, create, journal"),
            ("optional", "no", "expected bool"),
            ("right", "x", "is unknown"),
        ],
    )
    def test_that_is_described_wrongly_is_refused(self, field: str, value: object, why: str) -> None:
        with pytest.raises(InvalidKind, match=f"^Permission: the field `{field}` .*{why}"):
            permission(**{field: value})

    def test_is_a_part_of_a_sentence(self) -> None:
        assert phrase((permission(),)) == "the permission writer on the locker"
        assert phrase((permission(), permission(name="reader"))) == "the permissions writer and reader on the locker"
        both = (permission(type="capability", name="read"), permission(type="capability", name="update"))
        assert phrase(both, on="ci/aws") == "the capabilities read and update on ci/aws"
        mixed = (permission(type="scope", name="api"), permission(type="role", name="Owner"))
        access = (permission(type="access", name="read"), permission(type="access", name="write"))
        assert phrase(access) == "read and write access to the locker"
        assert phrase(mixed) == "the scope api and the role Owner on the locker"
        apart = (permission(), permission(resource="hall"))
        assert phrase(apart) == "the permission writer on the locker and the permission writer on the hall"

    def test_of_another_grant_is_an_alternative_and_an_optional_one_is_left_out(self) -> None:
        several = (
            permission(grant="classic token", type="scope"),
            permission(grant="new token"),
            permission(grant="new token", name="metadata", optional=True),
        )
        expected = "the scope writer on the locker (classic token), or the permission writer on the locker (new token)"
        assert phrase(several) == expected


def section(page: str) -> str:
    """Return the section "Permissions" of a destination's page."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.search(r"^## Permissions\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, page
    return found[1]


def page_of(one: Kind) -> str:
    own = f"{one.scheme}.md"
    return own if (PAGES / own).exists() or one.connection is None else f"{one.connection.name}.md"


SERVICES = [scheme for scheme, one in KINDS.items() if one.permissions]


@pytest.mark.parametrize("scheme", SERVICES)
def test_each_permission_is_on_the_page_of_the_destination(scheme: str) -> None:
    text = section(page_of(KINDS[scheme]))
    assert [one.name for one in KINDS[scheme].permissions if one.name not in text] == []


def test_each_kind_that_a_service_has_to_let_in_names_its_permissions() -> None:
    assert set(KINDS) - set(SERVICES) == {"file", "credentials-file", "dotenv", "json", "exec", "webhook"}


@pytest.mark.parametrize("scheme", SERVICES)
def test_permissions_to_read_and_to_write_are_told_apart_or_are_the_same(scheme: str) -> None:
    uses = {use for one in KINDS[scheme].permissions for use in one.uses}
    assert {"read", "write", "create"} <= uses
    assert ("journal" in uses) == KINDS[scheme].store


@pytest.mark.parametrize("scheme", ["secretsmanager", "ssm"])
def test_permissions_of_aws_are_actions_of_iam_on_a_type_of_resource(scheme: str) -> None:
    for one in KINDS[scheme].permissions:
        assert re.fullmatch(r"(secretsmanager|ssm|kms):[A-Z][A-Za-z]+", one.name)
        assert (one.type, one.grant) == ("action", "")
        assert one.resource in {"secret", "parameter", "key", "any"}


def test_the_facade_has_what_it_lists() -> None:
    assert api.__all__ == sorted(api.__all__)
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert {one.name for one in fields(Kind)} >= {"scheme", "check", "open"}


@pytest.mark.parametrize(
    "url",
    [
        "secretsmanager:ci",
        "ssm:/ci",
        "vault:secret/ci",
        "kubernetes:apps/ci",
        "gcp-secretmanager:acme/ci",
        "azure-keyvault:acme/ci",
        "doppler:acme/ci",
        "onepassword:acme/ci",
        "file:ci.json",
    ],
)
def test_a_store_in_a_format_that_cannot_be_read_back_is_refused_before_it_is_opened(url: str) -> None:
    assert url.partition(":")[0] in registry.STORES
    registry.check_store(registry.parse(url))
    with pytest.raises(
        api.UsageError, match="the format ses-smtp cannot be read back, so this destination cannot be a store"
    ):
        registry.check_store(registry.parse(f"{url}?format=ses-smtp&region=eu-west-1"))
