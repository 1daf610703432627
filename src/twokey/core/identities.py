"""Which thing a destination's URL means, as the journal remembers it: the same URL elsewhere is another thing.

``ssm:/ci`` names one parameter in each region and account, ``file:out/ci.json`` one file in each directory. So the
journal keeps an identity beside each delivery: a digest of all that distinguishes the thing, and for messages a short
text that says where it is. Only the digests are compared. An identity never holds a secret.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twokey.core.journal import Delivery, Journal

DIGEST = 10
"""Hexadecimal digits: the destinations of one user are told apart, and a journal stays short."""
LONGEST_WHERE = 32
LONGEST = DIGEST + 1 + LONGEST_WHERE
"""Characters of the longest identity."""
_BEGINNING, _BETWEEN = 10, "..."


def identity_of(parts: Iterable[str], where: str) -> str:
    """Return the identity of a thing that these texts distinguish; ``where`` says for people where it is."""
    text = "\n".join(sorted(parts))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:DIGEST]} {_shortened(where)}".rstrip()


def elsewhere(name: str, identity: str) -> str:
    """Return the name under which the journal keeps a delivery to what a URL meant in another run."""
    digest, _, where = identity.partition(" ")
    return f"{name} ({digest if not where else f'{where}, {digest}' if _BETWEEN in where else where})"


def recognized(journal: Journal, identities: Mapping[str, str]) -> Journal:
    """Return the journal with its deliveries under the names that they have in this run.

    ``identities`` are those of this run's destinations, by URL. A delivery to what one of them means is a delivery to
    it, whatever the URL was then. One that went elsewhere under the same URL gets a name of its own. A delivery without
    an identity was recorded by a version of twokey that knew none: it is believed to be one to the URL's thing.
    """
    by_digest = {_digest(identity): name for name, identity in identities.items() if identity}
    delivered: dict[str, Delivery] = {}
    names: dict[str, str] = {}
    for name, delivery in journal.delivered.items():
        mine = identities.get(name, "")
        if mine and not delivery.identity:
            delivery = msgspec.structs.replace(delivery, identity=mine)  # noqa: PLW2901
        names[name] = new = _name(name, delivery.identity, mine, by_digest)
        if new not in delivered or delivered[new].at <= delivery.at:
            delivered[new] = delivery
    delivering = tuple(dict.fromkeys(names.get(name, name) for name in journal.delivering))
    if delivered == journal.delivered and delivering == journal.delivering:
        return journal
    return msgspec.structs.replace(journal, delivered=delivered, delivering=delivering)


def _name(name: str, identity: str, mine: str, by_digest: Mapping[str, str]) -> str:
    if not identity or _digest(identity) == _digest(mine):
        return name
    return by_digest.get(_digest(identity)) or (elsewhere(name, identity) if mine else name)


def _digest(identity: str) -> str:
    return identity[:DIGEST]


def _shortened(where: str) -> str:
    """Return a text short enough to keep. Of a long path or address, both ends tell most."""
    if len(where) <= LONGEST_WHERE:
        return where
    return where[:_BEGINNING] + _BETWEEN + where[_BEGINNING + len(_BETWEEN) - LONGEST_WHERE :]
