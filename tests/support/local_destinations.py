"""A file as jobs see it, for the tests of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Local:
    """A file, as jobs on this host see it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path.with_name(path.name + ".twokey-journal")
        self.url = f"file:{path}"

    def text(self) -> str | None:
        return self.path.read_text() if self.path.exists() else None

    def plant_text(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(text)

    def plant_journal(self, text: str) -> None:
        self.journal.write_text(text)

    def picture(self) -> Any:
        top = self.path.parent.parent
        return [
            (str(path), path.lstat().st_mode, path.lstat().st_ino, path.read_bytes() if path.is_file() else None)
            for path in sorted(top.rglob("*"))
        ]
