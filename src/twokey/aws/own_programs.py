"""The programs that botocore runs for credentials (``credential_process``), with a limit: it would wait for ever.

Such a program may be twokey itself: ``twokey credential-process``, for a store that it needs credentials for. Where it
finds the same profile again, it would run itself without end, so each run knows what runs above it.

Source: "Process credential provider" (AWS SDKs and Tools Reference Guide), which has no limit.
"""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

from twokey.core.errors import CredentialsUnavailable
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.credentials import CredentialResolver

LONGEST = 120.0
"""Seconds: enough to sign in with a browser, or to type a code."""
_ABOVE = "TWOKEY_PROGRAMS_ABOVE"
"""The variable that names the programs above this process, by their digests: a command line may hold a secret."""
_ITSELF = "which would run itself without end"


class Program(subprocess.Popen[bytes]):
    """A program that is stopped when it takes too long. It keeps the terminal: it may ask for something."""

    def __init__(self, words: Sequence[str], **options: Any) -> None:
        """Start it; raises ``CredentialsUnavailable`` for one that runs already and waits for this process."""
        above, digest = environment.variable(_ABOVE).split(), hashlib.sha256("\0".join(words).encode()).hexdigest()
        if digest in above:
            raise _runs_itself()
        super().__init__(words, env=environment.for_program({_ABOVE: " ".join((*above, digest))}), **options)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002  the name in ``Popen``
        """Return what it wrote; raises ``TimeoutExpired`` once it has ended after the limit."""
        try:
            output, errors = super().communicate(input, LONGEST if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            # A program that it has started may still hold its output: nothing more is read.
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    stream.close()
            self.wait()
            raise
        if self.returncode and _ITSELF.encode() in errors:
            raise _runs_itself()
        return output, errors


def _runs_itself() -> CredentialsUnavailable:
    return CredentialsUnavailable(
        f"The credential_process of the AWS profile in use runs twokey, and twokey finds the same profile, {_ITSELF}.",
        state="Nothing was called.",
        remedy="Name a profile with other credentials for twokey's own calls: "
        "credential_process = env AWS_PROFILE=OTHER twokey credential-process …",
    )


def limit(resolver: CredentialResolver) -> None:
    """Have the programs of all profiles run with a limit, those of source profiles too."""
    # botocore has no public way to either.
    own: Any = resolver.get_provider("custom-process")
    roles: Any = resolver.get_provider("assume-role")
    profiles = roles._profile_provider_builder  # noqa: SLF001
    create = profiles._create_process_provider  # noqa: SLF001

    def limited(profile_name: str) -> Any:
        return _limited(create(profile_name))

    profiles._create_process_provider = limited  # noqa: SLF001
    _limited(own)


def _limited(provider: Any) -> Any:
    provider._popen = Program  # noqa: SLF001
    return provider
