"""The text that is stored where a credential is to be written: whether it may be replaced as a whole. Pure.

A text of the destination's own format is never replaced: only the pair in it changes. Of all other texts, two may be
replaced, because nothing is lost: one without content, and one that consists of nothing but an access key, as a
destination has it whose format was changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.destinations.formats import assignments, json_members, temporary
from twokey.destinations.formats.journals import is_only_a_journal, json_object, json_text
from twokey.destinations.formats.profiles import ID, SECRET, TOKENS, only_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Hidden

_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{12,124}", re.ASCII)
_SECRET_KEY = re.compile(r"[A-Za-z0-9+/=]{16,128}", re.ASCII)
_ACCOUNTS = ("Version", "AccountId")
"""Members beside the pair in what a credential process prints, which say nothing without it."""


def has_no_content(text: Hidden) -> bool:
    """Say whether a text is empty, an empty JSON object, or a journal of twokey without a credential."""
    return not text.strip() or json_object(text) == {} or is_only_a_journal(text)


def is_only_a_credential(text: Hidden) -> bool:
    """Say whether a text is one access key in a format of twokey, under any names, and nothing else."""
    members = json_object(text)
    if members is not None:
        return len(members) == _count(text) and _is_only_a_pair({name: json_text(members, name) for name in members})
    lines = assignments.statements(text)
    if all(line.name or not line.text.strip() for line in lines):
        values = assignments.seen(lines)
        return len(values) == len([line for line in lines if line.name]) and _is_only_a_pair(values)
    properties = only_section(text)
    return properties is not None and properties.keys() <= {ID, SECRET, *TOKENS} and _is_only_a_pair(properties)


def _is_only_a_pair(values: Mapping[str, Hidden | None]) -> bool:
    ids = [name for name, value in values.items() if value is not None and _KEY_ID.fullmatch(value)]
    if len(ids) != 1:
        return False
    beside = (*temporary.names_beside(ids[0]), *_ACCOUNTS)
    others = [value for name, value in values.items() if name not in (ids[0], *beside)]
    return len(others) == 1 and others[0] is not None and bool(_SECRET_KEY.fullmatch(others[0]))


def _count(text: Hidden) -> int:
    """Return how many members an object has, where one of two with the same name counts too."""
    return len(json_members.names(text))
