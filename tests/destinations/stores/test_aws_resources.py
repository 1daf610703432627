"""Both stores on AWS: the ARNs that a policy names for a URL, and what reading does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.core import waiting
from twokey.core.journal import Journal
from twokey.destinations.address import Address
from twokey.destinations.kind import AwsScope
from twokey.destinations.registry import Services, kind_of, open_store, parse
from twokey.testing.stores import fresh_credential, fresh_name

if TYPE_CHECKING:
    from twokey.emulator import Emulator

HERE = AwsScope("aws", "eu-central-1", "123456789012")
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci"
ELSEWHERE = "arn:aws-cn:secretsmanager:cn-north-1:210987654321:secret:ci"
PARAMETER = "arn:aws:ssm:eu-central-1:123456789012:parameter/ci"
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
