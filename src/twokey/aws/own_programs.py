"""The programs that botocore runs for credentials (``credential_process``), with a limit: it would wait for ever.

Source: "Process credential provider" (AWS SDKs and Tools Reference Guide), which has no limit.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.credentials import CredentialResolver

LONGEST = 120.0
"""Seconds: enough to sign in with a browser, or to type a code."""


class Program(subprocess.Popen[bytes]):
    """A program that is stopped when it takes too long. It keeps the terminal: it may ask for something."""

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:  # noqa: A002  the name in ``Popen``
        """Return what it wrote; raises ``TimeoutExpired`` once it has ended after the limit."""
        try:
            return super().communicate(input, LONGEST if timeout is None else timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            # A program that it has started may still hold its output: nothing more is read.
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    stream.close()
            self.wait()
            raise


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
