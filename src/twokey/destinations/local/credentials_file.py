"""A profile of a shared credentials file: ``credentials-file:PATH?profile=NAME``.

``extra.NAME=value`` keeps a further property of the profile, such as ``extra.region=eu-central-1``. How the file is
read and written: see ``twokey.destinations.formats.profiles``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import Held
from twokey.core.secret import Credential
from twokey.destinations.formats.bodies import CredentialsFile
from twokey.destinations.formats.forms import MEMBERS, form_at
from twokey.destinations.formats.profiles import Profile
from twokey.destinations.local.edited_files import EditedFile
from twokey.destinations.local.local_paths import check_path, path_of

if TYPE_CHECKING:
    from twokey.core.model import Holding
    from twokey.core.ports import Clock
    from twokey.core.secret import Hidden
    from twokey.destinations.address import Address
    from twokey.destinations.registry import Services


def check(address: Address) -> None:
    """Raise ``UsageError`` for a path, profile or property that cannot be."""
    check_path(address)
    _body(address)


def open_place(address: Address, services: Services) -> ProfileOfFile:
    """Return the profile as a destination."""
    return ProfileOfFile(address, services.clients.clock)


class ProfileOfFile(EditedFile):
    """One profile; the others are other people's."""

    def __init__(self, address: Address, clock: Clock) -> None:
        self._body = _body(address)
        super().__init__(address.url, path_of(address), (self._body.profile,), clock)

    def _holding(self, text: Hidden) -> Holding:
        found = Profile.of(text, self._body.profile).found()
        return Held(found.access_key_id) if isinstance(found, Credential) else found

    def _edited(self, text: Hidden, credential: Credential) -> Hidden:
        return Profile.of(text, self._body.profile).with_pair(credential, self._body.extras)


def _body(address: Address) -> CredentialsFile:
    form = form_at(address, default="credentials-file", names=MEMBERS, only=("profile", "extra.*"))
    # Without a name it would be [default], which is likely a person's own.
    if "profile" not in address.options or not isinstance(form.body, CredentialsFile):
        raise address.wrong("say which profile: add ?profile=NAME, such as ?profile={user}.")
    return form.body
