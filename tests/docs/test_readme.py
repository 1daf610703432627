"""The README's commands do what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docs import consoles, pages
from twokey.config.load import load as load_file
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path

README = pages.ROOT / "README.md"
DAY = 86_400


def test_first_use(tmp_path: Path) -> None:
    """An existing machine user with one old key, in nobody's store yet."""
    with Emulator() as aws:
        aws.make_user("ci", path="/machine-users/", keys=1, ages=(200 * DAY,))
        consoles.check(README, tmp_path, aws.environment(), installed=True)


def test_the_configuration_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "twokey.yaml").write_text(example, encoding="utf-8")
    settings = load_file(tmp_path / "twokey.yaml")
    assert [len(selection.deliver) for selection in settings.selections] == [0, 3]
    assert set(settings.connections) == {"github", "gitlab", "circleci", "vault"}


def test_make_commands_are_there() -> None:
    """What the README tells people to make can be made."""
    makefile = (pages.ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z]+)", README.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
