"""What comes first when a key id has leaked: it is made Inactive, before the configuration is read, or anything else.

That takes two requests, and no module besides those that send them. So the modules of stores and destinations are
imported later, and a mistake in ``twokey.yaml`` keeps no leaked key Active.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.aws.clients import Clients
from twokey.aws.iam import Iam
from twokey.core.errors import BadCredentials, TwokeyError
from twokey.revocation.contain import contain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from twokey.revocation.contain import Contained

KEY_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")
"""A long-term access key ("IAM identifiers", IAM User Guide)."""
OF_A_SESSION = re.compile(r"ASIA[A-Z0-9]{12,124}")


@dataclass(frozen=True, slots=True)
class Request:
    """What the operator reports: key ids and names of users; ``both``: all keys of each of these users."""

    targets: tuple[str, ...]
    both: bool = False
    delete: bool = False
    keep: timedelta | None = None


@dataclass(slots=True)
class First:
    """The connection to AWS, and which keys it was used to make Inactive already: their users, and since when.

    It is to the account that twokey runs in, so the users are of that account.
    """

    clients: Clients
    iam: Iam
    owners: dict[str, str] = field(default_factory=dict)
    contained: dict[str, Contained] = field(default_factory=dict)


def connect() -> First:
    """Return the connection that a run uses. Creating it calls nothing."""
    clients = Clients(uuid.uuid4().hex)
    return First(clients, Iam(clients))


def contain_first(key_ids: Sequence[str], first: First) -> None:
    """Make these keys Inactive. What fails is tried again, and reported, where the users are looked up.

    Raises ``BadCredentials``, and the other errors about the credentials of twokey itself.
    """
    own = first.clients.own_key()
    for key_id in dict.fromkeys(key_ids):
        if key_id == own:
            continue
        try:
            owner = first.iam.owner(key_id)
            if owner is not None:
                first.owners[key_id] = owner
                first.contained[key_id] = contain(owner, key_id, first.iam, first.clients.clock)
        except BadCredentials:
            raise
        except TwokeyError:
            continue
