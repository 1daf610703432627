"""A store that is not AWS's: Vault, Kubernetes, Doppler. A whole rotation, and one that is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.company import GITHUB, ID, SECRET, VAULT, WEBHOOK, ends
from twokey.emulator import KeyPair, Rule
from twokey.testing.fakes.doppler import Doppler
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.fakes.vault import Vault
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from services.company import Company
    from twokey.testing.server import FakeService

Fake = Vault | Kubernetes | Doppler
OTHERS = (GITHUB[0], VAULT[0], WEBHOOK[0])


class Store:
    """A place of record in another service, reached through a connection named ``store``."""

    def __init__(self, company: Company, fake: Fake, kind: str, rest: str) -> None:
        self.company, self.fake, self.kind = company, fake, kind
        self.url = f"{kind}:{rest}?connection=store"

    def open(self) -> Store:
        """Write a twokey.yaml that keeps the key of ``ci`` here."""
        self.company.patch.setenv("STORE_TOKEN", next(iter(self.fake.tokens)))
        reached = {"kind": self.kind, "url": self.fake.url, "token": {"env": "STORE_TOKEN"}}
        self.company.rig.aws.make_user("ci", keys=0)
        self.company.write({"users": ["ci"], "store": self.url, "deliver": [*OTHERS]}, store=reached)
        return self

    def read(self) -> KeyPair:
        """Return the pair that jobs read here; it works."""
        pair = _pair(self.fake)
        assert self.company.rig.aws.authenticates(pair)
        return pair

    def rotate(self, *options: str, code: int = 0) -> dict[str, Any]:
        """Rotate, and return the result."""
        ran = self.company.run("rotate", "--json", *options)
        assert ran.code == code, ran.out + ran.err
        (result,) = ran.document["results"]
        assert isinstance(result, dict)
        return result


def _pair(fake: FakeService) -> KeyPair:
    found: Mapping[str, Any]
    if isinstance(fake, Vault):
        found = fake.data("machine-users/ci") or {}
        return KeyPair(found["AccessKeyId"], found["SecretAccessKey"])
    if isinstance(fake, Kubernetes):
        found = fake.data("apps/ci")
    else:
        assert isinstance(fake, Doppler)
        found = {name: fake.read("site/prd", name) for name in (ID, SECRET)}
    return KeyPair(found[ID], found[SECRET])


KINDS: dict[str, tuple[type[Fake], str]] = {
    "vault": (Vault, "secret/machine-users/{user}"),
    "kubernetes": (Kubernetes, "apps/{user}"),
    "doppler": (Doppler, "site/prd"),
}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, company: Company) -> Iterator[Store]:
    make, rest = KINDS[request.param]
    with make() as fake:
        yield Store(company, fake, request.param, rest).open()


def test_three_rotations_hand_each_key_on_and_remove_the_third_last(store: Store) -> None:
    first = store.rotate()
    assert (first["outcome"], store.read().access_key_id) == ("rotated", first["current"])
    second = store.rotate("--force")
    assert (second["last"], second["removed"]) == (first["current"], [])
    third = store.rotate("--force", "--ignore-last-use")
    assert third["removed"] == [first["current"]]
    pair = store.read()
    assert store.company.rig.ids() == [second["current"], pair.access_key_id]
    for url in OTHERS:
        assert store.company.read(url) == (pair.access_key_id, pair.secret_access_key)
    store.company.forget()
    store.fake.clear()
    assert store.rotate()["outcome"] == "not_due"
    assert store.company.writes() == {}
    assert store.fake.count("P*", "secret") == 0


def test_a_run_killed_after_the_creation_is_made_good_by_the_next(store: Store) -> None:
    first = store.rotate()["current"]
    aws = store.company.rig.aws
    rule = aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
    with store.company.begin("rotate", "--force") as process:
        aws.weather.wait_until_held(300)
        process.kill()
        process.communicate()
    aws.weather.remove(rule)
    aws.weather.release()
    (orphan,) = set(store.company.rig.ids()) - {first}
    assert store.read().access_key_id == first
    result = store.rotate()
    assert (result["outcome"], result["reason"], result["removed"]) == ("rotated", "interrupted", [orphan])
    assert store.read().access_key_id == result["current"]
    assert store.company.rig.ids() == [first, result["current"]]


def test_a_run_killed_after_the_store_was_written_is_finished_without_another_key(store: Store) -> None:
    first = store.rotate()["current"]
    store.company.killed(store.company.github, "PUT", "/site-1/")
    held = store.read().access_key_id
    assert held != first
    store.company.forget()
    ran = store.company.run("rotate", "--json")
    assert (ran.code, ran.outcomes) == (0, {"ci": "completed"})
    assert ends(ran, "delivered") == list(OTHERS)
    assert store.company.rig.aws.count("iam:CreateAccessKey") == 0
    assert store.company.rig.ids() == [first, held]


@pytest.mark.parametrize("body", [{}, [None], "text", {"data": "text"}, {"error": "text"}], ids=repr)
def test_a_service_that_is_not_the_one_expected_is_no_defect(store: Store, body: Any) -> None:
    store.fake.add(Fault("*", "", "refuse", times=None, status=200, body=body))
    for command in (("rotate",), ("plan",), ("status",), ("adopt", "--yes"), ("env", "ci")):
        ran = store.company.run(*command)
        assert ran.code in (1, 3)
        assert "defect" not in ran.out + ran.err
    assert store.company.rig.ids() == []


def test_a_service_that_is_away_keeps_a_rotation_from_beginning(store: Store) -> None:
    first = store.rotate()["current"]
    store.fake.__exit__()
    store.company.forget()
    for command in (("rotate", "--force"), ("deliver",), ("plan",), ("status",)):
        ran = store.company.run(*command)
        assert ran.code in (1, 3)
        assert "cannot be reached" in ran.out + ran.err
        assert "Traceback" not in ran.err
    assert store.company.rig.ids() == [first]
    assert store.company.writes() == {}
    store.fake.__enter__()
    assert store.rotate("--force")["outcome"] == "rotated"
