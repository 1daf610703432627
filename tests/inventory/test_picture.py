"""One reading of the account finds the same users as IAM, without a request for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.aws.iam import Iam
from twokey.config.load import from_flags
from twokey.core.errors import NotFound
from twokey.fleet.runtime import Runtime
from twokey.inventory.picture import Picture

if TYPE_CHECKING:
    from support.rig import Rig


def test_it_finds_the_same_users_as_iam(rig: Rig) -> None:
    for name, path in (("b", "/ci/"), ("a", "/ci/x/"), ("c", "/")):
        rig.aws.make_user(name, path=path, keys=0)
    iam = Iam(rig.clients())
    picture = Picture(iam)
    for path in ("/", "/ci/", "/ci/x/", "/none/"):
        assert sorted(picture.users(path), key=str) == sorted(iam.users(path), key=str)
    assert picture.user("a") == iam.user("a")
    assert {user.name for user in picture.account.users} >= {"a", "b", "c"}
    with pytest.raises(NotFound):
        picture.user("nobody")


def test_users_that_a_configuration_names_cost_no_request_each(rig: Rig) -> None:
    names = tuple(f"user-{number}" for number in range(5))
    for name in names:
        rig.aws.make_user(name, keys=0)
    runtime = Runtime()
    picture = Picture(runtime.iam)
    rig.aws.clear_requests()
    settings = from_flags(store="secretsmanager:{user}", users=names)
    found = runtime.roster(settings, (), directory=picture)
    assert [job.user.name for job in found.jobs] == list(names)
    assert rig.aws.count("iam:*") == 0
