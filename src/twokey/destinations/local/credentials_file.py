"""A profile of a shared credentials file: ``credentials-file:PATH?profile=NAME``.

``extra.NAME=value`` writes a further property of the profile, such as ``extra.region=eu-central-1``. For how the file
is read and written, see ``twokey.destinations.formats.profiles``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import Held
from twokey.core.secret import Credential
from twokey.destinations.formats.bodies import CredentialsFile
from twokey.destinations.formats.names import MEMBERS
from twokey.destinations.formats.options import format_at
from twokey.destinations.formats.profiles import Profile
from twokey.destinations.kind import Kind
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of, resolving

if TYPE_CHECKING:
    from twokey.core.model import Holding
    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.kind import DestinationContext


def check(address: Address) -> None:
    """Raise ``UsageError`` for an invalid path, profile or property."""
    check_path(address)
    _body(address)


def _open(address: Address, context: DestinationContext) -> ProfileOfFile:
    """Return the profile as a destination."""
    return ProfileOfFile(address, context.clients.clock)


class ProfileOfFile(EditedFile):
    """One profile of a file; twokey does not change the others."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._body = _body(address)
        super().__init__(address.url, path_of(address), (self._body.profile,), clock)

    def _holding(self, text: Hidden) -> Holding:
        found = Profile.of(text, self._body.profile).found()
        return Held(found.access_key_id) if isinstance(found, Credential) else found

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        return Profile.of(text, self._body.profile).with_pair(credential, self._body.extras)


def _body(address: Address) -> CredentialsFile:
    value_format = format_at(address, default="credentials-file", names=MEMBERS, only=("profile", "extra.*"))
    # Without a name it would be [default], which is probably the operator's own.
    if "profile" not in address.options or not isinstance(value_format.body, CredentialsFile):
        raise address.error("expected a profile.", "Add ?profile=NAME, such as ?profile={user}.")
    return value_format.body


KIND = Kind(
    scheme="credentials-file", check=check, open=_open, resolve=resolving(lambda address: (_body(address).profile,))
)
