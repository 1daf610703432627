"""``twokey move-store`` on the emulator, between real stores."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import commands
from twokey.destinations.registry import Services, open_store
from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig
    from twokey.core.journal import Journal
    from twokey.core.model import Record

SECRET, PARAMETER = "secretsmanager:keys/{user}", "ssm:/keys/{user}"
MOVE = ("move-store", "ci", "--from", SECRET, "--to", PARAMETER)
DUE = ("--window", "4s")


@pytest.fixture
def aws(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The user ci with a LAST, in Secrets Manager; a folder without a configuration."""
    monkeypatch.chdir(tmp_path)
    rig.aws.make_user("ci", keys=1)
    twokey("rotate", "ci", "--store", SECRET, "--to", f"file:{tmp_path}/{{user}}.json", *DUE)
    return rig.aws


def twokey(*arguments: str, code: int = 0) -> str:
    ran = commands.twokey(*arguments)
    assert ran.code == code, ran.out + ran.err
    return ran.out + ran.err


def record(rig: Rig, store: str) -> Record:
    return open_store(store.format(user="ci"), Services(rig.clients())).load()


def pair(aws: Emulator, store: str) -> KeyPair:
    """Read a store as a job does."""
    name = store.partition(":")[2].format(user="ci")
    if store == PARAMETER:
        text = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    else:
        text = aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    found = json.loads(text)
    return KeyPair(found["AccessKeyId"], found["SecretAccessKey"])


def facts(journal: Journal, *stores: str) -> dict[str, Any]:
    """Return what has to be the same in both journals."""
    names = ("user", "current", "last", "committed", "graces", "intent", "removed", "retiring", "delivering")
    delivered = {name: one for name, one in journal.delivered.items() if name not in stores}
    return {name: getattr(journal, name) for name in names} | {"delivered": delivered}


def test_the_pair_and_the_journal_move(rig: Rig, aws: Emulator) -> None:
    before, keys = record(rig, SECRET), aws.keys("ci")
    text = twokey(*MOVE)
    former, new = record(rig, SECRET), record(rig, PARAMETER)
    stores = (SECRET.format(user="ci"), PARAMETER.format(user="ci"))
    assert "ci: completed (move_requested). ssm:/keys/ci is the store now." in text
    assert facts(former.journal, *stores) == facts(new.journal, *stores) == facts(before.journal, *stores)
    assert new.holding == former.holding == before.holding
    assert pair(aws, SECRET) == pair(aws, PARAMETER)
    assert (former.journal.moved, new.journal.moved, new.journal.arriving) == ("ssm:/keys/ci", "", "")
    assert new.journal.delivered["secretsmanager:keys/ci"].key == before.journal.current
    assert new.journal.epoch > before.journal.epoch
    assert (former.journal.lease, new.journal.lease) == (None, None)
    assert aws.keys("ci") == keys


@pytest.mark.parametrize("command", [("rotate",), ("plan",), ("deliver",), ("adopt",), ("rotate", "--force")])
def test_a_configuration_that_names_the_former_store_is_told_where_the_user_is(
    aws: Emulator, command: tuple[str, ...]
) -> None:
    twokey(*MOVE)
    aws.clear_requests()
    more = ("--to", "file:other.json") if command == ("deliver",) else ()
    text = twokey(*command, "ci", "--store", SECRET, *more, code=3)
    assert "moved" in text
    assert "ci was moved to ssm:/keys/ci" in text
    assert not [one for one in aws.requests if one.operation.startswith(("Create", "Put", "Update", "Delete"))]


def test_jobs_that_read_either_store_work_at_each_step(aws: Emulator) -> None:
    twokey(*MOVE)
    assert aws.authenticates(pair(aws, SECRET))
    assert "not due" in twokey("rotate", "ci", "--store", PARAMETER, "--to", SECRET)
    for _ in range(2):
        aws.advance(4)
        assert "rotated" in twokey("rotate", "ci", "--store", PARAMETER, "--to", SECRET, *DUE, "--ignore-last-use")
        assert pair(aws, SECRET) == pair(aws, PARAMETER)
        assert aws.authenticates(pair(aws, SECRET))


@pytest.mark.parametrize("unread", [False, True])
def test_a_former_store_that_is_not_delivered_to_keeps_its_key(aws: Emulator, tmp_path: Path, unread: bool) -> None:
    """Unless it is the operator's word that no job reads it."""
    new = ("--store", PARAMETER, "--to", f"file:{tmp_path}/{{user}}.json")
    twokey(*MOVE, *(["--former-unread"] if unread else []))
    aws.advance(4)
    twokey("rotate", "ci", *new, *DUE, "--ignore-last-use")
    aws.advance(4)
    plan = twokey("plan", "ci", *new, *DUE, code=0 if unread else 3)
    assert ("secretsmanager:keys/ci" in plan) == (not unread), plan


