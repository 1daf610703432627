"""One profile in the text of a shared credentials file: which key it holds, and the text with another pair. Pure.

Read as "Shared config and credentials files" (AWS SDKs and Tools Reference Guide) and "Profile file changes" (AWS
SDK for Java 2.x, migration guide) say, and as botocore's parser does. If these differ, so that two SDKs
may read different values, the profile counts as unreadable and is not written:

* a section or property that occurs twice is merged by the Java SDK, and is an error to botocore;
* a comment after a value is cut off by the Java SDK and is part of the value to botocore. It is read as a comment,
  and moved to a line of its own when the value is replaced;
* ``name: value`` is read by botocore only. It is written as ``name = value``;
* an indented line belongs to the property above it (nested properties, such as those of ``s3 =``);
* a section ``[DEFAULT]`` sets properties of every profile to botocore, and is a profile to the others;
* a file that botocore cannot parse, wherever in the file that is, gives it no profile at all.

A session token beside the pair is sent along (botocore reads ``aws_security_token`` first), and AWS refuses the pair.
SDKs that find a role, a web identity or IAM Identity Center in a profile do not look at its pair: botocore's
``AssumeRoleProvider``, ``AssumeRoleWithWebIdentityProvider`` and ``SSOProvider`` come before
``SharedCredentialProvider``. A ``credential_process``, a ``login_session``, and a ``credential_source`` without a role
come after it.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats.found import both

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.destinations.formats.found import Found

ID, SECRET = "aws_access_key_id", "aws_secret_access_key"
TOKENS = ("aws_session_token", "aws_security_token")
_FOR_ALL = "DEFAULT"
_ROLE, _SOURCE, _WEB_IDENTITY, _SSO = "role_arn", "source_profile", "web_identity_token_file", "sso_"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_VALUE = re.compile(r"(?:(?![ \t][#;])[\x20-\x7e])*", re.ASCII)
_LONE_RETURN = re.compile(r"\r(?!\n)")
_SPACE = (" ", "\t")
_COMMENTS = (" #", "\t#", " ;", "\t;")


@dataclass(frozen=True, slots=True)
class Property:
    """A property of the profile. ``line`` and ``more`` are the numbers of its lines in the file.

    ``head`` is the text before the value, ``comment`` the text after it.
    """

    name: str
    line: int
    head: Hidden
    value: Hidden
    comment: Hidden
    more: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile in a file. Its section begins at the line ``begin``, which is the file's end if there is no section."""

    lines: tuple[Hidden, ...]
    name: str
    begin: int
    properties: tuple[Property, ...]
    disagreement: str
    """Why readers do not agree on its content, in half a sentence; empty if they agree."""
    parse_error: str = ""
    """Where botocore cannot parse the file; empty if it can. A write may correct that."""

    @classmethod
    def of(cls, text: Hidden, name: str) -> Profile:
        """Find a profile in a file's text."""
        lines = tuple(map(Hidden, _LINE.findall(text)))
        headers = [number for number, line in enumerate(lines) if line.startswith("[")]
        matching = [number for number in headers if _title(lines[number]).strip() == name]
        begin = matching[0] if matching else len(lines)
        end = min((number for number in headers if number > begin), default=len(lines))
        properties, disagreement = _properties(lines, begin + 1, end)
        if _LONE_RETURN.search(text):
            disagreement = "the file has a carriage return in the middle of a line"
        elif len(matching) > 1:
            disagreement = f"the section [{name}] occurs more than once"
        elif matching and _title(lines[begin]) != name:
            disagreement = f"there are spaces between the brackets of [{name}]"
        elif not disagreement:
            disagreement = _for_all(lines, headers)
        return cls(lines, name, begin, properties, disagreement, _parse_error(text))

    @property
    def ignored_for(self) -> str:
        """Return the property because of which SDKs do not look at the pair; the empty text if they do.

        A role whose source is the profile itself is assumed with the pair.
        """
        values = {entry.name: entry.value for entry in self.properties}
        for name in values:
            if name == _WEB_IDENTITY or name.startswith(_SSO):
                return name
        return _ROLE if _ROLE in values and values.get(_SOURCE) != self.name else ""

    def found(self) -> Found:
        """Say which key the profile holds."""
        if self.disagreement:
            return CannotTell(self.disagreement)
        if self.ignored_for:
            return CannotTell(f"it has {self.ignored_for}, so AWS SDKs do not use its pair")
        values: dict[str, str | None] = {}
        for entry in self.properties:
            if entry.name in (ID, SECRET) and (entry.name in values or entry.more):
                return CannotTell(f"its {entry.name} occurs twice, or continues on the next line")
            values[entry.name] = entry.value
        for token in TOKENS:
            if token in values:
                return CannotTell(f"it has an {token}, which belongs to temporary credentials")
        found = both(values, ID, SECRET)
        return CannotTell(self.parse_error) if self.parse_error and not isinstance(found, NotHeld) else found

    def with_pair(self, credential: Credential, extras: Iterable[tuple[str, str]] = ()) -> Hidden:
        """Return the file's text with this pair in the profile, without a session token, and with all else unchanged.

        Raises ``ServiceRejected`` if readers would not agree on the result.
        """
        if self.disagreement:
            raise ServiceRejected(
                f"The profile {self.name} cannot be changed: {self.disagreement}, and AWS SDKs read that differently.",
                state="Nothing was written.",
                remedy="Correct this in the file, and run again.",
            )
        wanted = {ID: Hidden(credential.access_key_id), SECRET: credential.reveal()}
        wanted |= {name: Hidden(value) for name, value in extras}
        for name, value in wanted.items():
            if not writable(value):
                raise ServiceRejected(
                    f"The value of {name} contains what a credentials file cannot hold: a control character, a space "
                    "at an end, or the beginning of a comment.",
                    state="Nothing was written.",
                    remedy="Change the option of the destination that sets it.",
                )
        written = Hidden("".join(self._written(wanted)))
        self._refuse_unused(Profile.of(written, self.name))
        return written

    def _refuse_unused(self, after: Profile) -> None:
        """Raise ``ServiceRejected`` if SDKs would not use the pair in the new text."""
        if after.parse_error:
            raise ServiceRejected(
                f"The profile {self.name} cannot be written: {after.parse_error}, so it would find no profile in it.",
                state="Nothing was written.",
                remedy="Correct the file there (each property belongs to a section, and occurs once in it), and run "
                "again.",
            )
        if after.ignored_for:
            raise ServiceRejected(
                f"The profile {self.name} has {after.ignored_for}: AWS SDKs then use the credentials of the role or "
                "the portal, and never the pair.",
                state="Nothing was written.",
                remedy=f"Remove {after.ignored_for} from the profile. Or deliver to another profile, and name that one "
                "as the source_profile of the role.",
            )

    def _written(self, wanted: dict[str, Hidden]) -> list[Hidden]:
        newline = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        lines, written = list(self.lines), set[str]()
        for entry in self.properties:
            if entry.name in wanted or entry.name in TOKENS:
                for number in (entry.line, *entry.more):
                    lines[number] = Hidden()
                if entry.name in wanted and entry.name not in written:
                    ending = _ending(self.lines[entry.line])
                    comment = f"{entry.comment}{ending or newline}" if entry.comment else ""
                    lines[entry.line] = Hidden(f"{comment}{entry.head}{wanted[entry.name]}{ending}")
                    written.add(entry.name)
        rest = (f"{name} = {value}{newline}" for name, value in wanted.items() if name not in written)
        return self._with_lines(lines, Hidden("".join(rest)), newline)

    def _with_lines(self, lines: list[Hidden], added: Hidden, newline: str) -> list[Hidden]:
        """Add lines at the beginning of the section, or in a section of their own at the end of the file."""
        if self.begin == len(lines):
            gap = [Hidden(newline)] if lines else []
            last = [_ended(line, newline) for line in lines[-1:]]
            return [*lines[:-1], *last, *gap, Hidden(f"[{self.name}]{newline}"), added]
        if added:
            lines[self.begin] = Hidden(f"{_ended(lines[self.begin], newline)}{added}")
        return lines


