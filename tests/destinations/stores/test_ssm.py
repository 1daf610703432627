"""Parameter Store as store and destination, on the emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from support.store_faults import AwsContract, denied, documented_policy, user_with, whole_cycle
from twokey.aws.clients import signing_as
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceRejected
from twokey.core.journal import Delivery, Journal
from twokey.core.secret import Credential
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.registry import Services, open_store
from twokey.emulator import Emulator, Rule
from twokey.testing.stores import AT, FULL, OneTextContract, assert_silent, fresh_credential, fresh_name, outcome, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store


class Parameter:
    """A parameter, as jobs and administrators see it."""

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self.url = f"ssm:{name}"
        self.client = client

    def text(self) -> str | None:
        try:
            text: str = self.client.get_parameter(Name=self.name, WithDecryption=True)["Parameter"]["Value"]
        except self.client.exceptions.ParameterNotFound:
            return None
        return text

    def plant_text(self, text: str) -> None:
        self.client.put_parameter(Name=self.name, Value=text, Type="SecureString", Overwrite=True)

    def plant_journal(self, text: str) -> None:
        self.client.put_parameter(Name=f"{self.name}.twokey-journal", Value=text, Type="String", Overwrite=True)

    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Values": [self.name]}]
        )["Parameters"][0]
        return found

    def picture(self) -> Any:
        names = [self.name, f"{self.name}.twokey-journal"]
        found = self.client.get_parameters(Names=names, WithDecryption=True)["Parameters"]
        return sorted((parameter["Name"], parameter["Version"], parameter["Value"]) for parameter in found)


@pytest.fixture
def backend(administrator: Callable[[str], Any]) -> Parameter:
    return Parameter(administrator("ssm"), f"/machine-users/{fresh_name()}")


@pytest.fixture
def store(backend: Parameter, services: Services) -> Store:
    return open_store(backend.url, services)


class TestParameterStore(OneTextContract, AwsContract):
    writes: ClassVar = ("ssm:PutParameter",)
    put_calls: ClassVar = ("ssm:PutParameter",)
    final_write = "ssm:PutParameter"
    read_back = "ssm:GetParameter"

    @pytest.fixture
    def backend(self, administrator: Callable[[str], Any]) -> Parameter:
        return Parameter(administrator("ssm"), f"/machine-users/{fresh_name()}")


def test_settings_that_changed_since_the_preflight_stay(store: Store, backend: Parameter) -> None:
    store.deliver(fresh_credential())
    store.preflight()
    backend.client.put_parameter(
        Name=backend.name, Value="{}", Type="SecureString", Description="of the shop", Overwrite=True
    )
    store.put(fresh_credential(), store.load().revision)
    described = backend.client.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [backend.name]}])[
        "Parameters"
    ]
    assert [one["Description"] for one in described] == ["of the shop"]


def calls(aws: Emulator) -> list[str]:
    return [request.operation for request in aws.requests]


def test_each_operation_takes_as_few_calls_as_it_can(aws: Emulator, store: Store) -> None:
    revision = store.put(fresh_credential(), store.save_journal(Journal(), store.load().revision))
    credential = fresh_credential()
    aws.clear_requests()
    store.load()
    assert calls(aws) == ["GetParameters"]
    aws.clear_requests()
    revision = store.save_journal(FULL, revision)
    assert calls(aws) == ["GetParameters", "PutParameter"]
    aws.clear_requests()
    revision = store.put(credential, revision)
    assert calls(aws) == ["GetParameters", "GetParameterHistory", "PutParameter", "GetParameter"]
    store.preflight()
    store.room_for(FULL)
    aws.clear_requests()
    revision = store.put(fresh_credential(), revision)
    assert calls(aws) == ["GetParameters", "PutParameter", "GetParameter"], "the preflight has read the settings"
    aws.clear_requests()
    store.room_for(FULL)
    assert calls(aws) == [], "the journal has few versions"
    revision = store.put(credential, revision)
    aws.clear_requests()
    store.fence(revision)
    assert calls(aws) == []
    store.deliver(credential)
    assert calls(aws) == ["GetParameter"]


def test_a_fence_does_nothing_and_says_so(store: Store, backend: Parameter) -> None:
    assert not store.traits.conditional
    revision = store.put(fresh_credential(), store.load().revision)
    before = backend.picture()
    assert store.fence(revision) == revision
    assert backend.picture() == before


def test_the_value_is_encrypted_and_the_journal_lies_beside_it(store: Store, backend: Parameter) -> None:
    credential = fresh_credential()
    store.put(credential, store.save_journal(FULL, store.load().revision))
    assert backend.about()["Type"] == "SecureString"
    assert backend.about()["Description"] == f"Access key {credential.access_key_id}"
    raw = backend.client.get_parameter(Name=backend.name)["Parameter"]["Value"]
    assert raw != backend.text()


def test_a_parameter_keeps_the_key_that_it_is_encrypted_with(aws: Emulator, store: Store, backend: Parameter) -> None:
    backend.client.put_parameter(Name=backend.name, Value="{}", Type="SecureString", KeyId="alias/machine-users")
    for _ in range(3):
        store.deliver(fresh_credential())
    assert backend.about()["KeyId"] == "alias/machine-users"


def test_a_parameter_that_was_given_another_key_keeps_that_one(store: Store, backend: Parameter) -> None:
    for number, key in enumerate(("alias/first", "alias/second")):
        backend.client.put_parameter(
            Name=backend.name, Value="{}", Type="SecureString", KeyId=key, Overwrite=bool(number)
        )
    store.deliver(fresh_credential())
    assert backend.about()["KeyId"] == "alias/second"


@pytest.mark.parametrize("open_one", [Journal(epoch=9), FULL])
def test_a_journal_written_at_the_same_moment_is_put_back(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch, open_one: Journal
) -> None:
    """The other run writes between this one's look and its write: the version's number tells."""
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    theirs = json.dumps({"twokey-journal": json.loads(open_one.encode())})
    between(monkeypatch, store, lambda: backend.plant_journal(theirs))
    with pytest.raises(Conflict, match="wrote it back"):
        store.save_journal(Journal(epoch=2), revision)
    assert store.load().journal == open_one


def test_of_several_credentials_written_at_the_same_moment_the_newest_is_put_back(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    theirs = [fresh_credential() for _ in range(3)]

    def write_all() -> None:
        for one in theirs:
            backend.plant_text(json.dumps(pair(one)))

    between(monkeypatch, store, write_all)
    with pytest.raises(Conflict, match="wrote it back"):
        store.put(fresh_credential(), revision)
    assert json.loads(backend.text() or "") == pair(theirs[-1])


def test_a_credential_written_at_the_same_moment_is_put_back(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    theirs, ours = fresh_credential(), fresh_credential()
    between(monkeypatch, store, lambda: backend.plant_text(json.dumps(pair(theirs))))
    with pytest.raises(Conflict, match="wrote it back") as raised:
        store.put(ours, revision)
    assert json.loads(backend.text() or "") == pair(theirs)
    assert backend.about()["Description"] == f"Access key {theirs.access_key_id}"
    assert_silent(raised.value, theirs, ours)


def test_a_parameter_created_at_the_same_moment_is_left_alone(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = fresh_credential()
    revision = store.load().revision
    between(monkeypatch, store, lambda: backend.plant_text(json.dumps(pair(theirs))))
    with pytest.raises(Conflict):
        store.put(fresh_credential(), revision)
    assert backend.picture() == [(backend.name, 1, json.dumps(pair(theirs)))]


def test_what_could_not_be_put_back_is_ambiguous(
    aws: Emulator, store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    theirs, ours = fresh_credential(), fresh_credential()
    between(monkeypatch, store, lambda: backend.plant_text(json.dumps(pair(theirs))))
    aws.weather.add(Rule("ssm:PutParameter", nth=3, times=None, effect="error_before"))
    with pytest.raises(Ambiguous, match="could not be read or written back") as raised:
        store.put(ours, revision)
    assert_silent(raised.value, theirs, ours)


@pytest.mark.parametrize(("looks", "error"), [(3, Conflict), (4, Ambiguous)])
def test_a_version_between_that_cannot_be_read_yet_is_not_one_that_was_never_written(
    aws: Emulator,
    store: Store,
    backend: Parameter,
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
    error: type[Exception],
) -> None:
    """Reads are eventually consistent: unknown is never absent."""
    revision = store.put(fresh_credential(), store.load().revision)
    theirs, ours = fresh_credential(), fresh_credential()
    lags: Any = {"status": 400, "code": "ParameterVersionNotFound", "message": "Not found."}

    def then_reads_lag() -> None:
        backend.plant_text(json.dumps(pair(theirs)))
        aws.weather.add(Rule("ssm:GetParameter", times=looks, effect="error_before", **lags))

    between(monkeypatch, store, then_reads_lag)
    with pytest.raises(error) as raised:
        store.put(ours, revision)
    aws.weather.clear()
    assert json.loads(backend.text() or "") == pair(theirs if error is Conflict else ours)
    assert_silent(raised.value, theirs, ours)


def test_a_read_that_lags_behind_this_runs_own_write_is_repeated(
    aws: Emulator, store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    credential, both = fresh_credential(), type(store)._both  # type: ignore[attr-defined]
    stale = [both(store, decrypt=True)]
    revision = store.put(fresh_credential(), revision)
    monkeypatch.setattr(type(store), "_both", lambda *one, **named: stale.pop() if stale else both(*one, **named))
    store.put(credential, revision)
    assert json.loads(backend.text() or "") == pair(credential)


def test_a_parameter_deleted_at_the_same_moment_is_ambiguous(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    between(monkeypatch, store, lambda: backend.client.delete_parameter(Name=backend.name))
    with pytest.raises(Ambiguous, match="deleted"):
        store.put(fresh_credential(), revision)


def test_a_run_whose_journal_was_put_back_goes_on(store: Store, backend: Parameter) -> None:
    revision = store.save_journal(FULL, store.load().revision)
    mine = backend.client.get_parameter(Name=f"{backend.name}.twokey-journal")["Parameter"]["Value"]
    backend.plant_journal("of another run, for a moment")
    backend.plant_journal(mine)
    revision = store.put(fresh_credential(), revision)
    assert store.save_journal(Journal(epoch=8), revision) == store.load().revision


def test_a_read_back_that_shows_another_value_is_ambiguous(
    store: Store, backend: Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fresh_credential()
    revision = store.put(fresh_credential(), store.load().revision)
    check = type(store)._check_overtaken  # type: ignore[attr-defined]

    def then_another_writes(*arguments: Any) -> None:
        check(*arguments)
        backend.plant_text(json.dumps(pair(other)))

    monkeypatch.setattr(type(store), "_check_overtaken", then_another_writes)
    with pytest.raises(Ambiguous, match="now holds another value"):
        store.put(fresh_credential(), revision)
    assert json.loads(backend.text() or "") == pair(other)


def test_a_parameter_that_is_not_encrypted_is_refused(store: Store, backend: Parameter) -> None:
    backend.client.put_parameter(Name=backend.name, Value="{}", Type="String")
    for act in (store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match="unencrypted"):
            act()
    assert backend.text() == "{}"


def test_a_journal_too_large_for_a_parameter_is_refused_before_it_is_sent(aws: Emulator, store: Store) -> None:
    many = {f"github:acme/site-{number}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(60)}
    revision = store.load().revision
    aws.clear_requests()
    with pytest.raises(ServiceRejected, match="fewer destinations"):
        store.save_journal(Journal(delivered=many), revision)
    assert calls(aws) == []


def test_what_cannot_be_looked_up_after_a_lost_response_stays_ambiguous(aws: Emulator, store: Store) -> None:
    revision = store.put(fresh_credential(), store.load().revision)
    aws.weather.add(Rule("ssm:PutParameter", times=None, effect="lost_response"))
    aws.weather.add(denied("ssm:GetParameter"))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Ambiguous)


def test_preflight_tells_a_missing_permission_before_anything_is_written(
    aws: Emulator, store: Store, backend: Parameter
) -> None:
    store.deliver(fresh_credential())
    reading = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory"]
    statement = [{"Effect": "Allow", "Action": reading, "Resource": "*"}]
    reader = user_with(aws, json.dumps({"Version": "2012-10-17", "Statement": statement}))
    with signing_as(reader.access_key_id, reader.secret_access_key), pytest.raises(AccessDenied, match="PutParameter"):
        store.preflight()


def test_the_policy_of_the_documentation_is_enough_and_reaches_no_other_parameter(
    aws: Emulator, services: Services
) -> None:
    inside = open_store(f"ssm:/machine-users/{fresh_name()}", services)
    outside = open_store(f"ssm:/other/{fresh_name()}", services)
    user = user_with(aws, documented_policy("ssm"))
    with signing_as(user.access_key_id, user.secret_access_key):
        whole_cycle(inside)
        with pytest.raises(AccessDenied):
            outside.load()


def between(monkeypatch: pytest.MonkeyPatch, store: Any, act: Any) -> None:
    """Let ``act`` happen once, after the store has looked and before it writes."""
    write = type(store)._write

    def write_later(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(type(store), "_write", write)
        act()
        return write(*arguments, **named)

    monkeypatch.setattr(type(store), "_write", write_later)


class TestSettings:
    POLICIES = json.dumps(
        [
            {"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": after, "Unit": "Days"}}
            for after in ("20", "30")
        ]
    )

    def planted(self, backend: Parameter, **settings: Any) -> None:
        backend.client.put_parameter(Name=backend.name, Value="{}", Type="SecureString", **settings)

    def test_of_an_existing_parameter_stay(self, store: Store, backend: Parameter) -> None:
        self.planted(
            backend, Tier="Advanced", Description="Of the shop", AllowedPattern="(?s).*", Policies=self.POLICIES
        )
        for write in (store.deliver, lambda one: store.put(one, store.load().revision)):
            store.preflight()
            write(fresh_credential())
            about = backend.about()
            assert about["Tier"] == "Advanced"
            assert about["Description"] == "Of the shop"
            assert about["AllowedPattern"] == "(?s).*"
            assert about["DataType"] == "text"
            history = backend.client.get_parameter_history(Name=backend.name)["Parameters"]
            assert [json.loads(one["PolicyText"]) for one in history[-1]["Policies"]] == json.loads(self.POLICIES)

    def test_a_description_of_twokey_names_the_newest_key(self, store: Store, backend: Parameter) -> None:
        for _ in range(2):
            credential = fresh_credential()
            store.deliver(credential)
            assert backend.about()["Description"] == f"Access key {credential.access_key_id}"

    @pytest.mark.parametrize(("tier", "longest"), [("Standard", 4096), ("Advanced", 8192)])
    def test_a_value_that_would_be_too_long_is_refused_in_preflight(
        self, store: Store, backend: Parameter, tier: str, longest: int
    ) -> None:
        fits = longest - len(json.dumps(pair(Credential("AKIAIOSFODNN7EXAMPLE", "s" * 40)))) - len('"pad": "", ')
        for length in (fits, fits + 1):
            text = json.dumps({"pad": "x" * length})
            backend.client.put_parameter(Name=backend.name, Value=text, Type="SecureString", Overwrite=True, Tier=tier)
            error = outcome(store.preflight)
            assert (error is None) == (length == fits)
            credential = Credential(fresh_credential().access_key_id, "s" * 40)
            assert isinstance(outcome(lambda: store.deliver(credential)), type(error))  # noqa: B023  called at once


class TestALabelOnAnOldVersion:
    """AWS deletes the oldest of 100 versions at each write, unless it has a label: then it refuses the write."""

    def label(self, backend: Parameter, version: int, *labels: str, name: str = "") -> None:
        backend.client.label_parameter_version(
            Name=name or backend.name, ParameterVersion=version, Labels=list(labels or ("release-7",))
        )

    def test_ends_all_writes_on_the_emulator_as_on_aws(self, backend: Parameter) -> None:
        for _ in range(100):
            backend.plant_text("{}")
        self.label(backend, 1)
        with pytest.raises(backend.client.exceptions.ParameterMaxVersionLimitExceeded):
            backend.plant_text("{}")
        backend.client.unlabel_parameter_version(Name=backend.name, ParameterVersion=1, Labels=["release-7"])
        backend.plant_text("{}")

    @pytest.mark.parametrize(
        ("written", "labelled", "possible"), [(98, 1, 2), (97, 1, None), (100, 1, 0), (100, 3, 2), (105, 8, 2)]
    )
    def test_is_refused_in_preflight_where_a_rotation_would_run_into_it(
        self, store: Store, backend: Parameter, written: int, labelled: int, possible: int | None
    ) -> None:
        for _ in range(written):
            backend.plant_text("{}")
        self.label(backend, labelled, "release-7", "of-the-shop")
        error = outcome(store.preflight)
        if possible is None:
            assert error is None
            return
        assert isinstance(error, ServiceRejected)
        assert f"has {min(written, 100)} of the 100 versions" in error.message
        assert f"the old version {labelled}, because it has the labels of-the-shop, release-7" in error.message
        assert (f"after {possible} more, AWS refuses" if possible else "AWS refuses every further write") in (
            error.message
        )
        assert error.remedy.endswith(
            f"aws ssm unlabel-parameter-version --name {backend.name} --parameter-version {labelled} "
            "--labels of-the-shop release-7"
        )

    def test_of_the_journal_is_refused_with_room_for_all_that_a_run_writes(
        self, store: Store, backend: Parameter
    ) -> None:
        name = f"{backend.name}.twokey-journal"
        for _ in range(80):
            backend.plant_journal(encode_journal(Journal()))
        self.label(backend, 1, name=name)
        store.load()
        assert outcome(lambda: store.room_for(Journal())) is None
        backend.plant_journal(encode_journal(Journal()))
        store.load()
        error = outcome(lambda: store.room_for(Journal()))
        assert isinstance(error, ServiceRejected)
        assert f"--name {name} --parameter-version 1 --labels release-7" in error.remedy

    def test_that_was_not_found_in_time_is_named_by_the_write_that_fails(
        self, store: Store, backend: Parameter
    ) -> None:
        revision = store.save_journal(Journal(epoch=1), store.load().revision)
        for _ in range(99):
            revision = store.save_journal(Journal(epoch=1), revision)
        self.label(backend, 1, name=f"{backend.name}.twokey-journal")
        with pytest.raises(ServiceRejected, match="AWS refuses every further write") as raised:
            store.save_journal(Journal(epoch=2), revision)
        assert "aws ssm unlabel-parameter-version" in raised.value.remedy
        assert store.load().journal == Journal(epoch=1)
