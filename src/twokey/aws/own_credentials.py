"""The credentials that twokey itself runs with. botocore finds and renews them; a failure of that becomes one sentence.

botocore looks for credentials when it needs them, and renews them within any other call: an AssumeRole that is denied
there would look like a denial of that call, and one that gets no response like a change that may have taken effect. So
its credentials are wrapped, and whatever they raise is translated here, where the cause is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.credentials import create_credential_resolver

from twokey.aws import own_programs
from twokey.aws.chain_failures import Frozen, as_error, malformed, none_found, unavailable
from twokey.aws.failure import Failure
from twokey.core.errors import CredentialsUnavailable, TwokeyError
from twokey.system import terminal_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import botocore.session


class OwnCredentials:
    """botocore's credentials, as its clients use them. All errors are ``CredentialsUnavailable``, or twokey's own."""

    def __init__(self, credentials: Any, session: botocore.session.Session) -> None:
        self._credentials = credentials
        self._session = session
        self.method: str = credentials.method

    def get_frozen_credentials(self) -> Any:
        """Return key id, secret and token, renewed if necessary."""
        frozen = Frozen()
        frozen.value = self._translated(self._credentials.get_frozen_credentials)
        if problem := malformed(frozen, self.method):
            raise problem
        return frozen.value

    def get_deferred_property(self, name: str) -> Callable[[], Any]:
        """Return what reads a property, such as the account of an endpoint, when it is needed."""
        read = self._credentials.get_deferred_property(name)
        return lambda: self._translated(read)

    @property
    def expiry(self) -> datetime | None:
        """When the credentials end, as far as their source says."""
        # Only botocore's credentials that can be renewed know their end, and have no public name for it.
        return getattr(self._credentials, "_expiry_time", None)

    def _translated(self, read: Callable[[], Any]) -> Any:
        failure: CredentialsUnavailable
        try:
            return read()
        except TwokeyError:
            raise
        except Exception as error:  # noqa: BLE001  botocore raises many kinds, and Python's own
            failure = unavailable(error, self._session, self.method)
        # Outside the handler: the error of botocore may contain what must not be shown, and is let go.
        raise failure


class ProviderChain:
    """botocore's provider chain, as the component that a session asks for credentials."""

    def __init__(self, session: botocore.session.Session) -> None:
        self._session = session

    def load_credentials(self) -> OwnCredentials:
        """Return the credentials that are found first; raises ``CredentialsUnavailable``, also if there are none."""
        failure: CredentialsUnavailable
        try:
            found = self._load()
        except TwokeyError:
            raise
        except Exception as error:  # noqa: BLE001  botocore raises many kinds, and Python's own
            failure = unavailable(error, self._session)
        else:
            if found is not None:
                return OwnCredentials(found, self._session)
            failure = none_found(self._session)
        raise failure

    def _load(self) -> Any:
        resolver = create_credential_resolver(self._session)
        # botocore would read the code from standard input where there is no terminal, and take its end for Ctrl-C.
        roles: Any = resolver.get_provider("assume-role")
        roles._prompter = _mfa_code  # noqa: SLF001  botocore has no public way
        own_programs.limit(resolver)
        return resolver.load_credentials()


def _mfa_code(prompt: str) -> str:
    """Ask for the code of an MFA device; raises ``CredentialsUnavailable`` where there is no terminal."""
    device = prompt.removeprefix("Enter MFA code for ").rstrip(": ")
    remedy = "For a scheduler, CI or a pod, use a role that does not require MFA (without mfa_serial in its profile)."
    code = terminal_input.ask_hidden(prompt)
    if code is None:
        problem = f"the profile requires an MFA code of {device}, and there is no terminal to ask for it."
    elif not code.strip():
        problem = f"the profile requires an MFA code of {device}, and none was entered."
    else:
        return code.strip()
    raise as_error(Failure(problem, remedy))
