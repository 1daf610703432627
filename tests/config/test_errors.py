"""What is said of everything that can be wrong in twokey.yaml: one sentence, with the line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from twokey.config.load import load as load_file
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Settings

STORE = "secretsmanager:machine-users/{user}"
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


VERSION = "twokey.yaml line 1: `version`: expected the number 1, the version of the format that this twokey reads, got "


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "twokey.yaml: the file is empty. Begin it"),
        ("# nothing\n", "twokey.yaml: the file is empty."),
        ("- a", "twokey.yaml line 1: expected a mapping of keys to values."),
        ("just words", "twokey.yaml line 1: expected a mapping of keys to values."),
        ("window: 30d", "twokey.yaml line 1: `version` is missing. Write `version: 1`"),
        ("version: 2", VERSION + "2."),
        ("version: true", VERSION + "true."),
        ("version: '1'", VERSION + "the text '1'. Remove the quotes: version: 1."),
        ("version: one", VERSION + "'one'."),
        ("version: [1]", VERSION + "a list."),
        ("version: 1", "twokey.yaml line 1: the file has no `machine_users`, which is required."),
        ("version: 1\nmachine_users: []", "twokey.yaml line 2: `machine_users` is an empty list."),
        ("version: 1\nmachine_users: 3", "twokey.yaml line 2: `machine_users` must be a list, not a whole number."),
        ("version: 1\nmachine_users:\n", "twokey.yaml line 2: `machine_users` has no value."),
        ("version: 1\nmachine_users:\n  -\n", "twokey.yaml line 3: an item of `machine_users` has no value."),
        ("version: 1\nmachine_users: {path: a}", "twokey.yaml line 2: `machine_users` must be a list, not a mapping."),
        (
            "version: 1\nmachine_users:\n  - a\n",
            "twokey.yaml line 3: an item of `machine_users` must be a mapping, not text.",
        ),
    ],
)
def test_what_is_missing_at_the_top_is_said(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("windw: 30d", "unknown key `windw`; did you mean `window`?"),
        ("Window: 30d", "unknown key `Window`; did you mean `window`?"),
        ("<<: {window: 3d}", "unknown key `<<`."),
        ("window: 30", "`window`: 30 is not a duration. Write it like 30d"),
        ("window: 30x", "`window`: '30x' is not a duration. Write it like 30d"),
        ("window: 1:30", "`window`: 1:30 is not a duration."),
        ("window: [30d]", "`window` must be text, not a list."),
        ("window:", "`window` has no value. Fill it in, or remove it."),
        ("window: 0s", "window: 0s is too short."),
        ("grace: 20d", "grace: 20d is longer than the period less its slack"),
        ("soak: 20d", "soak: 20d is longer than the period less its slack"),
        ("idle: 29d", "idle: 29d is longer than the period"),
        ("schedule: 20d", "schedule: with a run every 20d, a rotation that is due after"),
        ("schedule: 0s", "`schedule`: the time between two runs cannot be zero."),
        ("verify: {timeout: 10m}", "verify.timeout: 10m is longer than a lease"),
        (
            "verify: {regions: [Bad Region]}",
            "`regions`: expected an AWS region such as eu-central-1, got 'Bad Region'.",
        ),
        ("verify: {regions: [[a]]}", "an item of `regions` must be text, not a list."),
        ("audit_log: ''", "`audit_log` is empty."),
        ("connections: [a]", "`connections` must be a mapping, not a list."),
        ("connections: {github: x}", "`github`: expected a mapping of the connection's settings, got text. Write each"),
        ("connections: {github: }", "`github`: expected a mapping of the connection's settings, got nothing."),
        ("tiers: {prod: 5}", "`prod`: expected a mapping with the tier's settings, got a whole number."),
        ("tiers: {prod: }", "`prod`: expected a mapping with the tier's settings, got nothing."),
        ("roles: {deploy: 5}", "`deploy`: expected the ARN of a role, or a mapping with `arn`, got a whole number."),
        ("store: ssm:/x", "unknown key `store`; it belongs into an entry of `machine_users`."),
        ("max_users: 0", "`max_users` must be at least 1."),
        ("max_users: many", "`max_users` must be a whole number, not text."),
        ("max_users: 1.0", "`max_users` must be a whole number, not a number."),
        ("concurrency: 65", "`concurrency` must be at most 64."),
        ("enforce_window: 'yes'", "`enforce_window` must be true or false, not text."),
        ("verify: {succeses: 1}", "unknown key `succeses`; did you mean `successes`?"),
        ("verify: {successes: 0}", "`successes` must be at least 1."),
        ("verify: {interval: often}", "`verify.interval`: 'often' is not a duration."),
        ("verify: 3", "`verify` must be a mapping, not a whole number."),
        ("version: 1", "`version` occurs twice; the first is on line 1."),
        ("? [a]\n: b", "expected a key that is one word."),
        (
            "window: 2026-13-45",
            "YAML reads `2026-13-45` as a timestamp, and it is not a valid one. Put the value in quotes.",
        ),
        (
            "window: !!python/object/apply:os.system [ls]",
            "the YAML tag `tag:yaml.org,2002:python/object/apply:os.system`",
        ),
        ("window: !secret a", "the YAML tag `!secret` is not supported."),
        ("window: !!binary aGk=", "the YAML tag `tag:yaml.org,2002:binary` is not supported."),
        ("window: @a", "a value cannot begin with `@`. Put the value in quotes."),
        (
            "window: a: b",
            "expected one `key: value` on this line, found a second colon. Put the whole value in quotes.",
        ),
        (
            "window: 'never closed\nmax_users: 1",
            "expected a closing quote: the one that begins here has no end. Add it.",
        ),
        ("window 30d\nmax_users: 1", "expected a colon after the key, as in `window: 30d`. Add it."),
        ('window: "\\q"', "expected an escape that YAML knows after `\\`. Use single quotes"),
        ("window: - 30d", "expected a value after the key, found an item of a list. Put `- ` on the next line."),
        ("window: 'a' b", "expected the end of the line after this value. Put the whole value in quotes."),
        (
            "audit_log: {user}.log",
            "at the beginning of a value, YAML reads `{user}` as a mapping, not as a field. Quote the value:",
        ),
        ("verify: [a,,b]", "expected a value, found `,`."),
        ("window: |x\n a", "this is not YAML: while scanning a block scalar"),
        ("window: *old", "`*` begins a YAML alias. Quote a pattern that begins with it"),
        ("window: a\x00b", "the control character U+0000 is not allowed."),
        ("verify:\n\tsuccesses: 1", ""),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_its_line(line: str, sentence: str) -> None:
    said = refusal(f"version: 1\n{ENTRY}{line}\n")

    if "\t" in line:
        assert said == "twokey.yaml line 6: a tab cannot indent. Indent with spaces."
    else:
        assert said.startswith(f"twokey.yaml line 5: {sentence}")


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("verify: [a, b\nidle: 1d", "line 3: expected `,` or `]` in this list, which begins on line 2. Close the list"),
        ("verify: {a: b\nidle: 1d", "line 3: expected `,` or `}` in this mapping, which begins on line 2. Close it"),
        (
            "users:\n  - a\n  b: c",
            "line 4: expected `- `, as before the items of the list that begins on line 3. Indent",
        ),
        ("verify:\n  a: b\n c: d", "line 4: expected a key of the mapping that begins on line 1. Indent it like the"),
        ("window: 3d\n  idle: 1d", "line 3: expected the value of the key above, found another key, indented deeper."),
        ("window: a: b", "line 2: expected one `key: value` on this line, found a second colon."),
        ("window 3d\nidle: 1d", "line 2: expected a colon after the key"),
        ("window: 'a' b", "line 2: expected the end of the line after this value."),
        ("window: 'a", "line 2: expected a closing quote"),
    ],
)
def test_what_is_not_yaml_is_said_with_the_line_and_what_is_expected_there(
    text: str, sentence: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokey.config.yaml_lines._LOADER", getattr(yaml, loader))

    assert refusal(f"version: 1\n{text}\n").startswith(f"twokey.yaml {sentence}")


@pytest.mark.parametrize(
    ("entry", "line", "sentence"),
    [
        (f"stor: {STORE}", 3, "unknown key `stor`; did you mean `store`?"),
        ("path: a", 3, "this entry of `machine_users` has no `store`, which is required."),
        (f"path: a\n    store: {STORE}\n    max_users: 3", 5, "unknown key `max_users`; it belongs at the top of the"),
        (f"path: a\n    store: {STORE}\n    on_empty: ignore", 5, "`on_empty`: expected warn or error, got ignore."),
        (f"path: a\n    store: {STORE}\n    store_account: own", 5, "`store_account`: expected member or central, got"),
        (
            f"path: a\n    store: {STORE}\n    deliver_account: 1",
            5,
            "`deliver_account`: expected member or central, got",
        ),
        (f"path: a\n    store: {STORE}\non_leak: stop", 5, "`on_leak`: expected report or revoke, got stop."),
        (f"path: a\n    store: {STORE}\n    on_empty: yes", 5, "`on_empty`: expected warn or error, got yes."),
        (f"path: a\n    store: {STORE}\n    except:\n      - a\n      - ''", 7, "`except`: a pattern is empty."),
        (f"path: a\n    store: {STORE}\n    lock: x:y", 5, "`lock`: 'x:y': there is no lock of the kind 'x'"),
        ("path: a\n    store: [a]", 4, "`store` must be a URL, or a mapping with `to`, not a list."),
        ("path: a\n    store: ssm:/{acount}/{user}", 4, "there is no field {acount}; did you mean {account}?"),
        ("path: a\n    store: ssm:/{account/{user}", 4, "has an unmatched brace."),
        (f"path: a\n    store: {STORE}\n    deliver:\n      -", 6, "an item of `deliver` has no value."),
        (
            f"path: a\n    store: {STORE}\n    deliver:\n      - [a]",
            6,
            "an item of `deliver` must be a URL, or a mapping",
        ),
        (
            f"path: a\n    store: {STORE}\n    deliver:\n      - to: ssm:/b/{{user}}\n        id: 1.5",
            7,
            '`id`: YAML reads 1.5 as a number, not as text; quote it: "1.5".',
        ),
        (
            f"path: a\n    store: {STORE}\n    deliver:\n      - to: ssm:/b/{{user}}\n        id: [a, [b]]",
            7,
            "`id`: expected text, a whole number, true or false, a list of texts or a mapping of texts, got a list in",
        ),
        (
            f"path: a\n    store: {STORE}\n    deliver:\n      - to: ssm:/b/{{user}}\n        tags:\n          a: 1",
            8,
            '`tags`: YAML reads 1 as a whole number, not as text; quote it: "1".',
        ),
        (
            (
                f"path: a\n    store: {STORE}\n    deliver:\n"
                "      - {to: 'ssm:/b/{user}', tag: {a: b}, tags: {a: c}}"
            ),
            6,
            "`tag` and `tags` are the same option.",
        ),
        (f"store: {STORE}", 3, "this entry selects no user. Add `path` or `users` to it."),
        (f"path: ''\n    store: {STORE}", 3, "`path`: the IAM path is empty."),
        (f"path: a b\n    store: {STORE}", 3, "`path`: expected an IAM path, got 'a b'."),
        (f"path: café\n    store: {STORE}", 3, "`path`: expected an IAM path, got 'café'."),
        (f"path: {'x' * 511}\n    store: {STORE}", 3, "expected at most 512 characters for an IAM path, got 513."),
        (f"users: ci\n    store: {STORE}", 3, "`users` must be a list, not text. Write users: [ci]."),
        (f"users: ci,cd\n    store: {STORE}", 3, '`users` must be a list, not text. Write users: ["ci,cd"].'),
        (
            f"users: [ci]\n    store: {STORE}\n    deliver: ssm:/b/{{user}}",
            5,
            '`deliver` must be a list, not text. Write deliver: ["ssm:/b/{user}"].',
        ),
        (
            f"users: [ci]\n    store: {STORE}\n    deliver: {{to: ssm:/b}}",
            5,
            "`deliver` must be a list, not a mapping. Begin each item of it with `- `, on a line of its own.",
        ),
        (f"users: []\n    store: {STORE}", 3, "`users` is an empty list."),
        (
            f"users:\n      - ci\n      - no\n    store: {STORE}",
            5,
            '`users`: YAML reads no as true or false, not as text; quote it: "no".',
        ),
        (
            f"users: [12]\n    store: {STORE}",
            3,
            '`users`: YAML reads 12 as a whole number, not as text; quote it: "12".',
        ),
        (f"users: [2026-01-01]\n    store: {STORE}", 3, "`users`: YAML reads 2026-01-01 as a date"),
        (f"users: [~]\n    store: {STORE}", 3, "`users` has no value."),
        (f"users:\n      - ci\n      - a b\n    store: {STORE}", 5, "`users`: expected an IAM user name, got 'a b'."),
        (f"users: [{'x' * 65}]\n    store: {STORE}", 3, "`users`: expected an IAM user name, got 'xxx"),
        (
            f"users:\n      - ci\n      - CI\n    store: {STORE}",
            5,
            "`users`: the user `CI` is named a second time; the first is twokey.yaml line 4",
        ),
        (
            f"users: [ci]\n    except: ['c*']\n    store: {STORE}",
            3,
            "`users`: `ci` is named here and excluded by `c*`.",
        ),
        (
            "path: a\n    store: secretsmanager:x",
            4,
            "`store`: `secretsmanager:x` would be the same for every selected user, and each user's key would",
        ),
        (
            "users: [a, b]\n    store: secretsmanager:x",
            4,
            "`store`: `secretsmanager:x` would be the same for every selected user",
        ),
        (
            f"users: [a, b]\n    store: {STORE}\n    deliver:\n      - ssm:/a/{{user}}\n      - ssm:/b",
            7,
            "`deliver`: `ssm:/b` would be the same for every selected user",
        ),
        (
            f"path: a\n    store: {STORE}\n    deliver: ['{STORE}']",
            5,
            f"`deliver`: `{STORE}` is written to a second time; the first is twokey.yaml line 4: `store`.",
        ),
        (
            "path: a\n    store: secretsmanagr:{user}",
            4,
            "the scheme 'secretsmanagr' is unknown; did you mean secretsmanager?",
        ),
        ("path: a\n    store: secretsmanager:{usr}", 4, "`store`: "),
        ("path: a\n    store: {user}", 4, "`store`: this is a mapping without `to`."),
        (
            f"users: [a]\n    store: {STORE}\n    grace: 15d",
            5,
            "grace: 15d is longer than the period less its slack (14d 9h)",
        ),
        (f"users: [a]\n    store: {STORE}\n    verify: {{timeout: 0.1s}}", 5, "verify.timeout: 0.1s is too short"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said_with_its_line(entry: str, line: int, sentence: str) -> None:
    said = refusal(f"version: 1\nmachine_users:\n  - {entry}\n")

    assert said.startswith(f"twokey.yaml line {line}: ")
    assert sentence in said


def test_a_rule_of_the_top_level_that_does_not_fit_a_rule_of_an_entry_is_said_at_the_latter() -> None:
    text = f"version: 1\ngrace: 10d\n{ENTRY}  - path: b\n    window: 20d\n    store: ssm:/b/{{user}}\n"

    assert refusal(text).startswith("twokey.yaml line 7: grace: 10d is longer than")


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("text", "line", "field", "url"),
    [
        (f"{ENTRY}    deliver:\n      - {{to: ssm:/x/{{user}}}}\n", 6, "{user}", "ssm:/x/{user}"),
        (f"{ENTRY}    deliver:\n      - {{to: x/{{USER}}_ID, format: json}}\n", 6, "{USER}", "x/{USER}_ID"),
        (f"{ENTRY}    deliver: [ssm:/x/{{user}}]\n", 5, "{user}", "ssm:/x/{user}"),
        (f"{ENTRY}    deliver: ['ssm:/x/{{user}}',\n      ssm:/{{path}}]\n", 6, "{path}", "ssm:/{path}"),
        ("machine_users:\n  - {path: a, store: ssm:/{account}}\n", 3, "{account}", "ssm:/{account}"),
        (f"{ENTRY}    deliver:\n      - {{user}}/x\n", 6, "{user}", "{user}/x"),
    ],
)
def test_a_field_that_yaml_reads_as_a_mapping_is_named_with_the_quotes_to_write(
    text: str, line: int, field: str, url: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twokey.config.yaml_lines._LOADER", getattr(yaml, loader))

    said = refusal(f"version: 1\n{text}")

    assert said.startswith(f"twokey.yaml line {line}: ")
    assert f"YAML reads `{field}` as a mapping, not as a field." in said
    assert said.endswith(f'Quote the value: "{url}".')


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (
            "users: [a]\n    store: ssm:/x",
            "users: [b]\n    store: ssm:/x",
            "line 6: `store`: `ssm:/x` is written to a second time",
        ),
        (
            "users: [a]\n    store: ssm:/x",
            "users: [b]\n    store: ssm:/y\n    deliver: ['ssm:/x']",
            "line 7: `deliver`: `ssm:/x`",
        ),
        (
            "users: [a]\n    store: ssm:/x",
            "users: [a]\n    store: ssm:/y",
            "line 5: `users`: the user `a` is named a second time",
        ),
        (
            "path: a\n    store: ssm:/x/{user}",
            "path: /a/\n    store: ssm:/y/{user}",
            "line 5: `path`: `/a/` is selected a second time",
        ),
    ],
)
def test_entries_that_visibly_meet_are_refused(first: str, second: str, sentence: str) -> None:
    said = refusal(f"version: 1\nmachine_users:\n  - {first}\n  - {second}\n")

    assert said.startswith(f"twokey.yaml {sentence}")
    assert "the first is twokey.yaml line " in said


@pytest.mark.parametrize(
    "template",
    [
        "ssm:/x/{user}",
        "github:acme/site?id={USER}_ID&secret={USER}_SECRET",
        "github:acme/site?environment={user}",
        "ssm:/{path}/key",
        "gitlab:acme/{path}?id=A&secret=B",
    ],
)
def test_entries_may_write_to_one_template_that_differs_for_each(template: str) -> None:
    entries = [{"users": [user], "store": f"ssm:/{user}", "deliver": [template]} for user in ("a", "b")]

    assert len(load(json.dumps({"version": 1, "machine_users": entries})).selections) == 2


def test_one_entry_that_writes_to_a_destination_twice_is_told_to_remove_one() -> None:
    said = refusal(f"version: 1\nmachine_users:\n  - users: [a]\n    store: {STORE}\n    deliver: ['{STORE}']\n")

    assert "is written to a second time" in said
    assert said.endswith("Remove one of the two.")


def test_a_path_and_a_user_of_it_with_rules_of_its_own_may_stand_together() -> None:
    settings = load(
        "version: 1\nmachine_users:\n  - {path: a, except: [ci], store: 'ssm:/x/{user}'}\n"
        "  - {path: a, users: [ci], store: 'ssm:/x/{user}', window: 14d}\n"
    )

    assert len(settings.selections) == 2


@pytest.mark.parametrize("number", ["1:30", "1" + ":59" * 200_000, "1" + ":59" * 200_000 + ".5", "0x" + "f" * 900_000])
@pytest.mark.parametrize("key", ["max_users", "version", "window"])
def test_a_number_in_another_base_is_text_and_costs_nothing(key: str, number: str) -> None:
    began = time.process_time()
    said = refusal(f"version: 1\n{key}: {number}\n{ENTRY}" if key != "version" else f"version: {number}\n{ENTRY}")
    assert time.process_time() - began < 5
    assert said.startswith("twokey.yaml line ")
    assert len(said) < 1_000


@pytest.mark.parametrize("number", ["010", "0600", "0b11", "0x1F", "1_000", "1:30", ".inf", ".nan", "9" * 5_000])
def test_a_number_that_is_not_decimal_is_no_number(number: str) -> None:
    assert "`max_users` must be a whole number, not text." in refusal(f"version: 1\nmax_users: {number}\n{ENTRY}")


def test_digits_that_yaml_would_convert_are_kept_as_they_are_written() -> None:
    text = "version: 1\nmachine_users:\n  - {users: [007], store: {to: 'file:x/{user}.json', extra: {Pin: 0640}}}\n"
    (selection,) = load(text).selections
    assert selection.users == ("007",)
    assert "extra.Pin=0640" in selection.store
