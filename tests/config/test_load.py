"""What twokey.yaml and the flags become; and files that cannot be read, or are written to hurt."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from twokey.config import yaml_lines
from twokey.config.load import from_flags, parse
from twokey.config.load import load as load_file
from twokey.config.settings import Selection, Settings, path_prefix
from twokey.core.errors import UsageError
from twokey.planning.policy import DAY, RotationPolicy, Verification
from twokey.system.environment import on_github_actions

STORE = "secretsmanager:machine-users/{user}"
EXAMPLE = """\
version: 1
window: 30d
machine_users:
  - path: /machine-users/
    except: ["*-legacy"]
    store: secretsmanager:machine-users/{user}
    deliver:
      - ssm:/machine-users/{user}
  - users: [deploy]
    store: secretsmanager:deploy
    window: 14d
    soak: 1d
    verify:
      regions: [eu-central-1, us-east-1]
"""
ENTRY = f"machine_users:\n  - path: a\n    store: {STORE}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes) -> Settings:
    file = Path("twokey.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_file(file)


def refusal(text: str | bytes) -> str:
    with pytest.raises(UsageError) as refused:
        load(text)
    return str(refused.value)


def test_the_example_becomes_frozen_values() -> None:
    settings = load(EXAMPLE)

    assert settings.source == "twokey.yaml"
    assert (settings.max_users, settings.concurrency) == (100, 32)
    assert settings.selections == (
        Selection(
            path="/machine-users/",
            users=(),
            exclude=("*-legacy",),
            store=STORE,
            deliver=("ssm:/machine-users/{user}",),
            policy=RotationPolicy(),
        ),
        Selection(
            path=None,
            users=("deploy",),
            exclude=(),
            store="secretsmanager:deploy",
            deliver=(),
            policy=RotationPolicy(
                window=14 * DAY, soak=DAY, verification=Verification(regions=("eu-central-1", "us-east-1"))
            ),
        ),
    )


def test_an_entry_overrides_the_top_level_rule_by_rule() -> None:
    text = f"""
version: 1
window: 20d
grace: 2d
idle: 3h
settle: 5s
rotate_self: true
enforce_window: yes
verify: {{successes: 5, interval: 1s}}
max_users: 7
concurrency: 64
machine_users:
  - path: a
    store: {STORE}
    grace: 1d
    rotate_self: false
    verify: {{successes: 2, timeout: 30s}}
"""
    settings = load(text)

    assert (settings.max_users, settings.concurrency) == (7, 64)
    assert settings.selections[0].policy == RotationPolicy(
        window=20 * DAY,
        requested_grace=DAY,
        requested_idle=timedelta(hours=3),
        settle=timedelta(seconds=5),
        rotate_self=False,
        enforce_window=True,
        verification=Verification(2, timedelta(seconds=1), timedelta(seconds=30)),
    )


def test_aliases_of_a_sane_size_work() -> None:
    settings = load(
        "version: 1\nmachine_users:\n"
        "  - {path: a, except: &old [x-*], store: 'ssm:/a/{user}'}\n"
        "  - {path: b, except: *old, store: 'ssm:/b/{user}'}\n"
    )

    assert [selection.exclude for selection in settings.selections] == [("x-*",), ("x-*",)]


@pytest.mark.parametrize("text", ["a/b", "/a/b/", "/a/b", "a/b/"])
def test_a_path_needs_no_slashes_at_its_ends(text: str) -> None:
    assert path_prefix(text) == "/a/b/"


def test_the_path_of_the_whole_account_is_a_path() -> None:
    assert path_prefix("/") == "/"


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert load(b"\xef\xbb\xbfversion: 1\n" + ENTRY.encode()).selections


def test_flags_and_file_become_the_same_values() -> None:
    flags = from_flags(
        path="a", store=STORE, deliver=["ssm:/x/{user}"], window="20d", grace="1d", idle="1h", soak="2h", exclude=["x"]
    )
    file = load(
        f"version: 1\nwindow: 20d\ngrace: 1d\nidle: 1h\nsoak: 2h\n{ENTRY}    deliver: ['ssm:/x/{{user}}']\n"
        "    except: [x]\n"
    )

    assert flags.selections == file.selections
    assert (flags.max_users, flags.concurrency) == (file.max_users, file.concurrency)
    assert flags.source == "the command line"


def test_of_a_long_list_no_lines_are_kept_and_those_of_the_entries_are() -> None:
    document = yaml_lines.parse("a:\n  - {id: 1}\nb:\n  - {id: 2}\n", "f.yaml")
    document.forget(("a",))
    assert document.lines == {(): 1, ("a",): 1, ("b",): 3, ("b", 0): 4, ("b", 0, "id"): 4}
    assert (document.value, document.spelled) == (None, {})
    assert document.at(("a", 0, "id")) == "f.yaml line 1"


def test_a_read_configuration_keeps_the_lines_that_later_messages_name() -> None:
    text = """\
version: 1
accounts:
  list:
    - {id: "123456789012", role: Twokey}
machine_users:
  - path: /a/
    store: "ssm:/{account}/{user}"
