"""Both stores on AWS: the ARNs that a policy names for a URL, and what reading does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core import waiting
from twokey.core.errors import AccessDenied, ServiceRejected
from twokey.core.journal import Journal
from twokey.destinations.address import Address
from twokey.destinations.kind import AwsScope, Resolved
from twokey.destinations.registry import Services, kind_of, open_store, parse
from twokey.destinations.stores.secretsmanager_versions import JOURNAL
from twokey.emulator import Rule
from twokey.testing.stores import fresh_credential, fresh_name

if TYPE_CHECKING:
    from twokey.emulator import Emulator

HERE = AwsScope("aws", "eu-central-1", "123456789012")
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci"
ELSEWHERE = "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:ci"
PARAMETERS = "arn:aws:ssm:eu-central-1:123456789012:parameter/"
PARAMETER = f"{PARAMETERS}ci"
KEY = "arn:aws:kms:eu-central-1:123456789012:alias/ci"


@pytest.mark.parametrize(
    ("url", "store", "resources"),
    [
        ("secretsmanager:ci", True, {"secret": (SECRET, f"{SECRET}-??????"), "any": ("*",)}),
        (
            "secretsmanager:ci?kms=alias/ci",
            True,
            {"secret": (SECRET, f"{SECRET}-??????"), "any": ("*",), "key": (KEY,)},
        ),
        (f"secretsmanager:{ELSEWHERE}-AbCdEf", False, {"secret": (ELSEWHERE, f"{ELSEWHERE}-??????"), "any": ("*",)}),
        ("ssm:/ci", True, {"parameter": (PARAMETER, f"{PARAMETER}.twokey-journal")}),
        ("ssm:ci", False, {"parameter": (PARAMETER,)}),
        ("ssm:/X", False, {"parameter": (f"{PARAMETERS}X",)}),
        ("ssm:/ci?kms=alias/ci", False, {"parameter": (PARAMETER,), "key": (KEY,)}),
    ],
)
def test_a_url_means_its_own_arn_and_those_beside_it(url: str, store: bool, resources: dict[str, object]) -> None:
    address = parse(url)
    found = kind_of(address.scheme).resources
    assert found is not None
    assert found(address, HERE, store) == resources


@pytest.mark.parametrize(
    ("scheme", "rest", "resources"),
    [
        ("secretsmanager", "ci/*", {"secret": (f"{SECRET}/*",), "any": ("*",)}),
        ("ssm", "/ci/*", {"parameter": (f"{PARAMETER}/*",)}),
    ],
)
def test_names_that_differ_from_user_to_user_are_one_pattern(
    scheme: str, rest: str, resources: dict[str, object]
) -> None:
    found = kind_of(scheme).resources
    assert found is not None
    assert found(Address(f"{scheme}:{rest}", scheme, rest), HERE, True) == resources


@pytest.mark.parametrize(
    ("url", "account", "where"),
    [
        ("secretsmanager:ci", "123456789012", "eu-central-1 123456789012"),
        ("secretsmanager:ci?tag.team=infra", "", "eu-central-1"),
        (f"secretsmanager:{ELSEWHERE}-AbCdEf", "123456789012", "cn-north-1 210987654321"),
        ("ssm:/ci", "123456789012", "eu-central-1 123456789012"),
        ("ssm:/ci", "", "eu-central-1"),
    ],
)
def test_a_url_means_what_has_its_name_in_one_region_of_one_account(
    url: str, account: str, where: str, services: Services
) -> None:
    address = parse(url)
    found = kind_of(address.scheme).resolve
    assert found is not None
    assert found(address, services, account) == Resolved(address.rest, where)


@pytest.mark.parametrize("scheme", ["secretsmanager:", "ssm:/"])
def test_reading_and_the_preflight_ask_for_no_leave_to_change_anything(
    scheme: str, services: Services, aws: Emulator
) -> None:
    """What is asked before each effect would forbid it to a run whose lease has ended; reading is never forbidden."""
    names = [fresh_name() for _ in range(2)]
    for name in names:
        store = open_store(f"{scheme}{name}", services)
        store.save_journal(Journal(), store.put(fresh_credential(), store.load().revision))
    load_many = kind_of(parse(store.name).scheme).load_many
    assert load_many is not None
    with waiting.also_before_effect(lambda: pytest.fail("reading has no effect")):
        store = open_store(store.name, services)
        assert store.load().holding == store.held()
        assert store.credential() is not None
        assert services.read_secret(store.name)
        store.preflight()
        store.room_for(Journal())
        loaded = [one() for one in load_many([parse(f"{scheme}{name}") for name in names], services)]
    assert sorted(url for some in loaded for url in some) == sorted(f"{scheme}{name}" for name in names)


def test_secrets_that_are_named_by_their_arns_are_listed_in_their_own_region(services: Services, aws: Emulator) -> None:
    client, names = aws.client("secretsmanager", region="us-west-2"), [fresh_name() for _ in range(2)]
    urls = [f"secretsmanager:{client.create_secret(Name=name)['ARN']}" for name in names]
    for url in urls:
        store = open_store(url, services)
        store.save_journal(Journal(), store.load().revision)
    load_many = kind_of("secretsmanager").load_many
    assert load_many is not None
    # One that the list does not have is left out: whether it exists is unknown.
    addresses = [parse(url) for url in [*urls, f"secretsmanager:{ELSEWHERE.replace('cn-north-1', 'us-west-2')}-AbCdEf"]]
    aws.clear_requests()
    assert sorted(url for one in load_many(addresses, services) for url in one()) == sorted(urls)
    assert aws.count("secretsmanager:GetSecretValue") == 2, "a journal that is current is not read twice"
    load, store = next(iter(load_many(addresses, services))), open_store(urls[0], services)
    store.save_journal(Journal(epoch=1), store.load().revision)
    assert load() == {}, "the journal is not the one of the list"
    client.put_secret_value(SecretId=names[0], SecretString="no journal", VersionStages=[JOURNAL])
    load = next(iter(load_many(addresses, services)))
    with pytest.raises(ServiceRejected, match=urls[0]):
        load()


def test_parameters_that_may_not_be_read_together_are_named_by_the_first(services: Services, aws: Emulator) -> None:
    aws.weather.add(Rule("ssm:GetParameters", effect="error_before", status=400, code="AccessDeniedException"))
    load_many = kind_of("ssm").load_many
    assert load_many is not None
    [load] = load_many([parse("ssm:/a"), parse("ssm:/b")], services)
    with pytest.raises(AccessDenied, match=r"ssm:GetParameters on /a\.($| )"):
        load()
