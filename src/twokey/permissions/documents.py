"""IAM policy documents as values: a statement says in one sentence why it is there.

``as_json`` prints what the AWS API takes; ``as_terraform`` prints the same as an ``aws_iam_policy_document``, with the
sentences as comments. Sources: "Grammar of the IAM JSON policy language" (IAM User Guide); "aws_iam_policy_document"
(Terraform AWS provider).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "2012-10-17"
_INTERPOLATION = re.compile(r"([$%])\{")


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a Condition block: every condition of a statement must hold, and one of the values match."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. ``why``: one sentence for the reader. ``except_actions``: a NotAction element instead of Action.

    ``principal``: its type and its identifiers, for a trust policy, which has no resources.
    """

    sid: str
    why: str
    actions: tuple[str, ...] = ()
    except_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    effect: str = "Allow"
    principal: tuple[str, tuple[str, ...]] | None = None

    def element(self) -> dict[str, Any]:
        """Return the statement as a policy document holds it."""
        found: dict[str, Any] = {"Sid": self.sid, "Effect": self.effect}
        if self.principal:
            kind, names = self.principal
            found["Principal"] = {kind: _one_or_more(names)}
        found["NotAction" if self.except_actions else "Action"] = _one_or_more(self.except_actions or self.actions)
        if self.resources:
            found["Resource"] = _one_or_more(self.resources)
        if self.conditions:
            found["Condition"] = _block(self.conditions)
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """A policy document: its name, what it is for, and its statements."""

    name: str
    purpose: str
    statements: tuple[Statement, ...]

    def value(self) -> dict[str, Any]:
        """Return the document as the AWS API takes it, before it becomes text."""
        return {"Version": VERSION, "Statement": [statement.element() for statement in self.statements]}

    @property
    def trust(self) -> bool:
        """Whether it is a trust policy: its statements name principals."""
        return any(statement.principal for statement in self.statements)


def as_json(documents: Mapping[str, Document]) -> str:
    """Return one document, or several in one object by their keys."""
    values = {key: document.value() for key, document in documents.items()}
    return json.dumps(next(iter(values.values())) if len(values) == 1 else values, indent=2)


def as_terraform(documents: Mapping[str, Document]) -> str:
    """Return the documents as Terraform configuration. What is not a trust policy gets an ``aws_iam_policy``."""
    return "\n\n".join("\n".join(_terraform(document)) for document in documents.values())


def _terraform(document: Document) -> Iterator[str]:
    label = re.sub(r"[^a-z0-9_]+", "_", document.name.lower())
    yield f"# {document.purpose}"
    yield f'data "aws_iam_policy_document" "{label}" {{'
    for index, statement in enumerate(document.statements):
        if index:
            yield ""
        yield from (f"  {line}" if line else "" for line in _statement(statement))
    yield "}"
    if not document.trust:
        yield ""
        yield f'resource "aws_iam_policy" "{label}" {{'
        yield f"  name        = {_text(document.name)}"
        yield f"  description = {_text(document.purpose)}"
        yield f"  policy      = data.aws_iam_policy_document.{label}.json"
        yield "}"


def _statement(statement: Statement) -> Iterator[str]:
    attributes = {"sid": _text(statement.sid)}
    if statement.effect != "Allow":
        attributes["effect"] = _text(statement.effect)
    if statement.except_actions:
        attributes["not_actions"] = _list(statement.except_actions, 2)
    else:
        attributes["actions"] = _list(statement.actions, 2)
    if statement.resources:
        attributes["resources"] = _list(statement.resources, 2)
    yield f"# {statement.why}"
    yield "statement {"
    yield from _attributes(attributes, 2)
    if statement.principal:
        kind, names = statement.principal
        yield ""
        yield "  principals {"
        yield from _attributes({"type": _text(kind), "identifiers": _list(names, 4)}, 4)
        yield "  }"
    for one in statement.conditions:
        yield ""
        yield "  condition {"
        yield from _attributes(
            {"test": _text(one.operator), "variable": _text(one.key), "values": _list(one.values, 4)}, 4
        )
        yield "  }"
    yield "}"


def _attributes(attributes: Mapping[str, str], indent: int) -> Iterator[str]:
    """Yield attributes as ``terraform fmt`` aligns them: a value of several lines ends a group."""
    group: list[str] = []
    for name, value in attributes.items():
        group.append(name)
        if "\n" in value or name == list(attributes)[-1]:
            width = max(map(len, group[:-1] if "\n" in value else group), default=0)
            for one in group:
                padded = one if "\n" in attributes[one] else one.ljust(width)
                yield from f"{' ' * indent}{padded} = {attributes[one]}".split("\n")
            group = []


def _list(values: tuple[str, ...], indent: int) -> str:
    if len(values) == 1:
        return f"[{_text(values[0])}]"
    inner = "".join(f"{' ' * (indent + 2)}{_text(value)},\n" for value in values)
    return f"[\n{inner}{' ' * indent}]"


def _text(value: str) -> str:
    """Return a text as Terraform reads it: ``${`` of an IAM policy variable is written ``$${``."""
    return _INTERPOLATION.sub(r"\1\1{", json.dumps(value, ensure_ascii=False))


def _one_or_more(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _block(conditions: tuple[Condition, ...]) -> dict[str, dict[str, str | list[str]]]:
    block: dict[str, dict[str, str | list[str]]] = {}
    for one in conditions:
        block.setdefault(one.operator, {})[one.key] = _one_or_more(one.values)
    return block
