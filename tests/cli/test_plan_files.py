"""``plan --out`` and ``rotate --plan``: what was approved is done, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from support.commands import twokey
from support.rig import DAY
from twokey.core.reasons import Outcome, Reason
from twokey.planning import decision
from twokey.planning.binding import bound, following
from twokey.reports import plan_file
from twokey.rotation import rotate
from twokey.rotation.preview import preview

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.rig import Rig
    from twokey.core.model import Observation
    from twokey.planning.plan import Plan

ENTRY = {
    "path": "/machine-users/",
    "store": "secretsmanager:machine-users/{user}",
    "deliver": ["ssm:/a/{user}", "ssm:/b/{user}"],
}


def configure(*entries: dict[str, Any], **settings: Any) -> None:
    quick = {"version": 1, "settle": "0s", "verify": {"successes": 1, "interval": "0s"}}
    with open("twokey.yaml", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump({**quick, **settings, "machine_users": entries or [ENTRY]}, file)


def plan(*options: str) -> None:
    assert twokey("plan", "--out", "plan.json", "--quiet", *options).code == 0


def follow(*options: str) -> dict[str, tuple[str, str]]:
    """Return how each user ended, and why."""
    document = twokey("rotate", "--plan", "plan.json", "--json", *options).document
    return {one["user"]: (one["outcome"], one["reason"]) for one in document["results"]}


CHANGED = ("refused", "plan_changed")


@pytest.fixture
def _users(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user for whom a rotation is due, and one without a key."""
    monkeypatch.chdir(tmp_path)
    rig.settled()
    rig.aws.make_user("new", path="/machine-users/", keys=0)
    configure()


@pytest.mark.usefixtures("_users")
class TestAPlan:
    def test_is_a_private_file_that_an_approver_can_compare(self, tmp_path: Path) -> None:
        (tmp_path / "plan.json").write_text("an older one")
        (tmp_path / "plan.json").chmod(0o644)
        ran = twokey("plan", "--out", "plan.json")
        assert ran.code == 0
        assert "Plan: plan.json, not signed; its SHA-256 is " in ran.err
        assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600
        assert sorted(file.name for file in tmp_path.iterdir()) == ["plan.json", "twokey.yaml"]
        document = json.loads((tmp_path / "plan.json").read_text())
        assert [one["user"] for one in document["plan"]["users"]] == ["ci", "new"]

    def test_is_a_file_only_where_one_is_named(self, tmp_path: Path) -> None:
        ran = twokey("plan")
        told = [line for line in ran.err.splitlines() if not line.startswith("Warning: ")]
        assert (ran.code, told) == (0, ["2 will be rotated."])
        assert [file.name for file in tmp_path.iterdir()] == ["twokey.yaml"]

    def test_is_performed_once(self, rig: Rig) -> None:
        plan()
        assert follow() == {"ci": ("rotated", "due"), "new": ("rotated", "no_key")}
        ids = rig.ids(), rig.ids("new")
        assert follow() == {"ci": CHANGED, "new": CHANGED}
        assert (rig.ids(), rig.ids("new")) == ids

    def test_is_performed_for_the_named_users_alone(self, rig: Rig) -> None:
        plan()
        rig.aws.make_user("late", path="/machine-users/", keys=0)
        assert follow("new", "late") == {"new": ("rotated", "no_key"), "late": ("refused", "not_planned")}
        assert follow() == {"ci": ("rotated", "due"), "new": CHANGED}
        assert rig.ids("late") == []

    def test_touches_no_user_that_is_not_in_it(self, rig: Rig) -> None:
        plan("new")
        ran = twokey("rotate", "--plan", "plan.json")
        assert "1 selected user is not in the plan, and not touched: ci." in ran.err
        assert "ci: " not in ran.out
        assert (ran.code, rig.ids() == [rig.ids()[0], rig.held()]) == (0, True)

    def test_has_the_options_that_it_was_made_with(self, rig: Rig) -> None:
        assert twokey("rotate").code == 0
        ci, new = rig.ids(), rig.ids("new")
        plan("--force", "--retire", ci[0])
        assert follow() == {"ci": ("rotated", "forced"), "new": ("rotated", "forced")}
        assert ci[0] not in rig.ids()
        assert set(new) < set(rig.ids("new"))

    @pytest.mark.parametrize("option", [("--force",), ("--ignore-last-use",), ("--retire", "AKIAIOSFODNN7EXAMPLE")])
    def test_takes_no_other_option_later(self, option: tuple[str, ...]) -> None:
        plan()
        ran = twokey("rotate", "--plan", "plan.json", *option)
        assert (ran.code, f"{option[0]} cannot be combined with --plan" in ran.err) == (2, True)

    def test_is_refused_as_a_whole_once_it_is_too_old(self, rig: Rig) -> None:
        plan()
        rig.aws.advance(3 * DAY + 60)
        before = rig.ids()
        ran = twokey("rotate", "--plan", "plan.json")
        assert (ran.code, "The plan was valid until" in ran.err, rig.ids()) == (3, True, before)
        assert "--plan-max-age" in ran.err
        younger = twokey("rotate", "--plan", "plan.json", "--plan-max-age", "4d")
        assert "(clock_skew)" in younger.out, "only AWS's clock was moved"

    def test_that_was_changed_is_refused_before_anything_is_called(self, rig: Rig, tmp_path: Path) -> None:
        plan()
        file = tmp_path / "plan.json"
        file.write_text(file.read_text().replace('"user": "new"', '"user": "ci"'))
        called = len(rig.aws.requests)
        ran = twokey("rotate", "--plan", "plan.json")
        assert (ran.code, "plan.json was changed after twokey wrote it." in ran.err) == (3, True)
        assert len(rig.aws.requests) == called

    def test_is_signed_with_a_key_of_the_operators_own(self, tmp_path: Path) -> None:
        key = Ed25519PrivateKey.generate()
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "key.pem").write_bytes(secret)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "key.pub.pem").write_bytes(public)
        for options, signed in (((), "not signed"), (("--sign-with", "key.pem"), "signed")):
            made = twokey("plan", "--out", "plan.json", *options)
            digest = hashlib.sha256((tmp_path / "plan.json").read_bytes()).hexdigest()
            assert f"Plan: plan.json, {signed}; its SHA-256 is {digest}.\n" in made.err
            shown = twokey("rotate", "--plan", "plan.json", *(("--signed-by", "key.pub.pem") if not options else ()))
            assert shown.code == 3
        assert secret.decode().splitlines()[1] not in (tmp_path / "plan.json").read_text()
        assert follow("--signed-by", "key.pub.pem")["ci"] == ("rotated", "due")


