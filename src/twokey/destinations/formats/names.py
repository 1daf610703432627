"""The naming rules of values, and their default names. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twokey.core.errors import UsageError
from twokey.destinations.address import FIELDS

_FIELD = re.compile(r"\{(" + "|".join(FIELDS) + r")\}")


@dataclass(frozen=True, slots=True)
class Names:
    """The naming rules of a kind of destination.

    ``pattern``: a regular expression that a whole name matches. ``allowed``: the rule in words, as in "expected
    …". ``longest``: in characters. ``forbidden``: prefixes that the service reserves, in any case.
    ``case_insensitive``: two names that differ only in case are one. The other fields are the default names of
    ID, secret, a single value, and SES's SMTP user name and password.
    """

    pattern: str
    allowed: str
    longest: int = 255
    forbidden: tuple[str, ...] = ()
    case_insensitive: bool = False
    id: str = "AWS_ACCESS_KEY_ID"
    secret: str = "AWS_SECRET_ACCESS_KEY"  # noqa: S105  the name of a value
    name: str = "AWS_CREDENTIALS"
    smtp_id: str = "SMTP_USERNAME"
    smtp_secret: str = "SMTP_PASSWORD"  # noqa: S105  the name of a value

    def check(self, name: str) -> None:
        """Raise ``UsageError`` for a name that breaks the rules.

        A field that is not filled in counts as a lowercase letter, ``{USER}`` as an uppercase one.
        """
        plain = _FIELD.sub(lambda field: "X" if field[0] == "{USER}" else "x", name)
        if not re.fullmatch(self.pattern, plain, re.ASCII):
            raise UsageError(f"{name!r} cannot be a name here: expected {self.allowed}.")
        if len(plain) > self.longest:
            raise UsageError(f"{name!r} cannot be a name here: it is longer than {self.longest} characters.")
        # A name that begins with a field is known only when the field is filled in.
        for reserved in self.forbidden:
            if name.lower().startswith(reserved.lower()):
                raise UsageError(f"{name!r} cannot be a name here: names that begin with {reserved} are reserved.")


ENVIRONMENT = Names(
    pattern=r"[A-Za-z_][A-Za-z0-9_]*",
    allowed="letters, digits and underscores, and no digit at the beginning",
)
"""Environment variables (POSIX.1-2017, Base Definitions, 8.1 "Environment Variable Definition")."""

MEMBERS = Names(
    pattern=r"[A-Za-z0-9_.@:/-]+",
    allowed="letters, digits and the characters _.@:/-",
    forbidden=("twokey-journal",),
    id="AccessKeyId",
    secret="SecretAccessKey",  # noqa: S106  the name of a member
    name="Credential",
    smtp_id="SmtpUsername",
    smtp_secret="SmtpPassword",  # noqa: S106  the name of a member
)
"""Members of a JSON object; by default named as AWS's own tools name them."""

PROPERTIES = Names(
    pattern=r"[a-z][a-z0-9_]*",
    allowed="lowercase letters, digits and underscores, and a letter at the beginning",
    forbidden=("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_security_token"),
    id="aws_access_key_id",
    secret="aws_secret_access_key",  # noqa: S106  the name of a property
)
"""Properties of a profile in a shared credentials file."""

PROFILES = Names(
    pattern=r"[A-Za-z0-9_./%@:+-]+",
    allowed="letters, digits and the characters _./%@:+-",
    name="default",
)
"""Profiles of a shared credentials file. The AWS SDK for Java 2.x ignores others (its ``ProfileFileReader``)."""
