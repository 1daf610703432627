"""Many stores are read with few requests, and each as if it had been read by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.rig import DAY
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.stores import secretsmanager_list
from twokey.destinations.stores.secretsmanager import SecretsManager
from twokey.emulator import Rule
from twokey.fleet.loading import load_many

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.core.destination import Store
    from twokey.core.model import Record
    from twokey.destinations.stores.secretsmanager_versions import Labels
    from twokey.emulator import KeyPair

SCHEMES = ("ssm:/machine-users/", "secretsmanager:machine-users/")
COUNT = 6


def services(rig: Rig) -> registry.Services:
    return registry.Services(rig.clients_of("audit"))


def store(rig: Rig, url: str) -> Store:
    return registry.open_store(url, services(rig))


def rotated(rig: Rig, start: str, count: int = COUNT) -> list[str]:
    """Stores with a credential and a journal, as rotations leave them; return their URLs."""
    urls = [f"{start}ci{number}" for number in range(count)]
    for number, url in enumerate(urls):
        [last, current] = rig.aws.make_user(f"ci{number}", path="/machine-users/", ages=(31 * DAY, 16 * DAY))
        fill(store(rig, url), last, current)
    rig.aws.clear_requests()
    return urls


def fill(store: Store, last: KeyPair, current: KeyPair) -> None:
    journal = Journal(current=current.access_key_id, last=last.access_key_id)
    store.save_journal(journal, store.load().revision)
    store.put(Credential(current.access_key_id, current.secret_access_key), store.load().revision)


def loaded(rig: Rig, urls: list[str]) -> dict[str, Record]:
    return load_many(urls, services(rig), 4)


def shown(record: Record) -> tuple[object, Journal]:
    return record.holding, record.journal


@pytest.mark.parametrize("start", SCHEMES)
def test_each_store_holds_what_it_holds_by_itself_and_cannot_be_written_with_that(rig: Rig, start: str) -> None:
    urls = rotated(rig, start)
    found = loaded(rig, urls)
    assert {url: shown(one) for url, one in found.items()} == {url: shown(store(rig, url).load()) for url in urls}
    with pytest.raises(TypeError):
        store(rig, urls[0]).save_journal(Journal(), found[urls[0]].revision)


def test_a_request_to_parameter_store_reads_five_of_them(rig: Rig) -> None:
    loaded(rig, rotated(rig, SCHEMES[0]))
    assert (rig.aws.count("ssm:*"), rig.aws.count("ssm:GetParameters")) == (2, 2)


def test_a_request_to_secrets_manager_reads_the_journal_of_one_and_no_secret(rig: Rig) -> None:
    loaded(rig, rotated(rig, SCHEMES[1]))
    assert rig.aws.count("secretsmanager:ListSecrets") == 1
    assert rig.aws.count("secretsmanager:GetSecretValue") == rig.aws.count("secretsmanager:*") - 1 == COUNT


def test_a_store_that_is_missing_or_is_not_twokeys_is_left_to_be_loaded_by_itself(rig: Rig) -> None:
    ssm, secrets = rig.aws.client("ssm"), rig.aws.client("secretsmanager")
    urls = [*rotated(rig, SCHEMES[0], 2), "ssm:/machine-users/none", "ssm:/machine-users/other"]
    ssm.put_parameter(Name="/machine-users/other.twokey-journal", Type="String", Value="{}")
    found = loaded(rig, urls)
    assert list(found) == urls[:3]
    assert found[urls[2]].holding == NotHeld()
    secrets.create_secret(Name="machine-users/other", SecretString="{}")
    assert loaded(rig, ["secretsmanager:machine-users/none", "secretsmanager:machine-users/other"]) == {}


@pytest.mark.parametrize("denied", ["ssm:GetParameters", "secretsmanager:ListSecrets", "secretsmanager:GetSecretValue"])
def test_what_may_not_be_read_together_is_left_to_be_loaded_one_by_one(rig: Rig, denied: str) -> None:
    urls = rotated(rig, SCHEMES[denied.startswith("secretsmanager")], 2)
    rig.aws.weather.add(Rule(denied, times=None, effect="error_before", status=400, code="AccessDeniedException"))
    assert loaded(rig, urls) == {}


class TestASecretInTheList:
    @pytest.fixture
    def urls(self, rig: Rig) -> list[str]:
        return rotated(rig, SCHEMES[1], 2)

    def listed(self, rig: Rig, urls: list[str]) -> dict[str, Labels]:
        return secretsmanager_list.listed(rig.clients_of("audit"), None, [url.partition(":")[2] for url in urls])

    def load(self, rig: Rig, url: str, listed: dict[str, Labels]) -> Record | None:
        opened = store(rig, url)
        assert isinstance(opened, SecretsManager)
        return opened.load_listed(listed[url.partition(":")[2]])

    def test_is_loaded_by_an_earlier_list_unless_a_run_has_written_the_journal_since(
        self, rig: Rig, urls: list[str]
    ) -> None:
        listed = self.listed(rig, urls)
        assert self.load(rig, urls[0], listed) is not None
        opened = store(rig, urls[0])
        before = opened.load()
        opened.save_journal(before.journal, before.revision)
        assert self.load(rig, urls[0], listed) is None

    def test_is_not_loaded_by_the_list_while_a_run_is_at_work(self, rig: Rig, urls: list[str]) -> None:
        rig.store_url = SCHEMES[1] + "{user}"
        assert rig.killed_at("create", "done", "ci0", force=True, ignore_last_use=True)
        assert self.load(rig, urls[0], self.listed(rig, urls)) is None

    def test_has_its_value_read_where_another_program_wrote_it(self, rig: Rig, urls: list[str]) -> None:
        [key] = rig.aws.make_user("other", path="/", keys=1)
        value = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}
        rig.aws.client("secretsmanager").put_secret_value(
            SecretId=urls[0].partition(":")[2], SecretString=json.dumps(value)
        )
        assert loaded(rig, urls)[urls[0]].holding == Held(key.access_key_id)

    def test_may_be_named_by_its_arn(self, rig: Rig, urls: list[str]) -> None:
        arns = [f"secretsmanager:{one['ARN']}" for one in rig.aws.client("secretsmanager").list_secrets()["SecretList"]]
        rig.aws.clear_requests()
        assert [one.holding for one in loaded(rig, arns).values()] == [store(rig, url).held() for url in urls]
        assert rig.aws.count("secretsmanager:ListSecrets") == 1


def test_a_list_full_of_other_secrets_is_not_read_to_its_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secretsmanager_list, "PAGE", 1)
    secrets = rig.aws.client("secretsmanager")
    for name in ("machine-users/a", "machine-users/b", "other/c", "other/d", "other/e", "other/f"):
        secrets.create_secret(Name=name, SecretString="{}")
    rig.aws.clear_requests()
    clients = rig.clients_of("audit")
    assert list(secretsmanager_list.listed(clients, None, ["machine-users/a", "machine-users/z"])) == [
        "machine-users/a"
    ]
    assert rig.aws.count("secretsmanager:ListSecrets") == 1
    # Names that begin alike are the only ones that are listed.
    wanted = [f"machine-users/{letter}" for letter in "abcdefghijk"]
    assert list(secretsmanager_list.listed(clients, None, wanted)) == wanted[:2]
    assert rig.aws.count("secretsmanager:ListSecrets") == 3
    assert secretsmanager_list.listed(clients, None, wanted[:1]) == {}
    assert rig.aws.count("secretsmanager:ListSecrets") == 3


@pytest.mark.parametrize("found", [None, 1, ["file:a"]])
def test_what_is_no_mapping_of_records_is_left_to_be_loaded_one_by_one(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    urls = rotated(rig, "ssm:/machine-users/", 1)
    several = replace(registry.kind_of("ssm"), load_many=lambda *_: [lambda: found])
    monkeypatch.setattr(registry, "kind_of", lambda _scheme: several)
    assert loaded(rig, urls) == {}
