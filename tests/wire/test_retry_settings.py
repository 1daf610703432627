"""A key is created by one request, whatever the environment or a profile sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.emulator import Rule
from wire.processes import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

MODES = ("legacy", "standard", "adaptive")
IN_THE_ENVIRONMENT = [
    *({"AWS_RETRY_MODE": mode, "AWS_MAX_ATTEMPTS": attempts} for mode in MODES for attempts in ("1", "2", "9")),
    {"AWS_MAX_ATTEMPTS": "9"},
    {"AWS_NEW_RETRIES_2026": "true", "AWS_DEFAULTS_MODE": "auto", "AWS_MAX_ATTEMPTS": "9"},
]


@pytest.mark.parametrize("settings", IN_THE_ENVIRONMENT, ids=lambda settings: " ".join(settings.values()))
def test_in_the_environment(rig: Rig, tmp_path: Path, settings: dict[str, str]) -> None:
    workspace = prepare(rig, tmp_path)
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="lost_response", times=None))
    assert workspace.outcome(workspace.begin("rotate", "--json", **settings))[0] == "failed"
    assert rig.aws.count("iam:CreateAccessKey") == 1
    workspace.check_safe()
    rig.aws.weather.remove(rule)
    assert rig.rotate().outcome == "rotated"
    workspace.check_in_order()


@pytest.mark.parametrize("effect", ["lost_response", "error_after", "error_before", "reset", "truncated"])
@pytest.mark.parametrize("mode", MODES)
def test_in_a_profile(rig: Rig, tmp_path: Path, mode: str, effect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "profiles"
    profiles.write_text(
        f"[profile eager]\nretry_mode = {mode}\nmax_attempts = 9\ndefaults_mode = auto\nregion = {rig.aws.region}\n"
    )
    workspace = prepare(rig, tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("AWS_PROFILE", "eager")
    keys = tmp_path / "keys"
    admin = rig.aws.admin
    keys.write_text(
        f"[eager]\naws_access_key_id = {admin.access_key_id}\naws_secret_access_key = {admin.secret_access_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect=effect, times=None))
    assert rig.rotate().outcome == "failed"
    assert rig.aws.count("iam:CreateAccessKey") == 1
    rig.aws.weather.remove(rule)
    assert rig.rotate().outcome == "rotated"
    workspace.check_in_order()
