"""Which users twokey manages: their store names the key in use, so age must not decide about their keys."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.commands import rotate_command
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Selection
    from twokey.core.model import MachineUser

DEFAULT_CONFIG = Path("twokey.yaml")


@dataclass(frozen=True, slots=True)
class Managed:
    """The users that a configuration of twokey selects. ``file`` is the one that was named; None: the one found."""

    selections: tuple[Selection, ...] = ()
    file: Path | None = None

    def refusal(self, user: MachineUser) -> str:
        """Return why nothing is done for a user that twokey manages; empty for every other user."""
        selection = next((one for one in self.selections if one.means(user)), None)
        if selection is None:
            return ""
        where = selection.named("users" if selection.users else "path").partition(": ")[0]
        command = rotate_command(user.name, f"--config {shlex.quote(str(self.file))}" if self.file else "")
        return (
            f"{user.name}: twokey manages this user ({where}). Its store says which key is in use; this command "
            f"decides by age, and may delete that key. Nothing was changed for it. Run {command}."
        )


def managed(file: Path | None) -> Managed:
    """Return the users of the configuration ``file``, or of the one in the working directory, if there is one.

    Raises ``UsageError`` where that file cannot be read: the users that it selects are unknown then, not none.
    """
    found = file or DEFAULT_CONFIG
    if file is None and not found.exists():
        return Managed()
    from twokey.config.load import load

    try:
        return Managed(load(found).selections, file)
    except UsageError as error:
        raise UsageError(
            f"It is unknown which users twokey manages. {error.message}",
            state="Nothing was called.",
            remedy=error.remedy,
        ) from None
