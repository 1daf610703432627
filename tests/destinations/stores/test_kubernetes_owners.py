"""What a write of twokey's leaves alone in a Secret that has several owners: fields of its own, and of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import Conflict
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.destinations.registry import open_destination, open_store
from twokey.destinations.stores.kubernetes import FENCE, JOURNAL, NOTE
from twokey.testing.contract import Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.fakes.kubernetes_apply import managers
from twokey.testing.stores import FULL

from .test_kubernetes import TARGET, URL, Secret, as_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.destination import Store
    from twokey.destinations.registry import Services
    from twokey.testing.server import ReceivedRequest, Reply


class Listening(Kubernetes):
    """Keeps the bodies of the applies that come in."""

    def __init__(self) -> None:
        super().__init__()
        self.applies: list[dict[str, Any]] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if request.method == "PATCH":
            self.applies.append({"manager": request.query["fieldManager"], **request.json()})
        return super().handle(request)


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


def owners(fake: Kubernetes, *path: str) -> set[tuple[str, str]]:
    """Return who owns a field; of twokey's managers, only that they are twokey's."""
    return {(name.split("-")[0], operation) for name, operation in managers(fake.secrets[TARGET], *path)}


def test_a_write_of_the_journal_or_the_fence_does_not_carry_the_credential(fake: Listening, store: Store) -> None:
    credential = fresh_credential()
    fake.apply(TARGET, as_data(credential))
    store.fence(store.save_journal(FULL, store.load().revision))
    assert [(list(body["metadata"]["annotations"]), "data" in body) for body in fake.applies] == [
        ([JOURNAL], False),
        ([FENCE], False),
    ]
    assert fake.data(TARGET) == as_data(credential)


def test_a_write_says_which_object_and_version_it_means(fake: Listening, store: Store) -> None:
    fake.apply(TARGET, {})
    seen = dict(fake.secrets[TARGET]["metadata"])
    store.deliver(fresh_credential())
    (body,) = fake.applies
    assert {name: body["metadata"].get(name) for name in ("name", "uid", "resourceVersion")} == {
        name: seen[name] for name in ("name", "uid", "resourceVersion")
    }
    assert not {"type", "immutable"} & body.keys()


def test_credential_journal_and_fence_keep_each_other_over_many_writes(fake: Kubernetes, store: Store) -> None:
    revision = store.load().revision
    for epoch in range(1, 4):
        credential = fresh_credential()
        revision = store.save_journal(Journal(epoch=epoch), revision)
        revision = store.fence(store.put(credential, revision))
        assert store.load().journal == Journal(epoch=epoch)
        assert store.credential() == credential
        assert set(fake.annotations(TARGET)) == {JOURNAL, NOTE, FENCE}


def test_places_in_one_secret_keep_each_others_keys_over_many_deliveries(fake: Kubernetes, services: Services) -> None:
    backends = [f"{URL}?id=A&secret=B", f"{URL}?id=C&secret=D", f"{URL}?format=json&name=E"]
    held = [fresh_credential(), fresh_credential(), fresh_credential()]
    for which, url in enumerate(backends):
        open_destination(url, services).deliver(held[which])
    for which in (0, 1, 1, 2, 0, 2, 1):
        held[which] = fresh_credential()
        assert open_destination(backends[which], services).deliver(held[which]).written
        for url, credential in zip(backends, held, strict=True):
            assert open_destination(url, services).held() == Held(credential.access_key_id)
        assert held[which].access_key_id in fake.annotations(TARGET)[NOTE]


def test_a_place_under_other_names_leaves_the_keys_under_the_first_ones(fake: Kubernetes, services: Services) -> None:
    for _ in range(2):
        older, newer = fresh_credential(), fresh_credential()
        open_destination(URL, services).deliver(older)
        open_destination(f"{URL}?id=A&secret=B", services).deliver(newer)
    assert fake.data(TARGET) == {**as_data(older), "A": newer.access_key_id, "B": newer.reveal()}


def test_what_a_person_made_with_kubectl_is_taken_over(fake: Kubernetes, store: Store) -> None:
    fake.apply(TARGET, {**as_data(fresh_credential()), "REGION": "eu-central-1"})
    for _ in range(2):
        credential = fresh_credential()
        store.deliver(credential)
        assert fake.data(TARGET) == {**as_data(credential), "REGION": "eu-central-1"}
    assert owners(fake, "data", "AWS_SECRET_ACCESS_KEY") == {("twokey", "Apply")}
    assert owners(fake, "data", "REGION") == {("kubectl", "Update")}


def test_what_twokey_made_itself_is_taken_over(fake: Kubernetes, store: Store) -> None:
    """Kubernetes takes who makes an object and who applies to it for two, whatever their names."""
    for _ in range(3):
        credential = fresh_credential()
        store.deliver(credential)
        assert fake.data(TARGET) == as_data(credential)
        assert credential.access_key_id in fake.annotations(TARGET)[NOTE]
    assert owners(fake, "data", "AWS_SECRET_ACCESS_KEY") == {("twokey", "Apply")}
    assert owners(fake, "type") == {("twokey", "Update")}


def test_a_gitops_tool_that_applies_the_same_key_gets_a_conflict(fake: Kubernetes, store: Store) -> None:
    for _ in range(2):
        credential = fresh_credential()
        store.deliver(credential)
    response = fake.server_side(TARGET, "gitops", {"AWS_ACCESS_KEY_ID": "from the repository", "REGION": "x"})
    assert response.status == 409
    assert response.body["message"].startswith('Apply failed with 1 conflict: conflict with "twokey-credential-')
    assert fake.data(TARGET) == as_data(credential)


def test_what_a_gitops_tool_applies_beside_it_stays_its_own(fake: Kubernetes, store: Store) -> None:
    for region in ("eu-central-1", "eu-west-1"):
        assert fake.server_side(TARGET, "gitops", {"REGION": region}).status in {200, 201}
        credential = fresh_credential()
        store.put(credential, store.save_journal(FULL, store.load().revision))
        assert fake.data(TARGET) == {"REGION": region, **as_data(credential)}
    assert owners(fake, "data", "REGION") == {("gitops", "Apply")}


@pytest.mark.parametrize("write", ["credential", "journal", "fence"])
def test_a_secret_deleted_between_look_and_write_is_not_made_again_with_half_of_it(
    fake: Kubernetes, store: Store, write: str
) -> None:
    fake.apply(TARGET, {**as_data(fresh_credential()), "REGION": "eu-central-1"})
    seen = store.load().revision
    acts: dict[str, Callable[[], object]] = {
        "credential": lambda: store.put(fresh_credential(), seen),
        "journal": lambda: store.save_journal(FULL, seen),
        "fence": lambda: store.fence(seen),
    }
    fake.before_patch.append(fake.secrets.clear)
    assert isinstance(outcome(acts[write]), Conflict)
    assert fake.secrets == {}
