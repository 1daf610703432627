"""Your own program, which delivers: ``exec:/PATH/TO/PROGRAM``.

Options: ``arg.1=``, ``arg.2=`` and so on are its arguments, ``timeout=`` how long it may take, ``env=A,B`` the
environment variables that it gets besides a few harmless ones, ``actions=held,preflight`` the actions that it supports
besides ``deliver``. It is run for no other action: a program that ignores the action would otherwise deliver an empty
credential each time that twokey only looks.

The message (``twokey.destinations.hooks.messages``) comes on standard input, with the secret only to deliver; the
arguments and the environment hold ids only. Exit status 0: done. 3: nothing was written. Any other, or none in time:
the effect is unknown.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from twokey.core import durations
from twokey.core.errors import Ambiguous, ServiceError, ServiceRejected
from twokey.core.secret import Hidden
from twokey.destinations.address import without_fields
from twokey.destinations.hooks import child
from twokey.destinations.hooks.messages import Action, Hook, HookResponse, actions_of, message, response_in
from twokey.destinations.hooks.redaction import redacted
from twokey.destinations.kind import Kind
from twokey.system import environment
from twokey.system.safe_programs import refuse_unsafe_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext

TIMEOUT, LONGEST_TIMEOUT = "30s", 60.0
"""A lease outlasts one delivery by no more than this (``twokey.rotation.leased_journal``, WRITE_LIMIT)."""
NOTHING_WRITTEN = 3
"""The exit status that proves that there was no effect; ``twokey`` itself uses it in the same way."""
PASSED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""The environment variables that every program gets; none of them holds a secret."""
LONGEST_QUOTE = 500
PART_OF_A_VARIABLE = 16
"""As ``redaction.PART``, for variables that need not be secrets: paths and URLs have many parts."""
_ACTIONS: tuple[Action, ...] = ("held", "preflight")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DESCRIPTIONS = {
    "deliver": "deliver the credential",
    "held": "report which key is there",
    "preflight": "prove that a delivery would succeed",
}


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path that is not absolute, and for invalid options."""
    address.allow(("timeout", "env", "actions", "arg.*"))
    if not address.plain.startswith("/"):
        raise address.error("expected the absolute path of a program, such as exec:/usr/local/bin/deliver.")
    if set(address.plain[1:].split("/")) & {"", ".", ".."}:
        raise address.error("expected the path of a program without '//', '.' and '..'.")
    _timeout(address)
    actions_of(address, _ACTIONS)
    list(_arguments(address))
    for name in _variables(address):
        if not _VARIABLE.fullmatch(name) or name.startswith("TWOKEY_"):
            raise address.error(
                f"env= names {name!r}; expected names of environment variables, none of them beginning with TWOKEY_."
            )


def _open(address: Address, context: DestinationContext) -> Program:  # noqa: ARG001  it needs no service
    """Return the program as a destination; raises ``UsageError`` if a variable that ``env=`` names is not set."""
    for name in _variables(address):
        if not environment.variable(name):
            raise address.error(f"the environment variable {name} is not set.", "Set it, or remove it from env=.")
    return Program(address)


class Program(Hook):
    """A program, with its arguments and its environment."""

    def __init__(self, address: Address) -> None:
        super().__init__(address.url, actions_of(address, _ACTIONS))
        self._path = Path(address.rest)
        self._command = (address.rest, *_arguments(address))
        self._seconds = _timeout(address)
        self._secrets = _variables(address)

    @property
    def _label(self) -> str:
        return str(self._path)

    def preflight(self) -> None:
        """Raise if the program is missing or unsafe; run it if it supports ``preflight``."""
        if "preflight" in self.actions:
            self._request("preflight")
        else:
            refuse_unsafe_program(self._path)

    def _request(self, action: Action, credential: Credential | None = None) -> HookResponse:
        refuse_unsafe_program(self._path)
        key_id = credential.access_key_id if credential else ""
        variables = {"TWOKEY_ACTION": action, "TWOKEY_DESTINATION": self.name}
        variables |= {"TWOKEY_ACCESS_KEY_ID": key_id} if key_id else {}
        try:
            ended = child.run(
                self._command,
                environment.chosen((*PASSED, *self._secrets), variables),
                message(action, self.name, credential),
                self._seconds,
            )
        except OSError as error:
            raise ServiceRejected(
                f"{self._path} cannot be started: {error.strerror or type(error).__name__}.",
                state="It was not run.",
                remedy="Check that it is executable; a script begins with #! and the path of its interpreter.",
            ) from None
        if ended.status == 0:
            response = response_in(ended.out)
            if response is None:
                raise self._unclear(
                    action, f"its response, on standard output, cannot be read.{self._quoted(ended, credential)}"
                )
            return response
        raise self._failure(action, ended, credential)

    def _failure(self, action: Action, ended: child.Ended, credential: Credential | None) -> ServiceError:
        quoted = self._quoted(ended, credential)
        if ended.status == NOTHING_WRITTEN:
            return ServiceRejected(
                f"{self._path} refused to {_DESCRIPTIONS[action]}.{quoted}",
                state="Nothing was written there, according to the program." if action == "deliver" else "",
                remedy="Fix the cause that the program reports, and run again.",
            )
        if ended.status is None:
            how = f"it did not end within {self._seconds:g} s; it and its process group were ended"
        elif ended.status < 0:
            how = f"the signal {_signal_name(-ended.status)} ended it"
        else:
            how = f"its exit status is {ended.status}"
        return self._unclear(action, f"{how}.{quoted}")

    def _unclear(self, action: Action, why: str) -> Ambiguous:
        state = "It may have taken effect." if action == "deliver" else "This call changes nothing."
        return Ambiguous(f"{self._path} was asked to {_DESCRIPTIONS[action]}: {why}", state=state, remedy="Run again.")

    def _quoted(self, ended: child.Ended, credential: Credential | None) -> str:
        """Return the end of its standard error, on one line, without what could be a secret."""
        secrets = [credential.reveal()] if credential else []
        shown = redacted(redacted(ended.err, secrets), self._values(), part=PART_OF_A_VARIABLE)
        line = " ".join("".join(one if one.isprintable() else " " for one in shown).split())
        if not line:
            return ""
        quoted = line if len(line) <= LONGEST_QUOTE else f"…{line[1 - LONGEST_QUOTE :]}"
        return f" It says: {quoted}{'' if quoted[-1] in '.!?' else '.'}"

    def _values(self) -> Iterator[str]:
        return (Hidden(environment.variable(name)) for name in self._secrets)


def _timeout(address: Address) -> float:
    seconds = durations.parse(address.options.get("timeout", TIMEOUT), f"{address.url!r}: timeout=").total_seconds()
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise address.error(
            f"timeout= must be more than 0s and at most {LONGEST_TIMEOUT:g}s: the user stays locked meanwhile."
        )
    return seconds


def _arguments(address: Address) -> Iterator[str]:
    """Return the arguments in their order; raises ``UsageError`` unless they are numbered from 1 without a gap."""
    named = [name for name in address.options if name.startswith("arg.")]
    for number in range(1, len(named) + 1):
        if f"arg.{number}" not in named:
            raise address.error(f"arg.{number}= is missing: arguments are numbered from arg.1= without a gap.")
        yield address.options[f"arg.{number}"]


def _variables(address: Address) -> tuple[str, ...]:
    named = address.options.get("env", "")
    return tuple(without_fields(named).split(",")) if named else ()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


KIND = Kind(scheme="exec", check=check, open=_open, non_identifying_options=("actions", "timeout", "env"))
