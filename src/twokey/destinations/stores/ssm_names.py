"""What a URL may say of a parameter: its name, its format, what it is created with; and the journal's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.destinations import creation_options
from twokey.destinations.formats.options import refuse_store, text_format

if TYPE_CHECKING:
    from twokey.destinations.address import Address
    from twokey.destinations.formats.format import Format

JOURNAL = ".twokey-journal"
_NAME = re.compile(r"(/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+", re.ASCII)
_LONGEST = 1011
_DEEPEST = 15


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that a parameter cannot have ("PutParameter", API reference, parameter Name)."""
    format_of(address)
    creation_options.of_aws(address)
    rest, plain = address.rest, address.plain
    if not _NAME.fullmatch(plain):
        raise UsageError(
            f"{rest!r} cannot be a parameter's name: expected letters, digits and any of the characters _.-, either "
            "without a slash, or as a path that begins with a slash.",
            remedy="Write ssm:/machine-users/{user}, for example. A path neither ends with a slash nor contains two in "
            "a row.",
        )
    if re.match(r"/?(aws|ssm)", plain, re.IGNORECASE):
        raise UsageError(
            f"{rest!r} cannot be a parameter's name: AWS reserves names that begin with aws or ssm.",
            remedy="Begin the name with something else.",
        )
    if len(plain) + len(JOURNAL) > _LONGEST or plain.count("/") > _DEEPEST:
        raise UsageError(
            f"{rest!r} cannot be a parameter's name: expected at most {_LONGEST - len(JOURNAL)} characters and "
            f"{_DEEPEST} levels."
        )
    if plain.endswith(JOURNAL):
        raise UsageError(f"{rest!r}: names that end with {JOURNAL} are reserved for journals: name another parameter.")


def check_store(address: Address) -> None:
    """Raise ``UsageError`` for a format that cannot be read back."""
    refuse_store(address, format_of(address))


def format_of(address: Address) -> Format:
    """Return the format of the value; raises ``UsageError`` for one that there is not."""
    return text_format(address, own=creation_options.OF_PARAMETER_STORE)
