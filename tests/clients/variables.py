"""One operation after the other on a pair of variables: first by twokey, then by a service's client, on one fake.

Both write the same values under the same names, so that their requests can be compared as they are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.secret import Credential
from twokey.destinations import registry
from twokey.destinations.formats.notes import note_of
from twokey.testing.contract import Backend, Hurried, services_of

if TYPE_CHECKING:
    from clients.conversation import Recording, Sent
    from twokey.core.destination import Destination

CREATED = Credential("AKIAIOSFODNN7CREATED", "created/jalrXUtnFEMI/K7MDENG/bPxRfiCYEXAM")
UPDATED = Credential("AKIAIOSFODNN7UPDATED", "updated/jalrXUtnFEMI/K7MDENG/bPxRfiCYEXAM")
PAIRS = {
    "creates": [CREATED.access_key_id, str(CREATED.reveal())],
    "updates": [UPDATED.access_key_id, str(UPDATED.reveal())],
}
"""What the steps of a client write: an id and a secret."""
NOTES = {"creates": note_of(CREATED), "updates": note_of(UPDATED)}
STEPS = ("looks", "deletes the pair", *PAIRS, "creates a token", "deletes the token")
TOKEN = "AWS_SESSION_TOKEN"


def opened(backend: Backend, options: str = "") -> Destination:
    """Return the destination as a run of its own sees it."""
    url = backend.url + (f"{'&' if '?' in backend.url else '?'}{options}" if options else "")
    return registry.open_destination(url, services_of(backend, Hurried()))


def twokey_delivers(recording: Recording, backend: Backend, name: str, token: str = TOKEN) -> None:
    """Have twokey create a pair, then update it and remove a session token that another client put beside it."""
    recording.step = f"twokey {name} looks"
    opened(backend).preflight()
    opened(backend).held()
    recording.step = f"twokey {name} creates"
    opened(backend).deliver(CREATED)
    recording.step = "another client puts a token beside it"
    opened(backend, f"id={token}&secret=DB_PASSWORD").deliver(CREATED)
    recording.step = f"twokey {name} updates"
    opened(backend).deliver(UPDATED)
    recording.step = "another client"


def assert_same_requests(
    recording: Recording, name: str, besides: tuple[str, ...] = (), unknown: tuple[tuple[str, str], ...] = ()
) -> None:
    """Assert that the client writes as twokey does, and that it too sends each request with which twokey looks.

    ``besides``: parameters in which they may differ, such as those that say which page of a list is wanted.
    ``unknown``: the requests of twokey, by method and path, that the client has no function for.
    """

    def writes(*steps: str) -> list[Sent]:
        found = [one.without(*besides) for step in steps for one in recording.writes(step)]
        return [one for one in found if (one.method, one.path) not in unknown]

    assert writes(f"{name} creates") == writes(f"twokey {name} creates") != []
    assert writes(f"{name} updates", f"{name} deletes the token") == writes(f"twokey {name} updates") != []
    client = [_of_any_variable(one.without(*besides)) for one in recording.reads(*(f"{name} {step}" for step in STEPS))]
    for one in recording.reads(*(f"twokey {name} {step}" for step in ("looks", "creates", "updates"))):
        if (one.method, one.path) not in unknown:
            assert _of_any_variable(one.without(*besides)) in client


def _of_any_variable(request: Sent) -> Sent:
    """Return a request without the name of a variable: twokey looks for the names of session tokens, too."""
    return replace(request, path=re.sub(r"(?<=/)AWS_\w+", "{name}", request.path))