"""
    settings = parse(text, "f.yaml")
    assert settings.selections[0].named("path") == "f.yaml line 6: `path`"


def test_a_missing_file_is_said_with_the_way_on() -> None:
    with pytest.raises(UsageError, match=r"^absent.yaml: the file does not exist\. .*--config.*--path and --store"):
        load_file(Path("absent.yaml"))


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a file, got a directory"):
        load_file(tmp_path)


def test_a_file_that_may_not_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(
        UsageError,
        match=r"^twokey.yaml cannot be read: Permission denied\. Allow the user that runs twokey to read it\.$",
    ):
        load_file(Path("twokey.yaml"))


def test_text_in_another_encoding_is_said_with_its_line() -> None:
    assert refusal("version: 1\n# café".encode("latin-1")).startswith("twokey.yaml line 2: expected UTF-8.")
    assert refusal("version: 1".encode("utf-16")).startswith("twokey.yaml line 1: expected UTF-8.")


def test_more_than_one_document_is_refused() -> None:
    assert "expected one YAML document, found several" in refusal(f"version: 1\n{ENTRY}---\nversion: 1\n")


def test_a_huge_file_is_refused() -> None:
    assert "larger than 1 MiB" in refusal("version: 1\n" + "#" * (1 << 20))


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? "])
def test_depth_is_refused_before_it_overflows_anything(opening: str) -> None:
    assert "nested more than 20 levels deep" in refusal("version: 1\nx:\n  " + opening * 200_000)


def test_aliases_that_double_with_each_level_are_not_followed() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 19)]

    assert "aliases here expand to too many values" in refusal("version: 1\n" + "\n".join(lines))


def test_an_alias_to_itself_is_not_followed() -> None:
    assert "aliases here expand to too many values, or to themselves" in refusal("version: 1\nmachine_users: &a [*a]\n")


def test_without_the_c_parser_the_same_is_read_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twokey.config.yaml_lines._LOADER", yaml.SafeLoader)

    assert len(load(EXAMPLE).selections) == 2
    assert refusal("version: 1\nwindow: a: b").startswith("twokey.yaml line 2: expected one `key: value`")
    assert refusal("version: 1\nverify:\n\tsuccesses: 1").startswith("twokey.yaml line 3: a tab cannot indent")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"store": STORE}, "The command line names no machine user and no path. Add user names"),
        ({"store": None, "path": "a"}, "No store is set"),
        ({"store": STORE, "path": "a b"}, "--path: expected an IAM path, got 'a b'."),
        ({"store": STORE, "users": ["a b"]}, "USER: expected an IAM user name, got 'a b'."),
        ({"store": "x", "path": "a"}, "--store: "),
        ({"store": "ssm:/x", "path": "a"}, "--store: `ssm:/x` would be the same for every"),
        ({"store": STORE, "path": "a", "window": "30"}, "--window: '30' is not a duration."),
        ({"store": STORE, "path": "a", "grace": "16d"}, "grace: 16d is longer than the period less its slack"),
        ({"store": STORE, "path": "a", "max_users": 0}, "--max-users must be at least 1."),
        ({"store": STORE, "path": "a", "concurrency": 65}, "--concurrency must be from 1 to 64."),
    ],
)
def test_what_is_wrong_with_a_flag_is_said_with_its_name(flags: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        from_flags(**flags)  # type: ignore[arg-type]

    assert str(refused.value).startswith(sentence)


def test_one_named_user_needs_no_field_in_the_store() -> None:
    assert from_flags(users=["ci"], store="ssm:/x").selections[0].users == ("ci",)


def test_a_place_that_cannot_be_read_back_is_no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twokey.destinations.registry.STORES", ("secretsmanager",))

    with pytest.raises(UsageError, match=r"^--store: `ssm:/x` cannot be a store, .* Use one of secretsmanager\."):
        from_flags(users=["ci"], store="ssm:/x")


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), ("", False)])
def test_github_actions_is_known_by_its_variable(value: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)

    assert on_github_actions() is expected


def test_reading_a_configuration_imports_neither_botocore_nor_rich() -> None:
    code = "import sys, twokey.config.load; print({'botocore', 'rich', 'click', 'moto', 'yaml'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)

    assert answer.stdout.strip() == "set()"


class TestALock:
    URL = "dynamodb:locks/{user}"

    def test_is_read_from_the_file_and_from_the_command_line(self, tmp_path: Path) -> None:
        file = tmp_path / "twokey.yaml"
        file.write_text(f"version: 1\nmachine_users:\n  - {{path: a, store: '{STORE}', lock: '{self.URL}'}}\n")
        flags = from_flags(store=STORE, path="a", lock=self.URL)
        assert [one.selections[0].lock for one in (load_file(file), flags)] == [self.URL, self.URL]
        assert from_flags(store=STORE, path="a").selections[0].lock is None

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("redis:locks/{user}", "there is no lock of the kind 'redis'"),
            ("dynamodb:locks", "expected dynamodb:TABLE/KEY"),
            ("s3:locks", "expected s3:BUCKET/KEY"),
            ("s3:locks/ci", "would be the same for every selected user"),
        ],
    )
    def test_that_cannot_be_one_is_refused_with_its_position(self, tmp_path: Path, url: str, problem: str) -> None:
        file = tmp_path / "twokey.yaml"
        file.write_text(f"version: 1\nmachine_users:\n  - path: a\n    store: {STORE}\n    lock: '{url}'\n")
        with pytest.raises(UsageError) as raised:
            load_file(file)
        assert "twokey.yaml line 5: `lock`: " in raised.value.message
        assert problem in raised.value.message
        with pytest.raises(UsageError, match="--lock: "):
            from_flags(store=STORE, path="a", lock=url)

    def test_of_one_user_needs_no_field(self) -> None:
        assert from_flags(store=STORE, users=["ci"], lock="s3:locks/ci").selections[0].lock == "s3:locks/ci"
