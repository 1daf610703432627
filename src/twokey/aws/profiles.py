"""The profile that a session uses, and those that it takes its credentials from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.aws.settings import PROFILE_VARIABLES
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import botocore.session


class Profiles:
    """The profiles of a session. What cannot be read is as good as empty: the error is reported elsewhere."""

    def __init__(self, session: botocore.session.Session) -> None:
        self.name: str = environment.first_value(PROFILE_VARIABLES) or "default"
        try:
            self._all: Mapping[str, Any] = session.full_config.get("profiles", {})
        except Exception:  # noqa: BLE001  botocore raises many kinds, and Python's own
            self._all = {}

    @property
    def described(self) -> str:
        """The profile in use, as a sentence names it."""
        return f"the profile {self.name!r}"

    @property
    def exists(self) -> bool:
        """Whether there is such a profile."""
        return self.name in self._all

    def with_setting(self, *names: str) -> str:
        """Return the first profile that has one of the settings, along ``source_profile``; else the one in use."""
        return next((name for name, profile in self._chain() if any(one in profile for one in names)), self.name)

    def setting(self, name: str) -> str:
        """Return a setting of the first profile that has it; empty without one."""
        return next((str(profile[name]) for _, profile in self._chain() if name in profile), "")

    def _chain(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        name, seen = self.name, set[str]()
        while name in self._all and name not in seen:
            seen.add(name)
            profile = self._all[name]
            yield name, profile
            name = str(profile.get("source_profile", ""))
