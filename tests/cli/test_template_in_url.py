"""A template that puts the secret into a URL: every URL can be read back, and one that could not be is warned of."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

USERS = [f"worker-{number}" for number in range(6)]
RAW, ENCODED = "$SecretAccessKey", "${SecretAccessKey:url}"
URL = "file:broker/{user}.url?format=template&template=sqs://$AccessKeyId:"


@pytest.fixture(autouse=True)
def _users(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for user in USERS:
        rig.aws.make_user(user, path="/workers/", keys=0)


@pytest.mark.parametrize("how", ["flags", "url", "mapping"])
def test_every_reader_of_the_url_finds_the_secret(rig: Rig, how: str, tmp_path: Path) -> None:
    store = "secretsmanager:machine-users/{user}"
    deliver = {
        "url": f"'{URL}{ENCODED}@'",
        "mapping": f"{{to: 'file:broker/{{user}}.url', format: template, template: 'sqs://$AccessKeyId:{ENCODED}@'}}",
    }
    if how == "flags":
        ran = twokey("rotate", "--path", "/workers/", "--store", store, "--to", f"{URL}{ENCODED}@")
    else:
        (tmp_path / "twokey.yaml").write_text(
            f"version: 1\nmachine_users:\n  - path: workers\n    store: {store}\n    deliver:\n      - {deliver[how]}\n"
        )
        ran = twokey("rotate")
    assert (ran.code, ran.err) == (0, f"{len(USERS)} rotated.\n")
    for user in USERS:
        stored = rig.stored(user)
        assert stored
        parts = urlsplit((tmp_path / "broker" / f"{user}.url").read_text().strip())
        assert (parts.username, unquote(parts.password or "")) == (stored.access_key_id, stored.secret_access_key)


PASSWORD = (
    "its template has $SecretAccessKey as the password in a URL. It can contain / and +, so it is written "
    "percent-encoded. Write ${SecretAccessKey:url} there."
)
AS_IT_IS = (
    "its template puts $SecretAccessKey into a URL as it is. It can contain / and +, so programs would read that URL "
    "wrongly after some rotations, and not after others. Write ${SecretAccessKey:url} there."
)


@pytest.mark.parametrize("command", ["plan", "status", "rotate"])
@pytest.mark.parametrize(("end", "advice"), [("@", PASSWORD), ("", AS_IT_IS)])
def test_a_secret_in_a_url_without_url_is_warned_of_with_what_to_write(
    command: str, end: str, advice: str, tmp_path: Path
) -> None:
    selected = ("--path", "/workers/", "--store", "secretsmanager:machine-users/{user}")
    expected = f"file:broker/{{user}}.url: {advice}\n"
    assert f"Warning: {expected}" in twokey(command, *selected, "--to", f"{URL}{RAW}{end}").err
    assert "Warning: " not in twokey(command, *selected, "--to", f"{URL}{ENCODED}{end}").err
    begin = f"version: 1\nmachine_users:\n  - path: workers\n    store: {selected[-1]}\n    deliver:\n"
    (tmp_path / "twokey.yaml").write_text(f"{begin}      - '{URL}{RAW}{end}'\n")
    assert f"Warning: twokey.yaml line 6: `deliver`: {expected}" in twokey(command).err


def test_every_reader_finds_the_secret_that_has_no_url_behind_it(rig: Rig, tmp_path: Path) -> None:
    store = "secretsmanager:machine-users/{user}"
    assert twokey("rotate", "--path", "/workers/", "--store", store, "--to", f"{URL}{RAW}@").code == 0
    for user in USERS:
        stored = rig.stored(user)
        assert stored
        parts = urlsplit((tmp_path / "broker" / f"{user}.url").read_text().strip())
        assert unquote(parts.password or "") == stored.secret_access_key


def test_a_url_from_before_the_template_was_corrected_is_replaced_by_deliver(rig: Rig, tmp_path: Path) -> None:
    selected = (USERS[0], "--store", "secretsmanager:machine-users/{user}")
    assert twokey("rotate", *selected, "--to", f"{URL}{RAW}").code == 0
    ran = twokey("deliver", *selected, "--to", f"{URL}{ENCODED}")
    assert (ran.code, ran.err) == (0, "1 completed.\n")
    stored = rig.stored(USERS[0])
    assert stored
    written = (tmp_path / "broker" / f"{USERS[0]}.url").read_text().strip()
    assert unquote(written) == f"sqs://{stored.access_key_id}:{stored.secret_access_key}"