def test_it_can_be_repeated_and_taken_back(rig: Rig, aws: Emulator) -> None:
    twokey(*MOVE)
    again = record(rig, PARAMETER)
    assert "ssm:/keys/ci is the store already" in twokey(*MOVE)
    assert record(rig, PARAMETER) == again
    twokey("move-store", "ci", "--from", PARAMETER, "--to", SECRET)
    assert (record(rig, SECRET).journal.moved, record(rig, PARAMETER).journal.moved) == ("", "secretsmanager:keys/ci")
    assert "not due" in twokey("rotate", "ci", "--store", SECRET)
    assert aws.authenticates(pair(aws, SECRET))


def test_what_cannot_be_moved_is_refused_before_anything_is_written(rig: Rig, aws: Emulator) -> None:
    aws.make_user("site", keys=1)
    twokey("rotate", "site", "--store", PARAMETER)
    aws.clear_requests()
    for more, reason in (
        (("site", "--from", PARAMETER, "--to", "ssm:/keys/ci-{user}"), ""),
        (("ci", "--from", "ssm:/none/{user}", "--to", "ssm:/other/{user}"), "holds no key"),
        (("ci", "--from", SECRET, "--to", "ssm:/keys/site"), "that of another IAM user"),
    ):
        if reason:
            assert reason in twokey("move-store", *more, code=3)
    assert not [one for one in aws.requests if one.operation.startswith(("Create", "Put", "Update", "Delete"))]


@pytest.mark.parametrize("spelling", [SECRET, f"{SECRET}?tag.a=b", "secretsmanager:keys/ci", f"{SECRET}?format=json"])
def test_two_names_of_one_store_are_refused_as_a_mistake(rig: Rig, aws: Emulator, spelling: str) -> None:
    before = record(rig, SECRET)
    aws.clear_requests()
    text = twokey("move-store", "ci", "--from", SECRET, "--to", spelling, code=2)
    assert "--from and --to are the same store of ci" in text
    assert not [one for one in aws.requests if one.operation.startswith(("Create", "Put", "Update", "Delete"))]
    assert record(rig, SECRET) == before


