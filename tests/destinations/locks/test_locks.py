"""The contract of a lock, on the emulator: what S3 and DynamoDB promise about a write with a condition."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from support.store_faults import DOCS, denied, documented_policy, user_with
from twokey.aws.clients import signing_as
from twokey.core import waiting
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected, Throttled, UsageError
from twokey.core.journal import Lease
from twokey.destinations.kind import AwsScope
from twokey.destinations.locks import registry
from twokey.destinations.locks.lock import Content, Lock, decoded
from twokey.emulator import Emulator, Rule
from twokey.testing.stores import fresh_name, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.destinations.registry import Services

S3 = "arn:aws:s3:::"
LEASE = Lease(run="r1", host="h b n", process=42, start="1", until=datetime(2026, 11, 21, 12, tzinfo=UTC))
WRITES = {"s3": "s3:PutObject", "dynamodb": "dynamodb:PutItem"}
READS = {"s3": "s3:GetObject", "dynamodb": "dynamodb:GetItem"}
NOT_LEASES: dict[str, dict[str, Any]] = {
    "{}": {},
    "not JSON": {"epoch": {"N": "1"}, "lease": {"S": "not JSON"}, "fence": {"S": "f"}},
    '{"epoch": 1, "lease": 5, "fence": "f"}': {"epoch": {"N": "1"}, "lease": {"S": "5"}, "fence": {"S": "f"}},
    '{"epoch": "x", "lease": null, "fence": "f"}': {"epoch": {"N": "1.5"}, "lease": {"S": "null"}, "fence": {"S": "f"}},
    '{"epoch": 1, "fence": "f"}': {"epoch": {"N": "1"}, "fence": {"S": "f"}},
    '{"epoch": 1, "lease": null}': {"epoch": {"N": "1"}, "lease": {"S": "null"}},
    "[]": {"epoch": {"S": "1"}, "lease": {"S": "null"}, "fence": {"S": "f"}},
}
"""What another program left, as an object and as an item."""
NOTHING_HAPPENED = ["error_before", "reset", "throttle", "html"]
LOST = ["lost_response", "truncated", "error_after"]


def make_places(administrator: Callable[[str], Any]) -> None:
    s3, dynamodb = administrator("s3"), administrator("dynamodb")
    if not s3.list_buckets()["Buckets"]:
        s3.create_bucket(Bucket="locks", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        dynamodb.create_table(
            TableName="locks",
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )


@pytest.fixture(params=["dynamodb", "s3"])
def scheme(request: pytest.FixtureRequest, administrator: Callable[[str], Any], aws: Emulator) -> str:
    make_places(administrator)
    aws.clear_requests()
    return str(request.param)


@pytest.fixture
def url(scheme: str) -> str:
    return f"{scheme}:locks/machine-users/{fresh_name()}"


@pytest.fixture
def lock(url: str, services: Services) -> Lock:
    address = registry.parse(url)
    return registry.kind_of(address.scheme).open(address, services)


class TestALock:
    def test_is_empty_until_it_is_taken_and_holds_what_was_written(self, lock: Lock) -> None:
        assert lock.read() is None
        written = lock.replace(None, Content(1, LEASE))
        assert lock.read() == written
        released = lock.replace(written, Content(1))
        assert (released.lease, lock.read()) == (None, released)

    def test_is_taken_by_one_of_two_runs_that_read_the_same(self, lock: Lock, url: str) -> None:
        seen = lock.replace(None, Content(1, LEASE))
        first = lock.replace(seen, Content(2, LEASE))
        with pytest.raises(Conflict, match=rf"Another run \(process 42 on h\) has taken the lock {url}"):
            lock.replace(seen, Content(2, LEASE))
        assert lock.read() == first

    def test_that_was_never_taken_is_taken_by_one(self, lock: Lock) -> None:
        first = lock.replace(None, Content(1, LEASE))
        with pytest.raises(Conflict):
            lock.replace(None, Content(1, LEASE))
        assert lock.read() == first

    def test_that_was_deleted_is_not_taken_for_the_one_that_was_seen(
        self, lock: Lock, url: str, administrator: Callable[[str], Any]
    ) -> None:
        seen = lock.replace(None, Content(1, LEASE))
        key = url.partition("/")[2]
        if url.startswith("s3:"):
            administrator("s3").delete_object(Bucket="locks", Key=key)
        else:
            administrator("dynamodb").delete_item(TableName="locks", Key={"LockID": {"S": key}})
        with pytest.raises(Conflict):
            lock.replace(seen, Content(2, LEASE))
        assert lock.read() is None

    @pytest.mark.parametrize("effect", [*NOTHING_HAPPENED, *LOST])
    def test_is_taken_although_one_response_is_bad(self, aws: Emulator, lock: Lock, scheme: str, effect: str) -> None:
        seen = lock.replace(None, Content(1, LEASE))
        aws.weather.add(Rule(WRITES[scheme], effect=effect))
        content = Content(2, LEASE)
        assert lock.replace(seen, content) == lock.read() == content

    @pytest.mark.parametrize("effect", LOST)
    def test_whose_responses_are_all_lost_is_read_back(
        self, aws: Emulator, lock: Lock, scheme: str, effect: str
    ) -> None:
        aws.weather.add(Rule(WRITES[scheme], times=None, effect=effect))
        content = Content(1, LEASE)
        assert lock.replace(None, content) == content

    @pytest.mark.parametrize("seen", [True, False])
    def test_that_is_never_reached_is_in_doubt(self, aws: Emulator, lock: Lock, scheme: str, *, seen: bool) -> None:
        before = lock.replace(None, Content(1, LEASE)) if seen else None
        aws.weather.add(Rule(WRITES[scheme], times=None, effect="error_before"))
        assert isinstance(outcome(lambda: lock.replace(before, Content(2, LEASE))), Ambiguous)
        assert lock.read() == before

    def test_in_doubt_that_cannot_be_read_back_stays_in_doubt(self, aws: Emulator, lock: Lock, scheme: str) -> None:
        aws.weather.add(Rule(WRITES[scheme], times=None, effect="lost_response"))
        aws.weather.add(denied(READS[scheme]))
        assert isinstance(outcome(lambda: lock.replace(None, Content(1, LEASE))), Ambiguous)

    def test_that_another_run_took_and_that_cannot_be_read_back_was_not_taken(
        self, aws: Emulator, lock: Lock, scheme: str
    ) -> None:
        lock.replace(None, Content(1, LEASE))
        aws.weather.add(denied(READS[scheme]))
        assert isinstance(outcome(lambda: lock.replace(None, Content(1, LEASE))), AccessDenied)

    def test_that_another_run_took_and_that_is_gone_again_was_not_taken(
        self, aws: Emulator, lock: Lock, scheme: str
    ) -> None:
        code, status = {"s3": ("PreconditionFailed", 412), "dynamodb": ("ConditionalCheckFailedException", 400)}[scheme]
        aws.weather.add(Rule(WRITES[scheme], effect="error_before", status=status, code=code))
        with pytest.raises(Conflict, match="Another run has taken the lock"):
            lock.replace(None, Content(1, LEASE))

    def test_that_another_run_took_after_a_lost_response_is_lost(self, aws: Emulator, lock: Lock, scheme: str) -> None:
        seen = lock.replace(None, Content(1, LEASE))
        theirs = lock.replace(seen, Content(2, LEASE))
        aws.weather.add(Rule(WRITES[scheme], effect="reset"))
        assert isinstance(outcome(lambda: lock.replace(seen, Content(2, LEASE))), Conflict)
        assert lock.read() == theirs

    def test_that_is_throttled_without_end_was_not_taken(self, aws: Emulator, lock: Lock, scheme: str) -> None:
        code = {"s3": "SlowDown", "dynamodb": "ProvisionedThroughputExceededException"}[scheme]
        status = {"s3": 503, "dynamodb": 400}[scheme]
        aws.weather.add(Rule(WRITES[scheme], times=None, effect="error_before", status=status, code=code))
        assert isinstance(outcome(lambda: lock.replace(None, Content(1, LEASE))), Throttled)
        assert lock.read() is None

    def test_whose_write_is_refused_for_another_reason_has_no_other_owner(
        self, aws: Emulator, lock: Lock, scheme: str
    ) -> None:
        aws.weather.add(Rule(WRITES[scheme], effect="error_before", status=400, code="ValidationException"))
        with pytest.raises(ServiceRejected, match="ValidationException"):
            lock.replace(None, Content(1, LEASE))

    def test_is_read_consistently_and_by_no_request_that_could_change_it(
        self, lock: Lock, scheme: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent = []
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def recorded(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            sent.append(parameters)
            return call(client, operation, parameters)

        monkeypatch.setattr(BaseClient, "_make_api_call", recorded)
        with waiting.also_before_effect(lambda: pytest.fail("reading has no effect")):
            lock.read()
        assert [one.get("ConsistentRead") for one in sent] == [scheme == "dynamodb" or None]

    @pytest.mark.parametrize("calls", [READS, WRITES])
    def test_that_may_not_be_read_or_written_names_the_permission(
        self, aws: Emulator, lock: Lock, scheme: str, calls: dict[str, str]
    ) -> None:
        aws.weather.add(denied(calls[scheme]))
        error = outcome(lambda: lock.replace(lock.read(), Content(1, LEASE)))
        assert isinstance(error, AccessDenied)
        assert calls[scheme] in error.message

    @pytest.mark.parametrize("calls", [READS, WRITES])
    def test_is_named_by_its_place_where_aws_refuses_without_a_reason(
        self, aws: Emulator, lock: Lock, url: str, scheme: str, calls: dict[str, str]
    ) -> None:
        code = {"s3": "AccessDenied", "dynamodb": "AccessDeniedException"}[scheme]
        aws.weather.add(Rule(calls[scheme], effect="error_before", status=403, code=code))
        error = outcome(lambda: lock.replace(lock.read(), Content(1, LEASE)))
        place = url.partition(":")[2] if scheme == "s3" else "locks"
        assert isinstance(error, AccessDenied)
        assert f"{calls[scheme]} on {place}." in error.message

    @pytest.mark.parametrize("value", NOT_LEASES)
    def test_that_another_program_wrote_is_refused(
        self, lock: Lock, url: str, administrator: Callable[[str], Any], value: str
    ) -> None:
        key = url.partition("/")[2]
        if url.startswith("s3:"):
            administrator("s3").put_object(Bucket="locks", Key=key, Body=value.encode())
        else:
            item = {"LockID": {"S": key}, **NOT_LEASES[value]}
            administrator("dynamodb").put_item(TableName="locks", Item=item)
        with pytest.raises(ServiceRejected, match=f"{url} holds a value that twokey did not write"):
            lock.read()

    def test_without_its_table_or_bucket_says_so(self, services: Services, scheme: str) -> None:
        address = registry.parse(f"{scheme}:no-such-thing/ci")
        error = outcome(registry.kind_of(scheme).open(address, services).read)
        assert isinstance(error, (NotFound, ServiceRejected))
        assert "no DynamoDB table no-such-thing" in str(error) or "bucket does not exist" in str(error)

    def test_needs_no_more_than_the_policy_of_its_page(self, aws: Emulator, lock: Lock, services: Services) -> None:
        policy = documented_policy("../locks")
        user = user_with(aws, policy)
        with signing_as(user.access_key_id, user.secret_access_key):
            assert lock.read() is None
            lock.replace(lock.replace(None, Content(1, LEASE)), Content(2))
        for statement in json.loads(policy)["Statement"]:
            assert set(statement["Action"]) <= {
                one.name for scheme in registry.SCHEMES for one in registry.kind_of(scheme).permissions
            }


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb:",
        "dynamodb:locks",
        "dynamodb:locks/",
        "dynamodb:lo/ci",
        "dynamodb:lo cks/ci",
        "dynamodb:locks/" + "k" * 2049,
        "dynamodb:locks/ci?region=x",
        "s3:locks",
        "s3:locks/",
        "s3:locks/ci?region=x",
        "s3:Locks/ci",
        "s3:locks/" + "k" * 1025,
        "redis:locks/ci",
        "locks",
        "dynamodb:locks/{usr}",
    ],
)
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_called(url: str) -> None:
    with pytest.raises(UsageError):
        registry.parse(url)


@pytest.mark.parametrize(
    ("url", "why"), [("dynamodb", "expected scheme:name, with one of the schemes dynamodb, s3"), ("s4:a/b", "s3")]
)
def test_a_url_without_a_kind_names_those_that_there_are(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        registry.parse(url)


def test_an_object_says_that_it_is_json(administrator: Callable[[str], Any], services: Services) -> None:
    make_places(administrator)
    address = registry.parse(f"s3:locks/{fresh_name()}")
    registry.kind_of("s3").open(address, services).replace(None, Content(1, LEASE))
    found = administrator("s3").head_object(Bucket="locks", Key=address.rest.partition("/")[2])
    assert found["ContentType"] == "application/json"


def test_a_lease_with_half_a_character_which_has_no_bytes_is_none_of_twokeys() -> None:
    with pytest.raises(ServiceRejected, match="dynamodb:locks/ci holds a value that twokey did not write"):
        decoded('"\ud800"', "dynamodb:locks/ci")


@pytest.mark.parametrize("url", ["dynamodb:loc/" + "k" * 2048, "s3:loc/" + "k" * 1024])
def test_a_key_may_be_as_long_as_the_service_allows(url: str) -> None:
    assert registry.parse(url).url == url


@pytest.mark.parametrize(
    ("url", "resources"),
    [
        ("dynamodb:locks/machine-users/ci", {"table": ("arn:aws:dynamodb:eu-west-1:123456789012:table/locks",)}),
        ("s3:locks/machine-users/ci", {"bucket": (f"{S3}locks",), "object": (f"{S3}locks/machine-users/ci",)}),
    ],
)
def test_a_url_means_the_arns_that_a_policy_names(url: str, resources: dict[str, object]) -> None:
    address = registry.parse(url)
    found = registry.kind_of(address.scheme).resources(address, AwsScope("aws", "eu-west-1", "123456789012"))
    assert found == resources


@pytest.mark.parametrize("scheme", registry.SCHEMES)
def test_the_page_names_every_permission(scheme: str) -> None:
    text = (DOCS / "../locks.md").read_text(encoding="utf-8")
    assert [one.name for one in registry.kind_of(scheme).permissions if one.name not in text] == []
    assert f"    {scheme}:" in text
