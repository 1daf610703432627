"""What an error says, besides what is wrong: what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from twokey.core.errors import unreadable


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory.", "Check the path."),
        (NotADirectoryError(20, "Not a directory"), "Not a directory.", "Check the path."),
        (PermissionError(13, "Permission denied"), "Permission denied.", "Allow the user that runs twokey to read it."),
        (OSError(5, "Input/output error"), "Input/output error.", "Name a file that can be read."),
    ],
)
def test_a_file_that_cannot_be_read_has_a_remedy(error: OSError, message: str, remedy: str) -> None:
    found = unreadable(Path("a.yaml"), error)
    assert (found.message, found.remedy) == (f"a.yaml cannot be read: {message}", remedy)
