"""Changing a pipeline's file line by line, so that comments and everything else in it stay. Pure: lines in, lines out.

What is inside a block of text (``|`` or ``>``), such as a script, is not looked at. Lists and mappings in brackets are
opened where something is added. Source: "YAML Ain't Markup Language (YAML) version 1.2", flow and block styles.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
INPUTS = ("aws-access-key-id", "aws-secret-access-key", "aws-session-token")
UNSET = f"unset {' '.join(KEYS)}"
"""A key in the environment would be used before the token."""
FILE = "/tmp/aws-identity-token"  # noqa: S108  in the job's own container
TOP = re.compile(r"([\w.-]+):(\s|$)")
_TEXT = re.compile(r"(?P<start>\s*(?:- +)*)(?P<key>[^\s#][^#]*?: +)?(?:![\w!]+ +)?[|>][-+\d]*\s*(?:#.*)?")
_HIDDEN = "\0"
_MAPPINGS = "env|variables|environment|with"


def edited(lines: Sequence[str], change: Callable[[Sequence[str]], Sequence[str]]) -> list[str]:
    """Change lines, without a look at those that are in a block of text."""
    shown: list[str] = []
    column = -1
    for number, line in enumerate(lines):
        if column >= 0 and (not line.strip() or indent(line) > column):
            shown.append(f"{' ' * indent(line)}{_HIDDEN}{number}" if line.strip() else line)
            continue
        found = _TEXT.fullmatch(line)
        # The text of a key is further in than the key, that of a list's item further than the dash.
        column = len(found["start"]) - (not found["key"]) if found else -1
        shown.append(line)
    return [lines[int(line.rpartition(_HIDDEN)[2])] if _HIDDEN in line else line for line in change(shown)]


def indent(line: str) -> int:
    """Return how many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def is_key(line: str, names: Sequence[str]) -> bool:
    """Whether a line sets one of these variables or inputs."""
    return any(re.match(rf"\s*(- )?[\"']?{name}[\"']?\s*[:=]", line) for name in names)


def without_keys(lines: Sequence[str]) -> list[str]:
    """Remove the variables of the key, and the mappings that are empty without them."""
    inner = [one for line in lines for one in _without_inline(line)]
    kept = [line for line in inner if not is_key(line, (*KEYS, *INPUTS))]
    result: list[str] = []
    for index, line in enumerate(kept):
        below = next((one for one in kept[index + 1 :] if one.strip()), "")
        opens = re.match(rf"\s*({_MAPPINGS}):\s*$", line)
        if opens and line in inner and indent(below) <= indent(line) and _had_key(inner, line):
            continue
        result.append(line)
    return result


def _without_inline(line: str) -> Iterator[str]:
    """Yield a line with a mapping in braces without the key's variables; nothing if no variable is left."""
    found = re.fullmatch(rf"(\s*(- )?(?:{_MAPPINGS}): *)\{{(.*)\}}(\s*#.*|\s*)", line)
    if not found:
        yield line
        return
    items = list(split(found[3]))
    kept = [one for one in items if not is_key(one, (*KEYS, *INPUTS))]
    if len(kept) == len(items):
        yield line
    elif kept or found[2]:
        yield f"{found[1]}{{{', '.join(kept)}}}{found[4]}"


def split(text: str) -> Iterator[str]:
    """Yield the items of a list or mapping in brackets: split at its own commas."""
    depth, quote, start = 0, "", 0
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        elif char == "," and depth == 0:
            yield text[start:index].strip()
            start = index + 1
    if text[start:].strip():
        yield text[start:].strip()


def opened(lines: Iterable[str], word: str, *, single: bool = False) -> Iterator[str]:
    """Yield the lines with each list in brackets below ``word:`` as a list of lines. ``single``: a text alone, too."""
    for line in lines:
        found = re.fullmatch(rf"(\s*(?:- )?){word}: +(\S.*)", line)
        value = re.fullmatch(r"\[(.*)\](\s*#.*|\s*)", found[2]) if found else None
        alone = single and found and not re.match(r"[\[|>&*!#]", found[2])
        if found and (value or alone):
            yield f"{found[1]}{word}:{value[2].rstrip() if value else ''}"
            start = " " * (len(found[1]) + 2)
            yield from (f"{start}- {one}" for one in (split(value[1]) if value else [found[2]]))
        else:
            yield line


def _had_key(lines: Sequence[str], opening: str) -> bool:
    """Whether a mapping that begins with this line has the key's variables below it."""
    for index, line in enumerate(lines):
        if line == opening:
            for below in lines[index + 1 :]:
                if below.strip() and indent(below) <= indent(opening):
                    break
                if is_key(below, (*KEYS, *INPUTS)):
                    return True
    return False


def lists(lines: Sequence[str], word: str) -> Iterator[tuple[int, int]]:
    """Yield the line after each ``word:`` that opens a list, and the indent of its items."""
    for index, line in enumerate(lines):
        if re.match(rf"\s*(- )?{word}:\s*(#.*)?$", line):
            item = next((one for one in lines[index + 1 :] if one.strip() and not one.lstrip().startswith("#")), "")
            if item.lstrip().startswith("- ") and indent(item) >= indent(line):
                yield index + 1, indent(item)


def end_of_list(lines: Sequence[str], index: int, column: int) -> int:
    """Return the line after a list whose items begin in this column."""
    for end in range(index, len(lines)):
        line = lines[end]
        own = indent(line)
        if line.strip() and (own < column or (own == column and not line.lstrip().startswith(("- ", "#")))):
            return end
    return len(lines)


def items(lines: Sequence[str], index: int, column: int) -> Iterator[tuple[int, int]]:
    """Yield the first line of each item of a list, and the line after its last one that is not blank."""
    end = end_of_list(lines, index, column)
    starts = [n for n in range(index, end) if indent(lines[n]) == column and lines[n].lstrip().startswith("- ")]
    for start, after in zip(starts, [*starts[1:], end], strict=True):
        last = after
        while not lines[last - 1].strip():
            last -= 1
        yield start, last


def block(lines: Sequence[str], index: int) -> range:
    """Return the lines below a key at the beginning of a line."""
    end = index + 1
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith((" ", "#", "- "))):
        end += 1
    return range(index + 1, end)


def insert(lines: Sequence[str], at: Iterable[tuple[int, Sequence[str]]]) -> list[str]:
    """Return the lines with others before these positions."""
    result = list(lines)
    for index, added in sorted(at, key=lambda one: -one[0]):
        result[index:index] = added
    return result


def indented(lines: Iterable[str], column: int) -> list[str]:
    """Return lines that begin in a column."""
    return [" " * column + line for line in lines]