def key_added(rig: Rig) -> None:
    rig.aws.client("iam").create_access_key(UserName="new")


def key_inactive(rig: Rig) -> None:
    rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=rig.ids()[0], Status="Inactive")


def user_gone(rig: Rig) -> None:
    rig.aws.client("iam").delete_user(UserName="new")


def user_recreated(rig: Rig) -> None:
    user_gone(rig)
    rig.aws.make_user("new", path="/machine-users/", keys=0)


def another_rule(_rig: Rig) -> None:
    configure({**ENTRY, "except": ["new"]}, {**ENTRY, "users": ["new"], "grace": "10d"})


def no_longer_selected(_rig: Rig) -> None:
    configure({**ENTRY, "except": ["new"]})


@pytest.mark.usefixtures("_users")
class TestWhatNoLongerMatches:
    @pytest.mark.parametrize(
        ("change", "user", "how"),
        [
            (key_added, "new", "its keys were none and are AKIA"),
            (key_inactive, "ci", "(Inactive)"),
            (user_gone, "new", "it does not exist, or the configuration does not select it"),
            (user_recreated, "new", "the user was deleted and created again"),
            (another_rule, "new", "its configuration, or the account or region of its store, was changed"),
            (no_longer_selected, "new", "it does not exist, or the configuration does not select it"),
        ],
    )
    def test_is_refused_and_named_while_the_others_go_on(
        self, rig: Rig, change: Callable[[Rig], None], user: str, how: str
    ) -> None:
        plan()
        change(rig)
        ids = rig.ids("ci") if user == "ci" else []
        ran = twokey("rotate", "--plan", "plan.json", "--json")
        results = {one["user"]: one for one in ran.document["results"]}
        refused = results.pop(user)
        assert (refused["outcome"], refused["reason"]) == CHANGED
        assert how in refused["message"]
        assert "Nothing was changed for this user. Make another plan" in refused["message"]
        assert [one["outcome"] for one in results.values()] == ["rotated"]
        assert ran.code == 3
        assert not ids or rig.ids("ci") == ids

    def test_is_not_a_change_of_the_file_that_means_the_same(self) -> None:
        plan()
        configure(dict(reversed(ENTRY.items())), {"users": ["other"], "store": "ssm:/{user}"}, window="30d")
        with open("twokey.yaml", "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write("\n# a comment\n")
        assert follow()["ci"] == ("rotated", "due")

    def test_is_a_connection_that_leads_elsewhere(self) -> None:
        plan()
        configure(connections={"gitlab": {"url": "https://gitlab.example", "token": {"env": "HOME"}}})
        assert set(follow().values()) == {CHANGED}

    def test_is_another_region(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        plan("new")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
        monkeypatch.setenv("AWS_REGION", "ap-south-1")
        assert follow() == {"new": CHANGED}
        assert rig.ids("new") == []

    def test_is_a_user_about_whom_nothing_was_decided(self, rig: Rig) -> None:
        assert twokey("plan", "--out", "plan.json", "new", "ghost").code == 1
        rig.aws.make_user("ghost", path="/machine-users/", keys=0)
        assert follow() == {"new": ("rotated", "no_key"), "ghost": CHANGED}
        assert rig.ids("ghost") == []


class TestUnderTheLease:
    def planned(self, rig: Rig) -> tuple[Any, Any, Any]:
        """Return a user, its world, and what decides under a plan that was made just now."""
        seen: list[tuple[Observation, Plan]] = []

        def remember(observation: Observation, policy: Any, now: Any, overrides: Any = None) -> Plan:
            made = decision.plan(observation, policy, now, overrides)
            seen.append((observation, made))
            return made

        user, world = rig.world()
        preview(user, rig.policy, world, None, remember)
        expires = world.clock.now() + timedelta(hours=1)
        return user, world, following(bound(*seen[-1], hook=False), "ci", expires, hook=False)

    def test_a_change_after_the_look_is_noticed_and_nothing_is_done(self, rig: Rig) -> None:
        rig.settled()
        user, world, decide = self.planned(rig)
        rig.at["lease", "begin"] = lambda: key_inactive(rig)
        ids = rig.ids()
        result = rotate.rotate(user, rig.policy, world, None, decide)
        assert (result.outcome, result.reason, rig.ids()) == (Outcome.REFUSED, Reason.PLAN_CHANGED, ids)
        assert rig.record().journal.lease is None, "the next run begins at once"

    def test_so_is_a_plan_that_became_too_old(self, rig: Rig) -> None:
        rig.settled()
        user, world, decide = self.planned(rig)
        rig.at["lease", "begin"] = lambda: rig.later(hours=2)
        ids = rig.ids()
        result = rotate.rotate(user, rig.policy, world, None, decide)
        assert (result.outcome, result.reason, rig.ids()) == (Outcome.REFUSED, Reason.PLAN_EXPIRED, ids)

    def test_what_nothing_has_changed_is_done(self, rig: Rig) -> None:
        rig.settled()
        user, world, decide = self.planned(rig)
        assert rotate.rotate(user, rig.policy, world, None, decide).outcome is Outcome.ROTATED


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("plan", "--sign-with", "key.pem"), "--out"),
        (("plan", "--out", "nowhere/plan.json"), "--out: nowhere/plan.json"),
        (
            ("plan", "--out", "plan.json", "--sign-with", "twokey.yaml"),
            "--sign-with: twokey.yaml: expected an Ed25519 private key",
        ),
        (("rotate", "--signed-by", "key.pem"), "--signed-by is about the file of --plan."),
        (("rotate", "--plan-max-age", "1d"), "--plan-max-age is about the file of --plan."),
        (("rotate", "--plan", "nowhere.json"), "nowhere.json cannot be read"),
        (("rotate", "--plan", ".", "--plan-max-age", "soon"), "--plan-max-age: 'soon'"),
        (
            ("rotate", "--plan", ".", "--signed-by", "twokey.yaml"),
            "--signed-by: twokey.yaml: expected an Ed25519 public key",
        ),
    ],
)
def test_a_mistake_in_the_options_is_exit_2_and_calls_nothing(
    rig: Rig, command: tuple[str, ...], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure()
    ran = twokey(*command)
    assert (ran.code, hint in ran.err, rig.aws.requests) == (2, True, [])
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.usefixtures("rig")
def test_a_file_that_does_not_end_is_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan_file, "MOST_BYTES", 100)
    configure()
    os.mkfifo("endless")
    over = threading.Event()

    def write() -> None:
        with open("endless", "wb", buffering=0) as pipe:  # noqa: PTH123
            pipe.write(b"{" * 100)
            assert over.wait(20)

    thread = threading.Thread(target=write)
    thread.start()
    ran = twokey("rotate", "--plan", "endless")
    over.set()
    thread.join()
    assert (ran.code, "endless is not a plan" in ran.err) == (3, True), ran.err
