"""Each mistake gets one clear sentence and the right exit code, and with exit 2 nothing is called."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
PATH = ("--path", "/machine-users/", "--store", STORE)
YAML = "version: 1\nmachine_users:\n  - path: /machine-users/\n    store: secretsmanager:machine-users/{user}\n"

USAGE = {
    "an unknown command": (("rotat",), "Did you mean 'rotate'?"),
    "an unknown flag": (("rotate", *PATH, "--widow", "30d"), "--window"),
    "a flag without its value": (("rotate", "--path"), "--path"),
    "a malformed duration": (("rotate", *PATH, "--window", "soon"), "Write it like 30d, 12h, 90s"),
    "a window too short": (("rotate", *PATH, "--window", "1s"), "too short"),
    "a grace longer than the period less its slack": (("rotate", *PATH, "--grace", "15d"), "grace"),
    "a soak longer than the period": (("rotate", *PATH, "--soak", "20d", "--grace", "1d"), "soak"),
    "no store": (("rotate", "--path", "/machine-users/"), "--store"),
    "nobody selected": (("rotate", "--store", STORE), "--path"),
    "an unknown kind of store": (("rotate", "ci", "--store", "secretmanager:a"), "secretsmanager"),
    "a store without a name": (("rotate", "ci", "--store", "ssm:"), "ssm"),
    "a store that is no URL": (("rotate", "ci", "--store", "somewhere"), "somewhere"),
    "an unknown field in a template": (("rotate", "ci", "--store", "ssm:/{usr}"), "{user}"),
    "a store without {user} for several users": (("rotate", "--path", "/m/", "--store", "ssm:/one"), "{user}"),
    "two users that would write the same store": (("rotate", "a", "b", "--store", "ssm:/one"), "{user}"),
    "one destination named twice": (("rotate", "a", "--store", "ssm:/one", "--to", "ssm:/one"), "ssm:/one"),
    "a path that is no IAM path": (("rotate", "--path", "/machine users/", "--store", STORE), "machine users"),
    "a user name that is none": (("rotate", "a b", "--store", STORE), "a b"),
    "a key id that is none": (("rotate", *PATH, "--retire", "my-key"), "my-key"),
    "a limit below one": (("rotate", *PATH, "--max-users", "0"), "max-users"),
    "a number that is none": (("rotate", *PATH, "--concurrency", "many"), "many"),
    "a configuration file that is not there": (("rotate", "--config", "nowhere.yaml"), "nowhere.yaml"),
}


class TestUsage:
    @pytest.mark.parametrize("mistake", USAGE)
    def test_is_exit_2_and_calls_nothing(self, mistake: str, rig: Rig) -> None:
        arguments, hint = USAGE[mistake]
        ran = twokey(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert hint in ran.err
        assert "Traceback" not in ran.err
        assert rig.aws.requests == []

    @pytest.mark.parametrize(
        ("text", "hints"),
        [
            (YAML.replace("store", "stor"), ("line 4", "`stor`", "`store`")),
            (YAML.replace("version: 1", "version: 2"), ("line 1", "version")),
            (YAML + "widow: 30d\n", ("line 5", "`window`")),
            (YAML + "window: [30]\n", ("line 5", "window")),
            (YAML + "  - : {\n", ("line",)),
            ("", ("empty",)),
            (YAML + "connections: {github: {token: x}}\n", ("line 5", "`token`", "{env: NAME}")),
        ],
    )
    def test_of_the_configuration_names_the_line_and_the_nearest_key(
        self, text: str, hints: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rig: Rig
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(text)
        ran = twokey("rotate")
        assert ran.code == 2
        assert all(hint in ran.err for hint in hints), ran.err
        assert rig.aws.requests == []

    @pytest.mark.parametrize("command", ["rotate", "plan", "status", "adopt", "move-store --to ssm:/{user}"])
    @pytest.mark.parametrize("name", ["", "a b"])
    def test_of_a_name_that_no_user_can_have_is_exit_2_beside_a_file_as_well(
        self, command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rig: Rig
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(YAML)
        ran = twokey(*command.split(), name)
        assert (ran.code, ran.out) == (2, "")
        assert f"USER: expected an IAM user name, got {name!r}." in ran.err
        assert rig.aws.requests == []

    def test_of_an_empty_name_of_a_file_does_not_mean_the_default_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rig: Rig
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(YAML)
        for command in ("rotate", "audit", "exec"):
            assert twokey(command, "--config", "", *(["ci", "--", "true"] if command == "exec" else [])).code in (
                2,
                125,
            )
        assert rig.aws.requests == []

    def test_a_policy_flag_beside_a_configuration_file_is_refused_and_not_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(YAML)
        ran = twokey("rotate", "--window", "10d")
        assert ran.code == 2
        assert "--window" in ran.err


class TestCredentials:
    def test_that_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "No AWS credentials were found" in ran.err
        assert "AWS_PROFILE" in ran.err

    def test_of_a_profile_that_does_not_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nowhere")
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "nowhere" in ran.err
        assert "Traceback" not in ran.err

    def test_that_are_unknown(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "does not know the credentials" in ran.err

    def test_that_have_expired(self, rig: Rig) -> None:
        rig.aws.weather.add(
            Rule("iam:*", effect="error_before", status=403, code="ExpiredToken", message="expired", times=None)
        )
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "have expired" in ran.err
        assert "Renew the session" in ran.err

    def test_without_a_region(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.aws.make_user("ci", keys=0)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        ran = twokey("rotate", "ci", "--store", STORE)
        assert ran.code in (1, 3)
        assert "region" in ran.out + ran.err
        assert rig.ids() == []


class TestServices:
    def test_an_endpoint_that_nobody_answers(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "no connection" in ran.err
        assert "AWS_ENDPOINT_URL" in ran.err

    def test_an_endpoint_that_is_no_url(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
        ran = twokey("rotate", *PATH)
        assert ran.code == 2
        assert "AWS_ENDPOINT_URL" in ran.err

    def test_listing_denied_names_the_permission_and_the_resource(self, rig: Rig) -> None:
        _denied(rig, "iam:ListUsers")
        ran = twokey("rotate", *PATH)
        assert ran.code == 1
        assert "iam:ListUsers" in ran.err

    def test_one_user_denied_stops_nobody_else(self, rig: Rig) -> None:
        rig.aws.make_user("a", path="/machine-users/", keys=0)
        rig.aws.make_user("b", path="/machine-users/", keys=0)
        rig.aws.weather.add(
            Rule(
                "iam:ListAccessKeys",
                target="a",
                times=None,
                effect="error_before",
                status=403,
                code="AccessDenied",
                message="User: x is not authorized to perform: iam:ListAccessKeys on resource: user a because",
            )
        )
        ran = twokey("rotate", *PATH, "--json")
        assert ran.code == 3
        assert ran.outcomes == {"a": "refused", "b": "rotated"}
        assert "iam:ListAccessKeys on user a" in ran.document["results"][0]["message"]

    def test_a_user_that_does_not_exist(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        ran = twokey("rotate", "ci", "cii", "--store", STORE, "--json")
        assert ran.code == 1
        assert ran.outcomes == {"ci": "rotated", "cii": "failed"}

    def test_a_name_that_the_store_cannot_hold_stops_nobody_else(self, rig: Rig) -> None:
        rig.aws.make_user("a,b", path="/machine-users/", keys=0)
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        ran = twokey("rotate", *PATH, "--json")
        assert ran.code == 1
        assert ran.outcomes == {"ci": "rotated", "a,b": "failed"}

    def test_a_path_with_nobody_on_it(self, rig: Rig) -> None:
        ran = twokey("rotate", "--path", "/nobody/", "--store", STORE)
        assert ran.code == 1
        assert "No IAM user is below /nobody/ in account 123456789012." in ran.err

    def test_a_path_with_nobody_on_it_where_the_account_is_unknown(self, rig: Rig) -> None:
        rig.aws.weather.add(Rule("sts:GetCallerIdentity", times=None, effect="error_before", status=500, code="Gone"))
        ran = twokey("rotate", "--path", "/nobody/", "--store", STORE)
        assert ran.code == 1
        assert "No IAM user is below /nobody/ in this account." in ran.err

    def test_a_store_that_cannot_be_reached(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.aws.make_user("ci", keys=0)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
        ran = twokey("rotate", "ci", "--store", STORE)
        assert ran.code in (1, 3)
        assert "no connection" in ran.out
        assert "Nothing was changed." in ran.out
        assert rig.ids() == []

    def test_a_secret_that_is_scheduled_for_deletion(self, rig: Rig) -> None:
        last, current = rig.settled()
        rig.aws.client("secretsmanager").delete_secret(SecretId="machine-users/ci")
        ran = twokey("rotate", "ci", "--store", STORE)
        assert ran.code == 3
        assert "restore-secret" in ran.out
        assert rig.ids() == [last.access_key_id, current.access_key_id]

    def test_a_kms_key_that_is_denied(self, rig: Rig) -> None:
        last, current = rig.settled()
        rig.aws.weather.add(
            Rule(
                "secretsmanager:PutSecretValue",
                times=None,
                effect="error_before",
                status=400,
                code="AccessDeniedException",
                message="Access to KMS is not allowed",
            )
        )
        ran = twokey("rotate", "ci", "--store", STORE)
        assert ran.code == 3
        assert "kms:GenerateDataKey" in ran.out
        assert rig.ids() == [last.access_key_id, current.access_key_id]

    def test_a_clock_that_is_off(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.weather.skew = 120
        ran = twokey("rotate", "ci", "--store", STORE)
        assert ran.code == 3
        assert "clock" in ran.out


class TestFiles:
    def test_a_symlink_is_not_followed(self, rig: Rig, tmp_path: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        (tmp_path / "ci.json").symlink_to(tmp_path / "elsewhere")
        ran = twokey("rotate", "ci", "--store", f"file:{tmp_path}/{{user}}.json")
        assert ran.code == 3
        assert "symlink" in ran.out or "symbolic link" in ran.out
        assert rig.ids() == []
        assert not (tmp_path / "elsewhere").exists()

    def test_a_destination_that_cannot_be_written(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        ran = twokey("rotate", "ci", "--store", "file:/proc/{user}.json")
        assert ran.code == 3
        assert "/proc" in ran.out
        assert rig.ids() == []

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a thing of Linux")  # noqa: PTH110
    def test_a_device_is_no_file(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        ran = twokey("rotate", "ci", "--store", "file:/dev/full")
        assert ran.code == 3
        assert rig.ids() == []


class TestProtectionFromMistakes:
    def test_more_users_than_may_be_touched_changes_nothing(self, rig: Rig) -> None:
        for name in ("a", "b", "c"):
            rig.aws.make_user(name, path="/machine-users/", keys=1)
        rig.aws.clear_requests()
        ran = twokey("rotate", *PATH, "--max-users", "2", "--json")
        assert ran.code == 3
        assert ran.outcomes == {"a": "refused", "b": "refused", "c": "refused"}
        assert "--max-users 3" in ran.document["results"][0]["message"]
        assert {request.operation for request in rig.aws.requests} == {"ListUsers"}

    def test_twokeys_own_key_is_refused(self, rig: Rig) -> None:
        (name,) = [user["UserName"] for user in rig.aws.client("iam").list_users()["Users"]]
        ran = twokey("rotate", name, "--store", STORE)
        assert ran.code == 3
        assert "twokey itself runs with" in ran.out
        assert len(rig.aws.keys(name)) == 1


def _denied(rig: Rig, action: str) -> None:
    rig.aws.weather.add(
        Rule(
            action,
            times=None,
            effect="error_before",
            status=403,
            code="AccessDenied",
            message=f"User: x is not authorized to perform: {action} on resource: y because no policy allows it",
        )
    )
