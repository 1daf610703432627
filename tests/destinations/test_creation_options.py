"""Tags, KMS keys and replicas of objects that twokey creates: they get them, and what exists stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from twokey.aws.clients import Clients
from twokey.config.load import load
from twokey.core.errors import AccessDenied, UsageError
from twokey.core.journal import Journal
from twokey.destinations import identity, registry
from twokey.destinations.connections import Configured, Connections
from twokey.destinations.creation_options import denied
from twokey.destinations.registry import Services, open_destination, open_store, parse
from twokey.testing.contract import fresh_credential
from twokey.testing.fakes.azure_keyvault import KeyVault
from twokey.testing.fakes.gcp_secretmanager import Google
from twokey.testing.stores import fresh_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.emulator import Emulator

TAGS = "tag.team=platform&tag.cost:center=4711 ops"
GIVEN = {"team": "platform", "cost:center": "4711 ops"}
GOOGLE_KEY = "projects/site/locations/europe-west3/keyRings/twokey/cryptoKeys/keys"


@pytest.mark.parametrize("first", ["save_journal", "deliver"])
def test_a_secret_that_is_created_gets_tags_key_and_replicas(
    services: Services, administrator: Callable[[str], Any], first: str
) -> None:
    name = fresh_name()
    store = open_store(f"secretsmanager:{name}?{TAGS}&kms=alias/keys&replica=us-east-1,eu-west-1", services)
    if first == "deliver":
        store.deliver(fresh_credential())
    else:
        store.save_journal(Journal(epoch=1), store.load().revision)
    made = administrator("secretsmanager").describe_secret(SecretId=name)
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == GIVEN
    assert made["KmsKeyId"] == "alias/keys"
    replicas = {replica["Region"]: replica["KmsKeyId"] for replica in made["ReplicationStatus"]}
    assert replicas == dict.fromkeys(("eu-west-1", "us-east-1"), "alias/keys")


def test_both_parameters_of_a_store_get_tags_and_the_pair_its_key(
    services: Services, aws: Emulator, administrator: Callable[[str], Any]
) -> None:
    name = f"/{fresh_name()}"
    store = open_store(f"ssm:{name}?{TAGS}&kms=alias/keys", services)
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    store.put(fresh_credential(), revision)
    for one in (name, f"{name}.twokey-journal"):
        tags = administrator("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=one)["TagList"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == GIVEN
    keys = {
        one["Name"]: one.get("KeyId") for one in administrator("ssm").describe_parameters(MaxResults=50)["Parameters"]
    }
    assert keys[name] == "alias/keys"
    assert not keys[f"{name}.twokey-journal"], "AWS encrypts a SecureString only"
    assert not [request for request in aws.requests if request.name == "ssm:AddTagsToResource"]


@pytest.mark.parametrize("scheme", ["secretsmanager", "ssm"])
def test_what_exists_keeps_its_tags_and_its_key(
    services: Services, administrator: Callable[[str], Any], scheme: str
) -> None:
    name = f"/{fresh_name()}"
    open_store(f"{scheme}:{name}?tag.team=security", services).deliver(fresh_credential())
    store = open_store(f"{scheme}:{name}?{TAGS}&kms=alias/keys", services)
    store.deliver(fresh_credential())
    if scheme == "ssm":
        shown = administrator("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    else:
        shown = administrator("secretsmanager").describe_secret(SecretId=name)["Tags"]
    assert shown == [{"Key": "team", "Value": "security"}]


@pytest.mark.parametrize(
    "url",
    [
        "secretsmanager:ci?tag.team=platform&format=env&kms=alias/keys&replica=eu-west-1",
        "ssm:/ci?kms=alias/keys&format=env&tag.team=a%20b",
    ],
)
def test_they_make_no_other_destination(services: Services, url: str) -> None:
    plain = f"{url.partition('?')[0]}?format=env"
    with_them, without = open_store(url, services), open_store(plain, services)
    assert with_them.name == without.name == plain
    assert identity.write_targets(with_them, services) == identity.write_targets(without, services)


def test_a_secret_of_google_gets_labels_key_and_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GOOGLE_TOKEN", "ya29.token")
    with Google() as fake:
        url = "gcp-secretmanager:site-prd/ci"
        services = services_of_fake(url, {"url": fake.url, "token": {"env": "TEST_GOOGLE_TOKEN"}})
        options = f"label.team=platform&kms={GOOGLE_KEY}&replica=europe-west3"
        destination = open_destination(f"{url}?{options}", services)
        destination.deliver(fresh_credential())
        assert destination.name == url
        made = fake.secrets["site-prd/ci"]
    assert made["labels"] == {"team": "platform"}
    key = {"customerManagedEncryption": {"kmsKeyName": GOOGLE_KEY}}
    assert made["replication"] == {"userManaged": {"replicas": [{"location": "europe-west3", **key}]}}


def test_a_secret_of_a_key_vault_gets_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_AZURE_TOKEN", "ey.vault")
    with KeyVault() as fake:
        url = "azure-keyvault:site-prd/ci"
        services = services_of_fake(url, {"url": fake.url, "token": {"env": "TEST_AZURE_TOKEN"}})
        for options in ("tag.team=platform", "tag.team=another"):
            credential = fresh_credential()
            store = open_store(f"{url}?{options}", services)
            store.put(credential, store.save_journal(Journal(epoch=1), store.load().revision))
            assert store.name == url
            assert fake.secrets["ci"][-1]["tags"]["team"] == "platform"
            assert credential.access_key_id in str(fake.secrets["ci"][-1]["tags"]["twokey"])
            assert fake.secrets["ci-twokey-journal"][-1]["tags"]["team"] == "platform"


def services_of_fake(url: str, settings: dict[str, Any]) -> Services:
    connection = registry.kind_of(url.partition(":")[0]).connection
    assert connection is not None
    configured = Configured(connection.name, msgspec.convert(settings, connection.settings), "here")
    return Services(Clients("creation"), Connections({connection.name: configured}))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("secretsmanager:ci?tag.aws:x=y", "tag.aws:x: expected a name of 1 to 128"),
        ("secretsmanager:ci?tag.=y", "tag.: expected a name of 1 to 128"),
        ("secretsmanager:ci?tag.a=b;c", "as a tag's value"),
        ("secretsmanager:ci?kms=keys", "kms=keys: expected alias/NAME"),
        ("secretsmanager:ci?replica=Frankfurt", "replica=Frankfurt: expected an AWS region"),
        ("secretsmanager:ci?replica=eu-west-1&kms=arn:aws:kms:eu-central-1:123456789012:key/abc", "in each"),
        ("ssm:/ci?replica=eu-west-1", "there is no option 'replica'"),
        ("ssm:/ci?tag.a=b&tag.a=c", "occurs twice"),
        ("gcp-secretmanager:site-prd/ci?label.Team=x", "label.Team=x: expected a name and a value of at most 63"),
        ("gcp-secretmanager:site-prd/ci?kms=alias/keys", "kms=alias/keys: expected projects/"),
        (f"gcp-secretmanager:site-prd/ci?kms={GOOGLE_KEY}&replica=europe-west3,europe-west4", "names several"),
        ("azure-keyvault:site-prd/ci?tag.twokey=x", "tag.twokey: expected .* another name than twokey"),
        ("github:acme/site?tag.team=platform", "there is no option"),
    ],
)
def test_what_the_service_would_not_take_is_refused_before_anything_is_called(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(url)


def test_a_mapping_has_the_long_names_too(tmp_path: Path) -> None:
    file = tmp_path / "twokey.yaml"
    file.write_text(
        "version: 1\nmachine_users:\n  - users: [ci]\n    store:\n      to: secretsmanager:keys/{user}\n"
        '      tags: {team: platform, "a=b": c+d, user: "{user}"}\n      kms_key: alias/keys\n'
        "      replica: [eu-west-1, us-east-1]\n",
        encoding="utf-8",
    )
    (selection,) = load(file).selections
    options = parse(registry.fill(selection.store, user="ci", path="/", account="123456789012")).options
    assert dict(options) == {
        "tag.team": "platform",
        "tag.a=b": "c+d",
        "tag.user": "ci",
        "kms": "alias/keys",
        "replica": "eu-west-1,us-east-1",
    }


def test_other_denials_keep_their_remedy() -> None:
    error = AccessDenied("kms:Decrypt", "the KMS key of ci")
    assert denied(error, "tag.NAME=VALUE", "aws") is error
