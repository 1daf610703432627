"""A YAML file as plain values, with the line of each, so that every error can say where it is.

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

from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

Place = tuple[str | int, ...]
"""Where a value stands: ``("machine_users", 0, "store")``."""

MOST_BYTES = 1 << 20
MOST_LEVELS = 20
MOST_VALUES = 100_000
"""Values after aliases are followed: more than a file of 1 MiB can name one by one in earnest."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")


@dataclass
class Document:
    """What a file says: ``value`` in dicts, lists and scalars, and the line and the spelling of each value."""

    name: str
    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    spelled: dict[Place, str] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """Return the line of a value, or that of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def at(self, place: Place) -> str:
        """Return how an error about a value begins: ``twokey.yaml line 4``."""
        return f"{self.name} line {self.line(place)}"

    def wrong(self, place: Place, message: str, remedy: str = "") -> UsageError:
        """Return the error that says what is wrong at a place."""
        return UsageError(f"{self.at(place)}: {message}", remedy=remedy)


def read(file: Path) -> Document:
    """Read a YAML file that holds one mapping; raises ``UsageError`` for anything else."""
    return parse(_text(file), str(file))


def parse(text: str, name: str) -> Document:
    """Read YAML text; ``name`` stands in the errors. Raises ``UsageError`` for all that is not one plain mapping."""
    document = Document(name)
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise UsageError(f"{name} line {line}: the control character U+{ord(control[0]):04X} is not allowed.")
    try:
        _refuse_depth(text, name)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _syntax(error, text, name) from None
    if node is None:
        raise UsageError(f"{name}: the file is empty.", remedy="It begins with the line `version: 1`.")
    document.value = _Reader(document).value(node, ())
    if not isinstance(document.value, dict):
        raise document.wrong((), "the file is no mapping of keys to values.", "It begins with the line `version: 1`.")
    return document


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            f"{file}: there is no such file.",
            remedy="Name the configuration with --config, or say what to rotate with --path and --store.",
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{file}: this is a directory.", remedy="Name the file in it.") from None
    except OSError as error:
        raise UsageError(f"{file}: it cannot be read: {error.strerror}.") from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{file}: the file is larger than 1 MiB, which no configuration is.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file} line {line}: this is not UTF-8.", remedy="Save the file as UTF-8.") from None


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


def _syntax(error: yaml.YAMLError, text: str, name: str) -> UsageError:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return UsageError(f"{name}: this is not YAML: {getattr(error, 'reason', 'it cannot be read')}.")
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark
    if "quoted scalar" in context and error.context_mark is not None:
        # What is never closed is noticed at the end of the file, and wrong where it begins.
        mark = error.context_mark
    at = f"{name} line {mark.line + 1}"
    if "cannot start any token" in problem:
        return _bad_start(at, text, mark.line, mark.column)
    if "alias" in problem or "alias" in context:
        return UsageError(f"{at}: `*` begins a YAML alias.", remedy='Quote a pattern that begins with it: "*-old".')
    if "another document" in problem:
        return UsageError(f"{at}: there is more than one YAML document.", remedy="Keep one, without `---` in between.")
    return UsageError(f"{at}: this is not YAML: {', '.join(part for part in (context, problem) if part)}.")


def _bad_start(at: str, text: str, line: int, column: int) -> UsageError:
    found = text.split("\n")[line][column : column + 1]
    if found == "\t":
        return UsageError(f"{at}: there is a tab.", remedy="Indent with spaces.")
    return UsageError(f"{at}: a value cannot begin with `{found}`.", remedy="Put the value in quotes.")


class _Reader:
    """Turns nodes into values, each no deeper and all together no more than a person writes."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen = 0
        self._scalars = SafeConstructor()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._document.lines.setdefault(place, node.start_mark.line + 1)
        self._seen += 1
        if self._seen > MOST_VALUES or len(place) > MOST_LEVELS:
            raise self._document.wrong(place[:1], "its aliases expand to too much, or to themselves.")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        raise self._tag(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise UsageError(f"{self._document.name} line {line}: a key must be one word.")
            key = str(key_node.value)
            if key in found:
                first = self._document.line((*place, key))
                raise UsageError(
                    f"{self._document.name} line {line}: `{key}` is given twice; the first is on line {first}."
                )
            self._document.lines[*place, key] = line
            found[key] = self.value(value_node, (*place, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        self._document.spelled[place] = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return node.value
        if kind not in {"bool", "int", "float", "null", "timestamp"}:
            raise self._tag(node, place)
        try:
            return self._scalars.construct_object(node)
        except (ConstructorError, ValueError, KeyError):
            raise self._document.wrong(place, f"`{node.value}` is no {kind}.", "Put the value in quotes.") from None

    def _tag(self, node: yaml.Node, place: Place) -> UsageError:
        return self._document.wrong(place, f"the YAML tag `{node.tag}` is not supported.", "Remove it.")
