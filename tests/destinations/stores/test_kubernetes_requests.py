"""What twokey asks Kubernetes, field by field: a fake may ignore a field that a cluster needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, ServiceError
from twokey.destinations.identity import identity
from twokey.destinations.registry import open_destination, open_store, parse
from twokey.destinations.stores.kubernetes import FENCE, JOURNAL
from twokey.testing.contract import ACCOUNT, Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.server import Fault
from twokey.testing.stores import FULL

from .test_kubernetes import TARGET, URL, Secret, as_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.destinations.registry import Services
    from twokey.testing.server import ReceivedRequest, Reply

CREDENTIAL = "twokey-credential-a346afeb3964f45a"
"""The field manager of a pair with the usual names."""


class Listening(Kubernetes):
    """Keeps the requests that do not only read."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[ReceivedRequest] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method != "GET":
            self.received.append(request)
        return super().handle(request)

    def managers(self) -> list[str]:
        """Return the field manager of each write."""
        return [request.query["fieldManager"] for request in self.received]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    monkeypatch.setenv("TEST_KUBERNETES_TOKEN", "sa-token")
    with Listening() as kubernetes:
        yield kubernetes


@pytest.fixture
def services(fake: Listening) -> Services:
    return services_of(Secret(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


def review(**attributes: str) -> dict[str, Any]:
    """Return the question whether a verb is allowed, as ``kubectl auth can-i`` asks it."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"namespace": "apps", "resource": "secrets", **attributes}},
    }


def test_preflight_asks_for_the_verbs_and_tries_a_whole_opaque_secret(fake: Listening, store: Store) -> None:
    store.preflight()
    create, patch, tried = fake.received
    assert create.json() == review(verb="create")
    assert patch.json() == review(verb="patch", name="ci")
    assert tried.query == {"dryRun": "All", "fieldManager": "twokey-fence"}
    metadata = {"name": "ci", "annotations": {FENCE: "preflight"}}
    assert tried.json() == {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}


def test_each_set_of_fields_keeps_the_name_of_its_manager(fake: Listening, store: Store) -> None:
    """With another name, an older release would stay an owner of the fields beside it."""
    revision = store.save_journal(FULL, store.load().revision)
    store.fence(store.put(fresh_credential(), revision))
    assert fake.managers() == ["twokey-journal", CREDENTIAL, "twokey-fence"]
    assert set(fake.annotations(TARGET)) >= {JOURNAL, FENCE}
    assert re.fullmatch("[0-9a-f]{16}", fake.annotations(TARGET)[FENCE])


def test_session_tokens_are_removed_on_condition_of_what_was_read(fake: Listening, store: Store) -> None:
    fake.apply(TARGET, {**as_data(fresh_credential()), "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLE"})
    seen = {name: fake.secrets[TARGET]["metadata"][name] for name in ("uid", "resourceVersion")}
    store.deliver(fresh_credential())
    assert fake.managers() == ["twokey-cleanup", CREDENTIAL]
    assert fake.received[0].json() == {"metadata": seen, "data": {"AWS_SESSION_TOKEN": None}}


@pytest.mark.parametrize(
    ("beside", "denied"), [({}, "write"), ({"AWS_SESSION_TOKEN": "x"}, "remove AWS_SESSION_TOKEN from")]
)
def test_a_denied_write_names_what_was_denied_and_the_verbs_that_are_needed(
    fake: Listening, store: Store, beside: dict[str, str], denied: str
) -> None:
    fake.apply(TARGET, {**as_data(fresh_credential()), **beside})
    fake.denied.add("patch")
    error = outcome(lambda: store.deliver(fresh_credential()))
    assert isinstance(error, AccessDenied)
    assert f"{denied} the Secret {TARGET}" in error.message
    assert "get, create and patch on secrets in the namespace apps" in error.remedy


@pytest.mark.parametrize("body", [None, {}, {"status": None}])
def test_a_review_without_a_verdict_allows_nothing(fake: Listening, store: Store, body: Any) -> None:
    fake.add(Fault("POST", "reviews", "refuse", times=None, status=201, body=body))
    assert isinstance(outcome(store.preflight), AccessDenied)


def test_only_a_404_says_that_there_is_no_secret_and_only_a_200_shows_one(fake: Listening, store: Store) -> None:
    missing = {"kind": "Status", "reason": "NotFound", "details": {"kind": "secrets"}}
    shown = {"kind": "Secret", "metadata": {"uid": "u", "resourceVersion": "1"}}
    for body in (missing, shown):
        fake.clear()
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=410, body=body))
        assert isinstance(outcome(store.load), ServiceError)


@pytest.mark.parametrize("body", [None, []])
def test_a_200_without_an_object_proves_nothing(fake: Listening, store: Store, body: Any) -> None:
    fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=200, body=body))
    assert isinstance(outcome(store.preflight), Ambiguous)


def test_a_secret_without_a_type_is_an_opaque_one(fake: Listening, store: Store) -> None:
    fake.apply(TARGET, {})
    del fake.secrets[TARGET]["type"]
    assert outcome(store.preflight) is None


def test_names_may_be_as_long_as_kubernetes_allows() -> None:
    parse(f"kubernetes:{'a' * 63}/{'b' * 253}")


def test_two_secrets_are_two_destinations(services: Services) -> None:
    one, other = (open_destination(url, services) for url in (URL, f"{URL}-2"))
    assert identity(one, services, ACCOUNT) != identity(other, services, ACCOUNT)
