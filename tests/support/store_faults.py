"""What a store on AWS must stand: lost answers, resets, errors, throttling, refusals, on each of its writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from twokey.aws.clients import Clients
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceRejected, Throttled, Unreachable
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, open_store
from twokey.emulator import Emulator, KeyPair, Rule
from twokey.testing.stores import (
    FULL,
    StoreBackend,
    StoreContract,
    assert_silent,
    fresh_credential,
    fresh_name,
    outcome,
    pair,
)

if TYPE_CHECKING:
    from twokey.core.destination import Store

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "destinations"
ONCE = ["lost_response", "reset", "error_before", "error_after", "throttle", "truncated", "html"]


class AwsContract(StoreContract):
    """``writes`` are all calls with an effect, ``put_calls`` those of a put where something is there already."""

    writes: ClassVar[tuple[str, ...]] = ()
    put_calls: ClassVar[tuple[str, ...]] = ()
    read_back: ClassVar[str] = ""
    final_write: ClassVar[str] = ""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "write" in metafunc.fixturenames:
            metafunc.parametrize("write", self.writes)
        if "put_call" in metafunc.fixturenames:
            metafunc.parametrize("put_call", self.put_calls)

    @pytest.mark.parametrize("effect", ONCE)
    @pytest.mark.parametrize("prepare", ["missing", "key"])
    def test_one_bad_answer_to_a_write_does_no_harm(
        self, aws: Emulator, first: Store, second: Store, backend: StoreBackend, write: str, effect: str, prepare: str
    ) -> None:
        revision = first.load().revision
        if prepare == "key":
            revision = first.put(fresh_credential(), first.save_journal(Journal(epoch=1), revision))
        for nth in (1, 2):
            aws.weather.add(Rule(write, nth=nth, effect=effect, status=503 if effect == "html" else 500))
        credential = fresh_credential()
        revision = first.save_journal(FULL, revision)
        revision = first.put(credential, revision)
        revision = first.fence(revision)
        record = second.load()
        assert (record.journal, record.revision) == (FULL, revision)
        assert json.loads(backend.text() or "") == pair(credential)

    @pytest.mark.parametrize("effect", ONCE)
    def test_a_delivery_stands_one_bad_answer(
        self, aws: Emulator, first: Store, backend: StoreBackend, write: str, effect: str
    ) -> None:
        for _ in range(2):
            aws.weather.add(Rule(write, effect=effect, status=503 if effect == "html" else 500))
            credential = fresh_credential()
            assert first.deliver(credential).written
            assert json.loads(backend.text() or "") == pair(credential)

    @pytest.mark.usefixtures("held_key")
    def test_answers_that_are_all_lost_are_resolved_by_reading_back(
        self, aws: Emulator, first: Store, second: Store, backend: StoreBackend, put_call: str
    ) -> None:
        aws.weather.add(Rule(put_call, times=None, effect="lost_response"))
        credential = fresh_credential()
        revision = first.put(credential, first.save_journal(FULL, first.load().revision))
        assert second.load().revision == revision
        assert second.load().journal == FULL
        assert json.loads(backend.text() or "") == pair(credential)

    @pytest.mark.parametrize("effect", ["error_before", "reset"])
    def test_a_write_that_never_gets_through_is_ambiguous_and_changes_nothing(
        self, aws: Emulator, first: Store, backend: StoreBackend, held_key: Credential, put_call: str, effect: str
    ) -> None:
        revision = first.load().revision
        aws.weather.add(Rule(put_call, times=None, effect=effect))
        credential = fresh_credential()
        errors = [
            error
            for act in (lambda: first.save_journal(FULL, revision), lambda: first.put(credential, revision))
            if (error := outcome(act))
        ]
        assert errors
        for error in errors:
            assert isinstance(error, Ambiguous)
            assert_silent(error, credential, held_key)
        assert json.loads(backend.text() or "") == pair(held_key)

    def test_endless_throttling_proves_that_nothing_happened(
        self, aws: Emulator, first: Store, backend: StoreBackend, held_key: Credential, put_call: str
    ) -> None:
        revision = first.load().revision
        aws.weather.add(Rule(put_call, times=None, effect="throttle"))
        assert isinstance(outcome(lambda: first.put(fresh_credential(), revision)), Throttled)
        assert json.loads(backend.text() or "") == pair(held_key)

    @pytest.mark.usefixtures("held_key")
    def test_a_refusal_after_a_lost_response_is_no_proof(
        self, aws: Emulator, first: Store, backend: StoreBackend
    ) -> None:
        """The first attempt takes effect, its answer is lost, the second one is denied: the effect is there."""
        revision = first.load().revision
        credential = fresh_credential()
        aws.weather.add(Rule(self.final_write, effect="lost_response"))
        aws.weather.add(
            Rule(self.final_write, nth=2, effect="error_before", status=400, code="AccessDeniedException", message="No")
        )
        first.put(credential, revision)
        assert json.loads(backend.text() or "") == pair(credential)

    def test_a_denied_write_names_the_permission_and_changes_nothing(
        self, aws: Emulator, first: Store, backend: StoreBackend, held_key: Credential, put_call: str
    ) -> None:
        revision = first.load().revision
        aws.weather.add(denied(put_call))
        error = outcome(lambda: first.put(fresh_credential(), revision))
        assert isinstance(error, AccessDenied)
        assert put_call in error.message
        assert json.loads(backend.text() or "") == pair(held_key)

    @pytest.mark.usefixtures("held_key")
    def test_a_key_of_kms_that_may_not_be_used_is_named(self, aws: Emulator, first: Store) -> None:
        message = "Access to KMS is not allowed"
        aws.weather.add(
            Rule("*:Put*", effect="error_before", status=400, code="AccessDeniedException", message=message)
        )
        with pytest.raises(AccessDenied, match="kms"):
            first.put(fresh_credential(), first.load().revision)

    @pytest.mark.usefixtures("held_key")
    def test_a_read_back_that_fails_is_ambiguous_although_the_write_was_answered(
        self, aws: Emulator, first: Store, backend: StoreBackend
    ) -> None:
        revision = first.load().revision
        credential = fresh_credential()
        aws.weather.add(denied(self.read_back))
        with pytest.raises(Ambiguous) as raised:
            first.put(credential, revision)
        assert_silent(raised.value, credential)
        assert json.loads(backend.text() or "") == pair(credential)

    @pytest.mark.usefixtures("held_key")
    def test_what_aws_says_about_a_request_with_a_secret_is_left_out(self, aws: Emulator, first: Store) -> None:
        credential = fresh_credential()
        message = f"Value '{credential.reveal()}' at 'value' failed to satisfy constraint"
        aws.weather.add(Rule("*:Put*", effect="error_before", status=400, code="ValidationException", message=message))
        with pytest.raises(ServiceRejected, match="rejected \\(ValidationException\\)") as raised:
            first.put(credential, first.load().revision)
        assert_silent(raised.value, credential)

    @pytest.mark.usefixtures("held_key")
    def test_nothing_is_sent_where_no_connection_can_be_made(
        self, monkeypatch: pytest.MonkeyPatch, clients: Clients, first: Store, backend: StoreBackend
    ) -> None:
        revision = first.load().revision
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        cut_off = open_store(backend.url, Services(Clients("cut-off", clock=clients.clock)))
        with pytest.raises(Unreachable):
            cut_off.put(fresh_credential(), revision)

    @pytest.mark.usefixtures("held_key")
    def test_a_conflict_after_a_lost_response_is_not_taken_for_a_success(
        self, aws: Emulator, first: Store, second: Store, backend: StoreBackend
    ) -> None:
        winner, loser = fresh_credential(), fresh_credential()
        revision = first.load().revision
        second.put(winner, revision)
        aws.weather.add(Rule(self.final_write, effect="reset"))
        assert isinstance(outcome(lambda: first.put(loser, revision)), (Conflict, Ambiguous))
        assert json.loads(backend.text() or "") == pair(winner)


def denied(operation: str) -> Rule:
    return Rule(
        operation,
        effect="error_before",
        status=400,
        code="AccessDeniedException",
        message=f"User: arn:aws:iam::123456789012:user/r is not authorized to perform: {operation} on resource: x",
    )


def user_with(aws: Emulator, policy: str) -> KeyPair:
    """The key of a new user who may do what the policy says and nothing else."""
    name = fresh_name()
    key = aws.make_user(name, keys=1)[0]
    iam = aws.client("iam")
    arn = iam.create_policy(PolicyName=name, PolicyDocument=policy)["Policy"]["Arn"]  # too large to be an inline one
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    return key


def documented_policy(page: str) -> str:
    """The first JSON block of a destination's page: the policy that it tells readers to attach."""
    text = (DOCS / f"{page}.md").read_text()
    return text.split("```json\n", 1)[1].split("```", 1)[0]


def whole_cycle(store: Store) -> None:
    """Everything that a rotation asks of a store, twice."""
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    for _ in range(2):
        store.preflight()
        revision = store.put(fresh_credential(), revision)
        revision = store.save_journal(FULL, revision)
        revision = store.fence(revision)
    assert isinstance(store.held(), Held)
    assert isinstance(store.credential(), Credential)
    credential = fresh_credential()
    assert store.deliver(credential).written
    assert not store.deliver(credential).written