def test_a_move_is_in_the_audit_log_and_the_next_rotation_continues_there(aws: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    logged = ("--audit-log", str(file))
    twokey(
        "rotate",
        "ci",
        "--store",
        SECRET,
        "--to",
        f"file:{tmp_path}/{{user}}.json",
        *DUE,
        *logged,
        "--force",
        "--ignore-last-use",
    )
    twokey(*MOVE, *logged)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    moved = [line for line in lines if line.get("run") == lines[-1]["run"]]
    (rules,) = [line for line in moved if line["what"] == "user"]
    assert (rules["store"], rules["moved_to"]) == ("secretsmanager:keys/ci", "ssm:/keys/ci")
    effects = [(line["effect"], line["destination"]) for line in moved if line["what"] == "begin"]
    former, new = ("journal", "secretsmanager:keys/ci"), ("journal", "ssm:/keys/ci")
    assert effects == [former, new, former, ("store", "ssm:/keys/ci"), new, former, new]
    (store,) = [line for line in moved if line.get("effect") == "store"]
    ended, current = moved[-1], pair(aws, PARAMETER)
    assert store["key"] == ended["current"] == current.access_key_id
    assert (ended["what"], ended["outcome"], ended["reason"]) == ("ended", "completed", "move_requested")
    twokey(*MOVE, *logged)
    assert len(file.read_text().splitlines()) == len(lines), "where there is nothing to move, no line is written"
    aws.advance(4)
    twokey("rotate", "ci", "--store", PARAMETER, "--to", SECRET, *DUE, "--ignore-last-use", *logged)
    twokey("move-store", "ci", "--from", PARAMETER, "--to", SECRET, *logged)
    aws.advance(4)
    twokey("rotate", "ci", "--store", SECRET, "--to", PARAMETER, *DUE, "--ignore-last-use", *logged)
    assert "the log is valid" in twokey("audit-log", "verify", str(file))
    assert current.secret_access_key not in file.read_text()
    assert pair(aws, SECRET).secret_access_key not in file.read_text()


def test_a_move_knows_that_one_url_is_two_destinations_in_two_regions(
    rig: Rig, aws: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the URL of the new store meant elsewhere still holds CURRENT: its key is protected after the move, too."""
    aws.make_user("site", keys=0)
    file = f"file:{tmp_path}/store.json"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    given = json.loads(twokey("rotate", "site", "--store", file, "--to", PARAMETER, "--json"))["results"][0]["current"]
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    twokey("move-store", "site", "--from", file, "--to", PARAMETER)
    delivered = open_store("ssm:/keys/site", Services(rig.clients())).load().journal.delivered
    (elsewhere,) = [name for name in delivered if name.startswith("ssm:/keys/site (eu-west-1")]
    assert {name: one.key for name, one in delivered.items()} == {file: given, elsewhere: given}
    assert delivered[file].identity


class TestWithAConfiguration:
    @pytest.fixture(autouse=True)
    def _file(self, aws: Emulator, tmp_path: Path) -> None:
        del aws
        (tmp_path / "twokey.yaml").write_text(
            f"version: 1\nmachine_users:\n  - users: [ci]\n    store: {SECRET}\n", encoding="utf-8"
        )

    def test_the_store_that_is_not_named_is_the_configured_one(self, rig: Rig) -> None:
        document = json.loads(commands.twokey("move-store", "--to", PARAMETER, "--json").out)
        (entry,) = document["results"]
        assert (entry["outcome"], entry["reason"]) == ("completed", "move_requested")
        assert record(rig, SECRET).journal.moved == "ssm:/keys/ci"

    def test_a_configuration_that_names_the_new_store_already_does_as_well(self, rig: Rig, tmp_path: Path) -> None:
        file = tmp_path / "twokey.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace(SECRET, PARAMETER), encoding="utf-8")
        twokey("move-store", "ci", "--from", SECRET)
        assert record(rig, SECRET).journal.moved == "ssm:/keys/ci"
        assert "not due" in twokey("rotate")

    @pytest.mark.parametrize("spelling", [PARAMETER, "ssm:/keys/ci?tag.a=b"])
    def test_a_user_whose_configuration_has_the_new_store_has_nothing_to_move(
        self, rig: Rig, tmp_path: Path, spelling: str
    ) -> None:
        """As where the command is repeated once the configuration was changed."""
        twokey("move-store", "--to", PARAMETER)
        file = tmp_path / "twokey.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace(SECRET, PARAMETER), encoding="utf-8")
        before = record(rig, PARAMETER)
        for option in ("--to", "--from"):
            text = twokey("move-store", "ci", option, spelling)
            assert "ci: completed (moved). ssm:/keys/ci" in text
            assert "is the store already" in text
        assert record(rig, PARAMETER) == before

    def test_a_store_that_is_not_the_users_any_more_says_where_the_user_is(self) -> None:
        twokey("move-store", "--to", PARAMETER)
        assert "ci was moved to ssm:/keys/ci" in twokey("move-store", "--to", SECRET, code=3)

    def test_one_of_both_stores_has_to_be_named(self) -> None:
        assert "needs --from or --to" in twokey("move-store", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ci", "--to", PARAMETER), "needs the user, --from and --to"),
        (("ci", "--from", SECRET, "--to", "github:acme/site"), "cannot be read back"),
        (("ci", "site", "--from", SECRET, "--to", "ssm:/keys/all"), "the same for every selected user"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in twokey("move-store", *arguments, code=2)


def test_a_move_from_a_store_with_a_lock_takes_the_lock_and_gives_it_back(
    rig: Rig, aws: Emulator, tmp_path: Path
) -> None:
    """A run from the former store that was paused would otherwise not notice the move."""
    aws.client("dynamodb").create_table(
        TableName="locks",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    configuration = tmp_path / "twokey.yaml"
    entry = "version: 1\nmachine_users:\n  - users: [%s]\n    store: %s\n    lock: dynamodb:locks/{user}\n"
    aws.make_user("other", keys=0)
    configuration.write_text(entry % ("other", PARAMETER))
    twokey("rotate")
    aws.clear_requests()
    assert "is the store now" in twokey("move-store", "other", "--to", SECRET)
    assert aws.count("dynamodb:PutItem") > 1
    item = aws.client("dynamodb").get_item(TableName="locks", Key={"LockID": {"S": "other"}})["Item"]
    assert item["lease"]["S"] == "null"
    twokey("rotate", code=3)
    configuration.write_text(entry % ("other", SECRET))
    assert "not due" in twokey("rotate")
