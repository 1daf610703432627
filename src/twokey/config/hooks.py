"""``hooks:`` of an entry in twokey.yaml: programs of the operator around a rotation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.core.hooks import LONGEST, NAMES, Hook

if TYPE_CHECKING:
    from twokey.config.settings import Label
    from twokey.core.hooks import HookName

TIMEOUT = "30s"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class HookSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program, which gets ids and the outcome as JSON on standard input."""

    run: Annotated[
        Annotated[list[str], Meta(min_length=1)],
        Meta(description="The absolute path of the program, and its arguments. No shell is involved."),
    ]
    timeout: Annotated[
        str,
        Meta(
            description="How long it may take; at most 60s.",
            extra_json_schema={"default": TIMEOUT, "pattern": durations.PATTERN},
        ),
    ] = TIMEOUT
    env: Annotated[
        list[str], Meta(description="The environment variables that it gets, besides a few harmless ones.")
    ] = []
    on_error: Annotated[
        Literal["fail", "warn"],
        Meta(
            description="fail: `before` keeps the user from being rotated, `after` makes the run fail and is run again "
            "by the next one. warn: a failure is only reported.",
            extra_json_schema={"default": "fail"},
        ),
    ] = "fail"


class HooksSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Programs that run around the rotation of each user of the entry."""

    before: Annotated[
        HookSchema | UnsetType,
        Meta(description="Ahead of the first change, once the rotation is known to be possible."),
    ] = UNSET
    after: Annotated[
        HookSchema | UnsetType,
        Meta(description="Once everything is delivered and committed; it is repeated by later runs until it succeeds."),
    ] = UNSET
    on_failure: Annotated[
        HookSchema | UnsetType, Meta(description="Where a rotation that has begun does not end well.")
    ] = UNSET


def hooks(section: HooksSchema | UnsetType, label: Label) -> dict[HookName, Hook]:
    """Return the hooks of an entry; raises ``UsageError`` with the line."""
    if isinstance(section, UnsetType):
        return {}
    found: dict[HookName, Hook] = {}
    for name in NAMES:
        one = getattr(section, name)
        if isinstance(one, HookSchema):
            found[name] = hook(one, f"hooks.{name}", label)
    if not found:
        raise UsageError(
            f"{label('hooks')}: expected at least one of {', '.join(NAMES)}.",
            remedy="Add a hook, or remove `hooks`.",
        )
    return found


def hook(section: HookSchema, name: str, label: Label) -> Hook:
    """Return one hook, which ``name`` names in the file; raises ``UsageError`` with the line."""
    program = section.run[0]
    if not program.startswith("/") or set(program[1:].split("/")) & {"", ".", ".."}:
        raise UsageError(
            f"{label(f'{name}.run', 0)}: expected the absolute path of a program, got {program!r}.",
            remedy="Write it like [/usr/local/bin/restart, --quick]; each argument is an item of the list.",
        )
    if any("\0" in part for part in section.run):
        raise UsageError(f"{label(f'{name}.run')}: an argument holds a null character.")
    where = label(f"{name}.timeout")
    seconds = durations.parse(section.timeout, where).total_seconds()
    if not 0 < seconds <= LONGEST:
        raise UsageError(
            f"{where}: expected more than 0s and at most {LONGEST:g}s: the user stays locked meanwhile.",
            remedy="Let the program start what takes longer, and not wait for it.",
        )
    for index, variable in enumerate(section.env):
        if not _VARIABLE.fullmatch(variable) or variable.startswith("TWOKEY_"):
            raise UsageError(
                f"{label(f'{name}.env', index)}: expected the name of an environment variable that does not "
                f"begin with TWOKEY_, got {variable!r}."
            )
    return Hook(tuple(section.run), seconds, section.on_error, tuple(section.env))
