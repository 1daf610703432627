"""Secrets Manager as store and destination, on the emulator."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from support.store_faults import AwsContract, denied, documented_policy, user_with, whole_cycle
from twokey.aws.clients import signing_as
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.registry import Services, open_destination, open_store
from twokey.destinations.stores.secretsmanager import Revision, version_of
from twokey.destinations.stores.secretsmanager_versions import JOURNAL, JOURNAL_PENDING
from twokey.emulator import Emulator, KeyPair, Rule
from twokey.testing.stores import (
    AT,
    FULL,
    ConditionalContract,
    OneTextContract,
    fresh_credential,
    fresh_name,
    outcome,
    pair,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store


class Secret:
    """A secret, as jobs and administrators see it."""

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self.url = f"secretsmanager:{name}"
        self.client = client

    def text(self) -> str | None:
        try:
            text: str | None = self.client.get_secret_value(SecretId=self.name).get("SecretString")
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return text

    def plant_text(self, text: str) -> None:
        try:
            self.client.put_secret_value(SecretId=self.name, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=self.name, SecretString=text)

    def plant_journal(self, text: str) -> None:
        self.client.put_secret_value(SecretId=self.name, SecretString=text, VersionStages=[JOURNAL])

    def stages(self) -> dict[str, list[str]]:
        stages: dict[str, list[str]] = self.client.describe_secret(SecretId=self.name)["VersionIdsToStages"]
        return stages

    def picture(self) -> Any:
        try:
            versions = self.client.list_secret_version_ids(SecretId=self.name, IncludeDeprecated=True)["Versions"]
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return [
            (version["VersionId"], sorted(version["VersionStages"]), self._value(version["VersionId"]))
            for version in versions
        ]

    def _value(self, version: str) -> Any:
        response = self.client.get_secret_value(SecretId=self.name, VersionId=version)
        return response.get("SecretString"), response.get("SecretBinary")


class TestSecretsManager(OneTextContract, ConditionalContract, AwsContract):
    writes: ClassVar = (
        "secretsmanager:CreateSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    )
    put_calls: ClassVar = ("secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage")
    final_write = "secretsmanager:UpdateSecretVersionStage"
    read_back = "secretsmanager:DescribeSecret"

    @pytest.fixture
    def backend(self, administrator: Callable[[str], Any]) -> Secret:
        return Secret(administrator("secretsmanager"), f"machine-users/{fresh_name()}")

    # A missing secret is created with CreateSecret, one that is there never is.
    def test_answers_that_are_all_lost_while_creating_are_resolved(
        self, aws: Emulator, first: Store, second: Store
    ) -> None:
        aws.weather.add(Rule("secretsmanager:CreateSecret", times=None, effect="lost_response"))
        revision = first.save_journal(FULL, first.load().revision)
        assert second.load().revision == revision

    def test_a_secret_that_could_not_be_created_is_not_there(
        self, aws: Emulator, first: Store, backend: Secret
    ) -> None:
        aws.weather.add(Rule("secretsmanager:CreateSecret", times=None, effect="error_before"))
        assert isinstance(outcome(lambda: first.deliver(fresh_credential())), Ambiguous)
        assert backend.picture() is None


@pytest.fixture
def backend(administrator: Callable[[str], Any]) -> Secret:
    return Secret(administrator("secretsmanager"), f"machine-users/{fresh_name()}")


@pytest.fixture
def store(backend: Secret, services: Services) -> Store:
    return open_store(backend.url, services)


def test_the_version_id_tells_the_key_and_never_changes() -> None:
    assert version_of("AKIAIOSFODNN7EXAMPLE") == "d0e711e1-74e7-5e07-b0a2-a17f5d603aae"


def calls(aws: Emulator) -> list[str]:
    return [request.operation for request in aws.requests]


def test_each_operation_takes_as_few_calls_as_it_can(
    aws: Emulator, services: Services, store: Store, backend: Secret
) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    credential = fresh_credential()
    revision = store.put(credential, revision)
    revision = store.save_journal(Journal(current=credential.access_key_id), revision)
    aws.clear_requests()
    other = open_store(backend.url, services)
    other.load()
    assert calls(aws) == ["DescribeSecret", "GetSecretValue"]
    aws.clear_requests()
    store.load()
    assert calls(aws) == ["DescribeSecret"], "it wrote the journal itself"
    store.preflight()
    assert calls(aws) == ["DescribeSecret"], "its labels were read a moment ago"
    aws.clear_requests()
    revision = store.save_journal(Journal(current=credential.access_key_id), revision)
    assert calls(aws) == ["PutSecretValue", "UpdateSecretVersionStage"]
    aws.clear_requests()
    credential = fresh_credential()
    revision = store.put(credential, revision)
    assert calls(aws) == ["PutSecretValue", "UpdateSecretVersionStage", "DescribeSecret"]
    aws.clear_requests()
    store.put(fresh_credential(), revision)
    assert calls(aws) == ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "DescribeSecret"]
    revision = store.load().revision
    aws.clear_requests()
    store.fence(revision)
    assert calls(aws) == ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    store.deliver(fresh_credential())
    store.deliver(credential)
    aws.clear_requests()
    store.deliver(credential)
    assert calls(aws) == ["DescribeSecret"]


def test_what_another_run_wrote_since_is_read(services: Services, store: Store, backend: Secret) -> None:
    """Whatever this run remembers of what it wrote and read."""
    credential, theirs = fresh_credential(), fresh_credential()
    revision = store.put(credential, store.save_journal(Journal(), store.load().revision))
    store.save_journal(Journal(epoch=1, current=credential.access_key_id), revision)
    store.load()
    other = open_store(backend.url, services)
    revision = other.save_journal(Journal(epoch=2, current=theirs.access_key_id), other.load().revision)
    assert store.load().journal.epoch == 2
    other.put(theirs, revision)
    assert store.load().holding == Held(theirs.access_key_id)


def test_members_beside_the_pair_are_never_lost(store: Store, backend: Secret) -> None:
    """A value is read before it is replaced unless it is known to be nothing but a credential."""
    credential = fresh_credential()
    revision = store.put(credential, store.save_journal(Journal(), store.load().revision))
    store.save_journal(Journal(current=credential.access_key_id), revision)
    assert store.load().holding == Held(credential.access_key_id)
    backend.plant_text(json.dumps({**pair(credential), "DB_PASSWORD": "x"}))
    newer = fresh_credential()
    store.put(newer, store.load().revision)
    assert json.loads(backend.text() or "") == {**pair(newer), "DB_PASSWORD": "x"}


def test_a_preflight_after_a_write_reads_the_labels_again(
    aws: Emulator, store: Store, backend: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.secretsmanager.models import secretsmanager_backends

    store.save_journal(FULL, store.load().revision)
    secret = secretsmanager_backends[aws.account_id][aws.region].secrets[backend.name]
    monkeypatch.setattr(secret, "rotation_requested", True)
    monkeypatch.setattr(secret, "rotation_enabled", True)
    with pytest.raises(ServiceRejected, match="rotates"):
        store.preflight()


def test_a_new_secret_takes_two_calls(aws: Emulator, store: Store) -> None:
    aws.clear_requests()
    store.save_journal(FULL, Revision(exists=False))
    assert calls(aws) == ["CreateSecret", "UpdateSecretVersionStage"]


def test_the_key_is_known_without_reading_the_secret(aws: Emulator, store: Store, backend: Secret) -> None:
    credential = fresh_credential()
    revision = store.put(credential, store.save_journal(Journal(), store.load().revision))
    store.save_journal(Journal(current=credential.access_key_id), revision)
    current = version_of(credential.access_key_id)
    aws.clear_requests()
    assert store.load().holding == Held(credential.access_key_id)
    read = backend.client.get_secret_value(SecretId=backend.name)["VersionId"]
    assert read == current
    assert aws.count("secretsmanager:GetSecretValue") == 1, "the reader's above"


def test_a_key_that_only_the_intent_or_a_delivery_names_is_known_too(store: Store) -> None:
    credential = fresh_credential()
    revision = store.put(credential, store.save_journal(Journal(), store.load().revision))
    for journal in (Journal(last=credential.access_key_id), FULL):
        revision = store.save_journal(journal, revision)
        assert store.load().holding == Held(credential.access_key_id)


def test_a_version_that_waits_is_never_what_readers_see(aws: Emulator, store: Store, backend: Secret) -> None:
    """A run that ends between its two calls leaves readers with what they had."""
    older = fresh_credential()
    revision = store.put(older, store.save_journal(Journal(epoch=1), store.load().revision))
    aws.weather.add(Rule("secretsmanager:UpdateSecretVersionStage", times=None, effect="error_before"))
    newer = fresh_credential()
    assert isinstance(outcome(lambda: store.put(newer, revision)), Ambiguous)
    assert json.loads(backend.text() or "") == pair(older)
    assert "AWSPENDING" in backend.stages()[version_of(newer.access_key_id)]
    aws.weather.clear()
    store.put(newer, store.load().revision)
    assert json.loads(backend.text() or "") == pair(newer)


def test_a_paused_run_s_move_fails_after_the_fence_although_its_version_was_there(
    aws: Emulator, store: Store, backend: Secret
) -> None:
    """The paused run had put its pending version already; only the move was still to come."""
    older, orphan = fresh_credential(), fresh_credential()
    revision = store.put(older, store.save_journal(Journal(epoch=1), store.load().revision))
    assert isinstance(revision, Revision)
    backend.client.put_secret_value(
        SecretId=backend.name,
        ClientRequestToken=version_of(orphan.access_key_id),
        SecretString=json.dumps(pair(orphan)),
        VersionStages=["AWSPENDING"],
    )
    store.fence(store.load().revision)
    with pytest.raises(backend.client.exceptions.InvalidParameterException):
        backend.client.update_secret_version_stage(
            SecretId=backend.name,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version_of(orphan.access_key_id),
            RemoveFromVersionId=revision.current,
        )
    assert json.loads(backend.text() or "") == pair(older)


def test_the_first_journal_of_an_empty_secret_is_current_and_is_no_credential(
    aws: Emulator, store: Store, backend: Secret
) -> None:
    backend.client.create_secret(Name=backend.name)
    assert store.load().revision == Revision()
    revision = store.save_journal(FULL, store.load().revision)
    record = store.load()
    assert (record.holding, record.journal, record.revision) == (NotHeld(), FULL, revision)
    assert isinstance(revision, Revision)
    assert revision.current == revision.journal
    credential = fresh_credential()
    store.put(credential, revision)
    assert json.loads(backend.text() or "") == pair(credential)


def test_of_two_runs_that_find_an_empty_secret_one_wins(services: Services, store: Store, backend: Secret) -> None:
    backend.client.create_secret(Name=backend.name)
    other = open_store(backend.url, services)
    seen = other.load().revision
    winner = fresh_credential()
    store.put(winner, store.load().revision)
    with pytest.raises(Conflict):
        other.put(fresh_credential(), seen)
    assert json.loads(backend.text() or "") == pair(winner)


def test_a_fence_on_an_empty_secret_stops_a_put_that_saw_it_empty(
    services: Services, store: Store, backend: Secret
) -> None:
    backend.client.create_secret(Name=backend.name)
    other = open_store(backend.url, services)
    seen = other.load().revision
    store.fence(store.load().revision)
    with pytest.raises(Conflict):
        other.put(fresh_credential(), seen)
    with pytest.raises(Conflict):
        other.fence(seen)
    assert store.load().holding == NotHeld()


def test_a_lost_journal_is_found_out_at_the_next_save(services: Services, store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    other = open_store("secretsmanager:" + store.name.partition(":")[2], services)
    other.save_journal(Journal(epoch=2), other.load().revision)
    revision = store.put(fresh_credential(), revision)
    with pytest.raises(Conflict):
        store.save_journal(Journal(epoch=1, committed=AT), revision)


def test_a_binary_value_is_unknown(store: Store, backend: Secret) -> None:
    backend.client.create_secret(Name=backend.name, SecretBinary=b"\x00\x01")
    assert isinstance(store.load().holding, CannotTell)
    with pytest.raises(ServiceRejected, match="binary"):
        store.fence(store.load().revision)


def test_a_secret_marked_for_deletion_says_how_to_take_it_back(store: Store, backend: Secret) -> None:
    revision = store.save_journal(Journal(), store.load().revision)
    backend.client.delete_secret(SecretId=backend.name)
    credential = fresh_credential()
    acts: list[Callable[[], object]] = [
        store.load,
        store.held,
        store.credential,
        store.preflight,
        lambda: store.save_journal(FULL, revision),
        lambda: store.put(credential, revision),
        lambda: store.deliver(credential),
        lambda: store.save_journal(FULL, Revision(exists=False)),
    ]
    for act in acts:
        with pytest.raises(ServiceRejected, match="restore-secret"):
            act()


def test_a_secret_that_aws_rotates_itself_is_refused_before_anything_is_written(
    aws: Emulator, store: Store, backend: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.secretsmanager.models import secretsmanager_backends

    backend.plant_text("{}")
    secret = secretsmanager_backends[aws.account_id][aws.region].secrets[backend.name]
    monkeypatch.setattr(secret, "rotation_requested", True)
    monkeypatch.setattr(secret, "rotation_enabled", True)
    with pytest.raises(ServiceRejected, match="rotates"):
        store.preflight()


def test_an_arn_is_called_in_its_own_region_and_never_created(services: Services, aws: Emulator) -> None:
    arn = f"arn:aws:secretsmanager:us-west-2:{aws.account_id}:secret:{fresh_name()}-AbCdEf"
    by_arn = open_destination(f"secretsmanager:{arn}", services)
    with pytest.raises(NotFound, match="Create the secret"):
        by_arn.preflight()
    with pytest.raises(NotFound):
        by_arn.deliver(fresh_credential())
    client = aws.client("secretsmanager", region="us-west-2")
    real = client.create_secret(Name=fresh_name(), SecretString="{}")["ARN"]
    assert open_destination(f"secretsmanager:{real}", services).deliver(fresh_credential()).written


def test_preflight_tells_a_missing_permission_before_anything_is_written(
    aws: Emulator, services: Services, store: Store, backend: Secret
) -> None:
    store.deliver(fresh_credential())
    reader = limited(aws, ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"])
    with (
        signing_as(reader.access_key_id, reader.secret_access_key),
        pytest.raises(AccessDenied, match="PutSecretValue"),
    ):
        store.preflight()


def test_a_writer_without_the_right_to_read_delivers_once_and_cannot_tell(
    aws: Emulator, store: Store, backend: Secret
) -> None:
    writer = limited(
        aws,
        [
            "secretsmanager:DescribeSecret",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
            "secretsmanager:CreateSecret",
        ],
    )
    credential = fresh_credential()
    with signing_as(writer.access_key_id, writer.secret_access_key):
        assert store.deliver(credential).written
        assert not store.deliver(credential).written
        held = store.held()
    assert isinstance(held, CannotTell)
    assert "GetSecretValue" in held.why


def test_a_writer_without_the_right_to_read_replaces_only_what_twokey_wrote_as_a_whole(
    aws: Emulator, store: Store, backend: Secret
) -> None:
    actions = ["DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage", "CreateSecret"]
    writer = limited(aws, [f"secretsmanager:{action}" for action in actions])
    newer = fresh_credential()
    store.deliver(fresh_credential())
    with signing_as(writer.access_key_id, writer.secret_access_key):
        store.preflight()
        receipt = store.deliver(newer)
        assert receipt.written
        held = store.held()
    assert json.loads(backend.text() or "") == pair(newer)
    assert isinstance(held, CannotTell)
    assert held.stamp == receipt.stamp
    beside = json.dumps({**pair(newer), "DB_PASSWORD": "x"})
    backend.plant_text(beside)
    for _ in range(2):
        text = backend.text()
        with signing_as(writer.access_key_id, writer.secret_access_key):
            held = store.held()
            assert isinstance(held, CannotTell)
            assert held.stamp != receipt.stamp
            for act in (store.preflight, lambda: store.deliver(fresh_credential())):
                error = outcome(act)
                assert isinstance(error, AccessDenied)
                assert "GetSecretValue" in error.remedy
        assert backend.text() == text
        store.deliver(fresh_credential())  # with the right to read: beside the other member


def test_a_value_under_the_version_of_a_key_that_is_not_its_pair_is_refused(store: Store, backend: Secret) -> None:
    credential = fresh_credential()
    store.deliver(fresh_credential())
    backend.client.put_secret_value(
        SecretId=backend.name,
        ClientRequestToken=version_of(credential.access_key_id),
        SecretString="{}",
        VersionStages=[JOURNAL_PENDING],
    )
    with pytest.raises(ServiceRejected, match="ResourceExistsException"):
        store.deliver(credential)


def test_a_read_back_that_shows_another_version_is_ambiguous(
    aws: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    monkeypatch.setattr("twokey.destinations.stores.secretsmanager_versions.Versions.move", lambda *_, **__: None)
    with pytest.raises(Ambiguous):
        store.put(fresh_credential(), revision)


@pytest.mark.parametrize("effect", ["lost_response", "error_after", "error_before"])
def test_a_move_in_doubt_is_no_lost_race_although_another_program_wrote_since(
    aws: Emulator, store: Store, backend: Secret, effect: str
) -> None:
    """A job may have read the key in between: whoever takes the run for one that lost the race deletes that key."""
    revision = store.put(fresh_credential(), store.load().revision)
    aws.weather.add(Rule("secretsmanager:UpdateSecretVersionStage", times=None, effect=effect))
    aws.weather.add(held := Rule("secretsmanager:DescribeSecret", effect="hold_before"))
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(outcome, lambda: store.put(fresh_credential(), revision))
        aws.weather.wait_until_held(300)
        aws.weather.remove(held)
        backend.plant_text("another program's")
        aws.weather.release()
        assert isinstance(put.result(), Ambiguous)


def test_what_cannot_be_looked_up_after_a_lost_response_stays_ambiguous(aws: Emulator, store: Store) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    aws.weather.add(Rule("secretsmanager:UpdateSecretVersionStage", times=None, effect="lost_response"))
    aws.weather.add(denied("secretsmanager:DescribeSecret"))
    with pytest.raises(Ambiguous):
        store.put(fresh_credential(), revision)


def test_the_policy_of_the_documentation_is_enough_and_reaches_no_other_secret(
    aws: Emulator, services: Services
) -> None:
    inside = open_store(f"secretsmanager:machine-users/{fresh_name()}", services)
    outside = open_store(f"secretsmanager:other/{fresh_name()}", services)
    user = user_with(aws, documented_policy("secretsmanager"))
    with signing_as(user.access_key_id, user.secret_access_key):
        whole_cycle(inside)
        with pytest.raises(AccessDenied):
            outside.load()


def limited(aws: Emulator, actions: list[str]) -> KeyPair:
    statement = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    return user_with(aws, json.dumps({"Version": "2012-10-17", "Statement": statement}))