def is_credentials_file(text: Hidden) -> bool:
    """Say whether a text is empty, or a file that botocore can parse."""
    return not _parse_error(text)


def only_section(text: Hidden) -> dict[str, Hidden] | None:
    """Return the properties of a file's only section; None if the file has anything else, such as a comment."""
    lines = tuple(map(Hidden, _LINE.findall(text)))
    headers = [number for number, line in enumerate(lines) if line.startswith("[")]
    if len(headers) != 1 or any(line.lstrip()[:1] in ("#", ";") for line in lines) or _parse_error(text):
        return None
    properties, disagreement = _properties(lines, headers[0] + 1, len(lines))
    if disagreement or any(entry.more or entry.comment for entry in properties):
        return None
    return {entry.name: entry.value for entry in properties}


def _parse_error(text: Hidden) -> str:
    """Parse as botocore's ``raw_config_parse`` does; say which line it does not understand. Never quotes a line."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(Hidden("".join(map(_shape, map(Hidden, _LINE.findall(text))))))
    except configparser.Error as error:
        numbers = [number for number, _ in getattr(error, "errors", ())] or [getattr(error, "lineno", 0)]
        return f"boto3 cannot parse line {numbers[0]} of the file"
    for section in parser.sections():
        for value in dict(parser.items(section)).values():
            if value.startswith("\n") and not all("=" in line for line in value.splitlines() if line):
                return f"boto3 cannot parse the indented lines of the section [{section}] of the file"
    return ""


def _shape(line: Hidden) -> Hidden:
    """Return a line that parsers treat like this one, without its value."""
    bare = Hidden(line.strip())
    if not bare or bare[0] in "#;[":
        return line
    if line[0] in _SPACE:
        return Hidden(" x=x\n" if "=" in bare else " x\n")
    at = min((position for position in (bare.find("="), bare.find(":")) if position >= 0), default=-1)
    if at < 0:
        return Hidden("x\n")
    return Hidden(f"{bare[: at + 1]}{'x' if bare[at + 1 :].strip() else ''}\n")


def _for_all(lines: tuple[Hidden, ...], headers: list[int]) -> str:
    """Say which property of a section ``[DEFAULT]`` botocore would read in every profile, if it spoils the pair."""
    for begin in headers:
        if _title(lines[begin]) != _FOR_ALL:
            continue
        end = min((number for number in headers if number > begin), default=len(lines))
        for entry in _properties(lines, begin + 1, end)[0]:
            if entry.name in (ID, SECRET, *TOKENS, _ROLE, _WEB_IDENTITY) or entry.name.startswith(_SSO):
                return f"its section [{_FOR_ALL}] has {entry.name}, which botocore reads in every profile"
    return ""


def writable(value: str) -> bool:
    """Say whether all readers would read this value back."""
    return bool(value) and value.strip() == value and value[0] not in "#;" and bool(_VALUE.fullmatch(value))


def _properties(lines: tuple[Hidden, ...], begin: int, end: int) -> tuple[tuple[Property, ...], str]:
    """Return the properties of a section, and why readers would not agree on them."""
    found: list[Property] = []
    for number in range(begin, end):
        line = lines[number]
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        if line[0] not in _SPACE:
            found.append(_property(line, number))
        elif line.lstrip()[0] == "[" or not found:
            return tuple(found), "one of its lines is indented, but does not continue a property"
        else:
            found[-1] = replace(found[-1], more=(*found[-1].more, number))
    return tuple(found), ""


def _property(line: Hidden, number: int) -> Property:
    bare = Hidden(line.rstrip())
    at = min((position for position in (bare.find("="), bare.find(":")) if position >= 0), default=len(bare))
    start = at + 1
    while bare[start : start + 1] in _SPACE:
        start += 1
    cut = min((position for mark in _COMMENTS if (position := bare.find(mark, at + 1)) >= 0), default=len(bare))
    head = Hidden(f"{bare[:at]}={bare[at + 1 : min(start, cut + 1)]}")
    value, comment = Hidden(bare[start:cut].rstrip()), Hidden(bare[cut:].lstrip())
    return Property(str(bare[:at]).strip().lower(), number, head, value, comment)


def _title(line: Hidden) -> str:
    """Return the text between the brackets of a section's header; the empty text if it has none."""
    return str(line[1 : line.find("]")]) if line.startswith("[") and "]" in line else ""


def _ending(line: Hidden) -> str:
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def _ended(line: Hidden, newline: str) -> Hidden:
    return line if _ending(line) else Hidden(f"{line}{newline}")
