"""A YAML file as plain values, with the line of each, so that every error can name its line.

YAML can be written to hurt its reader: nesting that overflows the composer's stack (PyYAML's C composer crashes on
100,000 brackets, measured with 6.0.3), aliases that double with every level, tags that name Python objects. All of
them are refused before they cost anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from twokey.config.yaml_syntax import syntax_error
from twokey.core.errors import UsageError, unreadable

if TYPE_CHECKING:
    from pathlib import Path

Position = tuple[str | int, ...]
"""The position of a value in the document: ``("machine_users", 0, "store")``."""

MOST_BYTES = 1 << 20
MOST_LEVELS = 20
MOST_VALUES = 100_000
"""Values after aliases are followed: more than any real file of 1 MiB contains."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NUMBERS = {
    "int": re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})"),
    "float": re.compile(r"[-+]?[0-9]{1,18}\.[0-9]{0,18}(?:[eE][-+]?[0-9]{1,3})?"),
}
"""What is read as a number. Other numbers of YAML 1.1 are text here: ``1:30`` (90, in base 60), ``0600`` (384),
``0x1F``, ``1_000``. A long one in base 60 takes minutes to convert."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


@dataclass
class Document:
    """The content of a file: ``value`` in dicts, lists and scalars, and the line and the spelling of each value."""

    name: str
    value: Any = None
    lines: dict[Position, int] = field(default_factory=dict)
    spelled: dict[Position, str] = field(default_factory=dict)

    def line(self, position: Position) -> int:
        """Return the line of a value, or of the nearest value that contains it."""
        while position and position not in self.lines:
            position = position[:-1]
        return self.lines.get(position, 1)

    def at(self, position: Position) -> str:
        """Return how an error about a value begins: ``twokey.yaml line 4``."""
        return f"{self.name} line {self.line(position)}"

    def forget(self, position: Position) -> None:
        """Forget the content, and the lines of all values below a position: no error will be about one of them."""
        self.value = None
        self.spelled.clear()
        for below in [one for one in self.lines if len(one) > len(position) and one[: len(position)] == position]:
            del self.lines[below]

    def error(self, position: Position, message: str, remedy: str = "") -> UsageError:
        """Return the error for a problem with the value at this position."""
        return UsageError(f"{self.at(position)}: {message}", remedy=remedy)


def read(file: Path) -> Document:
    """Read a YAML file that holds one mapping; raises ``UsageError`` for anything else."""
    return parse(_text(file), str(file))


def parse(text: str, name: str) -> Document:
    """Read YAML text; errors contain ``name``. Raises ``UsageError`` for anything but one plain mapping."""
    document = Document(name)
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise UsageError(f"{name} line {line}: the control character U+{ord(control[0]):04X} is not allowed.")
    try:
        _refuse_depth(text, name)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise syntax_error(error, text, name) from None
    if node is None:
        raise UsageError(f"{name}: the file is empty.", remedy="Begin it with the line `version: 1`.")
    document.value = _Reader(document).value(node, ())
    if not isinstance(document.value, dict):
        raise document.error((), "expected a mapping of keys to values.", "Begin the file with the line `version: 1`.")
    return document


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            f"{file}: the file does not exist.",
            remedy="Name the configuration file with --config, or select users with --path and --store.",
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{file}: expected a file, got a directory.", remedy="Name the file in it.") from None
    except OSError as error:
        raise unreadable(file, error) from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{file} is larger than 1 MiB; expected a configuration file.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file} line {line}: expected UTF-8.", remedy="Save the file as UTF-8.") from None


def _refuse_depth(text: str, name: str) -> None:
    """Look at the events first: unlike the composer, the parser does not recurse."""
    level = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
        if level > MOST_LEVELS and event.start_mark is not None:
            raise UsageError(f"{name} line {event.start_mark.line + 1}: nested more than {MOST_LEVELS} levels deep.")


class _Reader:
    """Turns nodes into values; refuses more levels and more values than a real file has."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen = 0
        self._scalars = SafeConstructor()

    def value(self, node: yaml.Node, position: Position) -> Any:
        self._document.lines.setdefault(position, node.start_mark.line + 1)
        self._seen += 1
        if self._seen > MOST_VALUES or len(position) > MOST_LEVELS:
            raise self._document.error(position[:1], "the aliases here expand to too many values, or to themselves.")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, position)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*position, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, position)
        raise self._tag(node, position)

    def _mapping(self, node: yaml.MappingNode, position: Position) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UsageError(f"{self._document.name} line {line}: expected a key that is one word.")
            key = str(key_node.value)
            if key in found:
                first = self._document.line((*position, key))
                raise UsageError(
                    f"{self._document.name} line {line}: `{key}` occurs twice; the first is on line {first}.",
                    remedy="Remove one of the two.",
                )
            self._document.lines[*position, key] = line
            found[key] = self.value(value_node, (*position, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, position: Position) -> Any:
        self._document.spelled[position] = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind in _NUMBERS and not _NUMBERS[kind].fullmatch(node.value):
            return node.value
        if kind == "str":
            return node.value
        if kind not in {"bool", "int", "float", "null", "timestamp"}:
            raise self._tag(node, position)
        try:
            return self._scalars.construct_object(node)
        except (ConstructorError, ValueError, KeyError):
            raise self._document.error(
                position,
                f"YAML reads `{node.value}` as a {kind}, and it is not a valid one.",
                "Put the value in quotes.",
            ) from None

    def _tag(self, node: yaml.Node, position: Position) -> UsageError:
        return self._document.error(position, f"the YAML tag `{node.tag}` is not supported.", "Remove it.")
