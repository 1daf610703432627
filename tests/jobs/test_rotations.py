"""A job of any length survives any number of rotations, in each way that can refresh; variables get the guarantee.

One botocore client is the job: it keeps its credentials and refreshes them as its SDK decides. Between two rotations,
LAST's grace ends and LAST is removed, so no key that the job ever read would work to the end.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from support.roles import make_role
from twokey.aws.roles import Sessions
from twokey.cli import relayed_credentials
from twokey.jobs import env
from twokey.jobs.credentials import StoreSource
from twokey.jobs.endpoint import Endpoint
from twokey.jobs.profile import Profile
from twokey.jobs.refreshing import Refreshing
from twokey.jobs.role_chain import RoleChain
from twokey.jobs.session_options import Role, SessionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.rig import Rig
    from twokey.jobs.credentials import Source

ROTATIONS = 3


class Job:
    """A program that runs for weeks and uses one client, as its environment makes it."""

    def __init__(self, rig: Rig, patch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
        for name in env.WINNING:
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        session = botocore.session.Session()
        credentials: Any = session.get_credentials()
        # Time passes for the SDK as it does for AWS.
        credentials._time_fetcher = lambda: datetime.fromtimestamp(rig.time()[0]()).astimezone()
        self.client: Any = session.create_client("sts")
        self.keys: set[str] = set()
        self.failed = 0
        self._credentials = credentials

    def call(self) -> bool:
        """Make a call; say whether it succeeded."""
        try:
            self.client.get_caller_identity()
        except ClientError:
            self.failed += 1
            return False
        self.keys.add(str(self._credentials.access_key))
        return True


@pytest.fixture
def rotate(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Rotate as the rotator does, whatever the job's environment is."""
    world = rig.world(clients=rig.clients("rotator"))

    def perform() -> None:
        from twokey.planning.plan import Overrides
        from twokey.rotation import rotate as rotation

        assert rotation.rotate(world[0], rig.policy, world[1], Overrides()).outcome == "rotated"

    return perform


@pytest.fixture
def store(rig: Rig) -> StoreSource:
    """The store of ci, as a job's own process sees it."""
    rig.settled()
    clients = rig.clients("job")
    return StoreSource(rig.world(clients=clients)[1].store, clients.clock, "ci", rig.policy.grace)


@pytest.fixture
def deploy(rig: Rig, store: StoreSource) -> RoleChain:
    """A role that the store's key assumes."""
    sts = Sessions(rig.clients("job"))
    arn = make_role(rig.aws, "deploy")
    return RoleChain(store, [Role(arn)], SessionOptions("job-1"), sts, lambda _: None)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def by_endpoint(source: Source, store: StoreSource, stack: ExitStack) -> Mapping[str, str]:
    credentials = Refreshing(source, store.clock, lambda _: None, lambda _: None)
    return stack.enter_context(Endpoint(credentials)).variables()


def by_profile(source: Source, store: StoreSource, stack: ExitStack) -> Mapping[str, str]:
    profile = stack.enter_context(Profile({}))
    credentials = Refreshing(source, store.clock, lambda _: None, lambda _: None)
    profile.relay(credentials, relayed_credentials.__name__)
    return profile.variables()


WAYS = [
    pytest.param("deploy", by_endpoint, id="a role by the endpoint"),
    pytest.param("store", by_endpoint, id="the key by the endpoint"),
    pytest.param("store", by_profile, id="the key by credential_process"),
]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_three_rotations_fail_no_call(
    rig: Rig,
    store: StoreSource,
    request: pytest.FixtureRequest,
    rotate: Callable[[], None],
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    way: Callable[[Source, StoreSource, ExitStack], Mapping[str, str]],
) -> None:
    job = Job(rig, monkeypatch, way(request.getfixturevalue(name), store, stack))
    assert job.call()
    first = rig.ids()
    for _ in range(ROTATIONS):
        rotate()
        assert job.call()
        rig.sleep_through((rig.policy.period - rig.policy.slack).total_seconds() + 60)
        assert job.call()
    rotate()
    assert job.call()
    assert job.failed == 0
    assert not set(first) & set(rig.ids())
    assert len(job.keys) > ROTATIONS


def test_variables_work_exactly_as_long_as_grace_guarantees(
    rig: Rig, store: StoreSource, rotate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst case: the job reads right before a rotation."""
    provided = store.read()
    assert provided.guaranteed
    for name, value in env.variables(provided).items():
        monkeypatch.setenv(name, value)
    session = botocore.session.Session()
    client: Any = session.create_client("sts")
    rotate()
    rig.sleep_through((provided.guaranteed - rig.aws.now()).total_seconds() - 1)
    client.get_caller_identity()
    rig.sleep_through(rig.policy.idle.total_seconds())
    rotate()
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        client.get_caller_identity()
    assert timedelta(days=14) < rig.policy.grace < timedelta(days=15)
