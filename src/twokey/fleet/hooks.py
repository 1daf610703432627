"""Runs the operator's programs around a rotation.

The message comes on standard input, as JSON: ``version``, ``hook``, ``account``, ``user``, ``path``, ``store``,
``destinations``, ``outcome``, ``reason``, ``message``, ``current``, ``last`` and ``removed``. It holds no secret, and
so do arguments and environment. Exit status 0: done. Any other, or none in time: failed. What the program prints on
standard output is ignored; the end of its standard error is quoted where it failed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core.errors import HookFailed, ServiceRejected
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from twokey.core.hooks import Hook, HookFacts, HookName
    from twokey.destinations.hooks.child import Ended

VERSION = 1
_MEANINGS: Mapping[HookName, tuple[str, str]] = {
    "before": ("Nothing was changed.", "Fix the cause, and run again. To rotate without it: on_error: warn."),
    "after": ("", "Fix the cause, and run again."),
    "on_failure": ("", ""),
}
"""What is true where a hook failed, and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The hooks of one user."""

    hooks: Mapping[HookName, Hook]

    @property
    def configured(self) -> Collection[HookName]:
        """Which of them there are."""
        return self.hooks.keys()

    def run(self, name: HookName, facts: HookFacts) -> str:
        """Run one; return a warning where a failure is only to be reported. Raises ``HookFailed``."""
        hook = self.hooks[name]
        problem = problem_of(hook, name, _message(name, facts))
        if not problem:
            return ""
        message = f"The hook `{name}` failed: {problem}"
        if hook.on_error == "warn":
            return message
        state, remedy = _MEANINGS[name]
        raise HookFailed(message, state=state, remedy=remedy)


def problem_of(hook: Hook, name: str, message: memoryview) -> str:
    """Run a program with a message; return why that failed, nothing where it did not."""
    from twokey.destinations.hooks import child
    from twokey.destinations.hooks.exec import PASSED
    from twokey.system import environment
    from twokey.system.safe_programs import refuse_unsafe_program

    path = Path(hook.command[0])
    missing = next((one for one in hook.variables if not environment.variable(one)), None)
    if missing is not None:
        return f"the environment variable {missing} is not set."
    try:
        refuse_unsafe_program(path)
        ended = child.run(
            hook.command,
            environment.chosen((*PASSED, *hook.variables), {"TWOKEY_HOOK": name}),
            message,
            hook.seconds,
        )
    except ServiceRejected as error:
        return f"{error.message} {error.remedy}"
    except OSError as error:
        return f"{path} cannot be started: {error.strerror or type(error).__name__}."
    if ended.status == 0:
        return ""
    if ended.status is None:
        how = f"did not end within {hook.seconds:g} s; it and its process group were ended"
    else:
        how = f"ended with {f'the signal {-ended.status}' if ended.status < 0 else f'exit status {ended.status}'}"
    return f"{path} {how}.{_quoted(hook, ended)}"


def _message(name: HookName, facts: HookFacts) -> memoryview:
    user = facts.user
    content = {
        "version": VERSION,
        "hook": name,
        "account": user.account,
        "user": user.name,
        "path": user.path,
        "store": facts.store,
        "destinations": list(facts.destinations),
        "outcome": facts.outcome.value,
        "reason": facts.reason.value,
        "message": facts.message,
        "current": facts.current or None,
        "last": facts.last or None,
        "removed": list(facts.removed),
    }
    return memoryview(json.dumps(content, separators=(",", ":")).encode())


def _quoted(hook: Hook, ended: Ended) -> str:
    """Return the end of its standard error, on one line, without what could be a secret of its environment."""
    from twokey.destinations.hooks.exec import LONGEST_QUOTE, PART_OF_A_VARIABLE
    from twokey.destinations.hooks.redaction import redacted
    from twokey.system import environment

    values = [Hidden(environment.variable(name)) for name in hook.variables]
    shown = redacted(redacted(ended.err, ()), values, part=PART_OF_A_VARIABLE)
    line = " ".join("".join(one if one.isprintable() else " " for one in shown).split())
    if not line:
        return ""
    quoted = line if len(line) <= LONGEST_QUOTE else f"…{line[1 - LONGEST_QUOTE :]}"
    return f" It says: {quoted}{'' if quoted[-1] in '.!?' else '.'}"
