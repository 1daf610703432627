"""When a key was last used: IAM denies that for a key that does not exist, whoever asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from simulation.world import USER
from twokey.core.errors import AccessDenied, NotFound, Refused, ServiceError
from twokey.core.journal import Journal
from twokey.core.model import AccessKey, Held, LastUse, Observation, Record
from twokey.rotation.observe import with_last_use

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 6, 1, tzinfo=UTC)
USED = LastUse(NOW, "s3", "eu-central-1")


def denied(key_id: str) -> ServiceError:
    return AccessDenied("iam:GetAccessKeyLastUsed", key_id)


def missing(key_id: str) -> ServiceError:
    return NotFound(key_id)


@dataclass
class ListThatLags:
    """IAM, whose list still shows keys that it does not know any more."""

    shown: tuple[str, ...]
    known: tuple[str, ...]
    error: Callable[[str], ServiceError] = denied
    asked: list[str] = field(default_factory=list)

    def keys(self, _user: str) -> tuple[AccessKey, ...]:
        return tuple(AccessKey(key_id, active=True, created=NOW) for key_id in self.shown)

    def last_use(self, key_id: str) -> LastUse:
        self.asked.append(key_id)
        if key_id not in self.known:
            raise self.error(key_id)
        return USED


def last_use(of: str, iam: ListThatLags, *removed: str) -> LastUse:
    edge: Any = iam
    record = Record(Held("K2"), Journal(removed=dict.fromkeys(removed, NOW)), 1)
    observation = Observation(USER, iam.keys(USER.name), "store", record, {})
    return with_last_use(observation, edge, [of]).last_used[of]


@pytest.mark.parametrize("error", [denied, missing])
@pytest.mark.parametrize("shown", [("K2", "K1"), ("K1", "K2")])
def test_of_a_key_that_was_deleted_is_unknown_where_iam_tells_it_of_another(
    error: Callable[[str], ServiceError], shown: tuple[str, ...]
) -> None:
    iam = ListThatLags(shown, ("K2",), error)
    assert last_use("K1", iam, "K1") == LastUse(None)
    assert iam.asked == ["K1", "K2"]


@pytest.mark.parametrize(
    ("shown", "known", "removed"),
    [
        (("K1", "K2"), (), ("K1",)),
        (("K1", "K2"), ("K2",), ()),
        (("K1",), (), ("K1",)),
        (("K1", "K2"), ("K2",), ("K1", "K2")),
    ],
    ids=["IAM tells of none", "the key was not deleted", "there is no other", "the other was deleted, too"],
)
def test_without_such_a_proof_it_cannot_be_read(
    shown: tuple[str, ...], known: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    with pytest.raises(Refused):
        last_use("K1", ListThatLags(shown, known), *removed)
