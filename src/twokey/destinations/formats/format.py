"""The formats in which a destination stores a credential, chosen by the options of its URL. Pure.

=================  ============================================================================================
pair               two values, each with a name of its own
json               one value: a JSON object
env                one value: a line ``NAME=value`` for each of the two
credentials-file   one value: a shared credentials file with one profile
ses-smtp           two values: the user name and the password with which the key speaks SMTP to Amazon SES
template           one value: a text of your own with placeholders
=================  ============================================================================================

Names and templates are checked when the URL is read, before anything is called, and again when its fields are
filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.core.errors import ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.address import nearest
from twokey.destinations.formats import assignments, profiles, smtp, templates, temporary
from twokey.destinations.formats.bodies import Body, CredentialsFile, Members, Template, Variables
from twokey.destinations.formats.found import plain_text
from twokey.destinations.formats.journals import json_object
from twokey.destinations.formats.names import ENVIRONMENT, MEMBERS, PROFILES, PROPERTIES, Names
from twokey.destinations.formats.present import has_no_content, is_only_a_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from twokey.destinations.address import Address
    from twokey.destinations.formats.bodies import Extras
    from twokey.destinations.formats.found import Found
    from twokey.destinations.formats.journals import Text

__all__ = [
    "ENVIRONMENT",
    "FORMATS",
    "MEMBERS",
    "ONE_TEXT",
    "OPTIONS",
    "PAIR",
    "SAMPLE",
    "Format",
    "Names",
    "format_at",
    "format_of",
]

OPTIONS: tuple[str, ...] = ("format", "id", "secret", "name", "region", "profile", "template", "extra.*")
"""The options of a URL that belong to the format."""

_TAKES = {
    "pair": ("id", "secret", "extra.*"),
    "json": ("id", "secret", "name", "extra.*"),
    "env": ("id", "secret", "name", "extra.*"),
    "credentials-file": ("profile", "name", "extra.*"),
    "ses-smtp": ("id", "secret", "region", "extra.*"),
    "template": ("template", "region", "name"),
}
_MEMBERS = ("id", "secret", "profile")
"""The options that name the pair within a text."""
_ONE_WAY = ("ses-smtp", "template")
FORMATS = tuple(_TAKES)
_EXTRA = "extra."
_CONTENTS = {
    "pair": "a JSON object",
    "json": "a JSON object",
    "ses-smtp": "a JSON object",
    "env": "lines NAME=value only",
    "credentials-file": "a shared credentials file",
    "template": "the text of this template",
}
"""What a single value of each format consists of, in words."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a destination stores a credential. Its ``repr`` contains no secret, because it has none.

    ``names``: of the values, in the order in which they are written. ``reversible``: whether the credential can be
    read back from the values. ``body``: how a text of it is written and read. ``other_members``: the names of the pair
    within a text, where a URL chose other ones than the default.
    """

    name: str
    names: tuple[str, ...]
    reversible: bool
    body: Body
    other_members: tuple[str, ...] = ()

    def values(self, credential: Credential) -> dict[str, Hidden]:
        """Return the values by name, for a destination with named values."""
        if isinstance(self.body, Members) and self._apart:
            return self.body.members(credential)
        return {self.names[0]: self.text(credential)}

    def text(self, credential: Credential) -> Hidden:
        """Return one text, for a destination with one value. Two values become the members of a JSON object."""
        return self.body.write(credential)

    def values_beside(self, present: Mapping[str, str | None], credential: Credential, name: str) -> dict[str, Hidden]:
        """Return the values to write where these are now: what a single value contains besides the pair stays.

        ``present`` has None for a value that is missing or cannot be seen. Raises ``ServiceRejected`` for a single
        value that is not twokey's, so that writing it would lose it.
        """
        if isinstance(self.body, Members) and self._apart:
            temporary.refuse_unclear(self.body.id_name, present, self.left_over(present))
            return self.body.members(credential)
        return {self.names[0]: self.text_beside(present.get(self.names[0]), credential, name)}

    def text_beside(self, present: Text | None, credential: Credential, name: str) -> Hidden:
        """Return the text to write where this one is now (see ``values_beside``); ``name`` is the destination's."""
        if present is None:
            return self.text(credential)
        plain = plain_text(present)
        if plain is None or not _encodes(plain):
            raise self._not_ours(name)
        if has_no_content(plain):
            return self.text(credential)
        try:
            merged = self.body.merged(plain, credential)
        except ServiceRejected as error:
            raise ServiceRejected(f"{_thing(name)}: {error.message}", state=error.state, remedy=error.remedy) from None
        if merged is not None:
            return merged
        if is_only_a_credential(plain):
            return self.text(credential)
        raise self._not_ours(name)

    def _not_ours(self, name: str) -> ServiceRejected:
        return ServiceRejected(
            f"{_thing(name)} holds a value that twokey did not write, and a write would replace it: expected "
            f"{_CONTENTS[self.name]}.",
            state="Nothing was written.",
            remedy="Deliver to another destination. Or, if nothing needs the value any more, replace it with {} (an "
            "empty JSON object), and run again.",
        )

    @property
    def names_beside(self) -> tuple[str, ...]:
        """The names of values of temporary credentials that may lie beside named values (see ``left_over``)."""
        return self.body.beside if isinstance(self.body, Members) and self._apart else ()

    def left_over(self, values: Mapping[str, str | None]) -> tuple[str, ...]:
        """Return the names of values of temporary credentials that lie beside the pair, which SDKs cannot use then.

        ``values``: what is there, with None for a value that cannot be seen.
        """
        return self.body.left_over(values) if isinstance(self.body, Members) and self._apart else ()

    def holding(self, values: Mapping[str, str | None]) -> Holding:
        """Return which key named values contain; None stands for a missing value."""
        return _holding(self._found(values))

    def holding_text(self, text: Text | None) -> Holding:
        """Return which key a text contains; None stands for no text."""
        return _holding(self._found_in(text))

    def credential(self, values: Mapping[str, str | None], name: str) -> Credential | None:
        """Read the credential from named values, or None; raises ``ServiceRejected`` if it cannot be read."""
        return self._credential(self._found(values), name)

    def credential_of_text(self, text: Text | None, name: str) -> Credential | None:
        """Read the credential from a text; None if there is none. Raises ``ServiceRejected`` if it cannot be read."""
        return self._credential(self._found_in(text), name)

    @property
    def _apart(self) -> bool:
        return len(self.names) > 1

    def _found(self, values: Mapping[str, str | None]) -> Found:
        if isinstance(self.body, Members) and self._apart:
            return self.body.read_values(values)
        return self._found_in(values.get(self.names[0]))

    def _found_in(self, text: Text | None) -> Found:
        return NotHeld() if text is None else self.body.read(text)

    def _credential(self, found: Found, name: str) -> Credential | None:
        if isinstance(found, NotHeld):
            return None
        if isinstance(found, Credential) and self.reversible:
            return found
        why = found.why if isinstance(found, CannotTell) else f"{self.name} cannot be read back"
        raise ServiceRejected(f"{name} contains no credential that twokey can read: {why}.")

    def version(self, key_id: str) -> str:
        """Return a text that identifies what this format writes for a key: for the JSON pair, the key's ID."""
        written = self.text(_SAMPLE)
        return key_id if written == PAIR.text(_SAMPLE) else f"{key_id}\n{written}"


def format_at(
    address: Address, *, default: str, names: Names, own: Iterable[str] = (), only: Iterable[str] = ()
) -> Format:
    """Return the format that a URL selects; raises ``UsageError`` with the URL for an invalid one.

    ``own`` are the options of the kind besides those of the format, ``only`` the options of formats that apply to it
    (by default all).
    """
    address.allow((*own, *(only or OPTIONS)))
    try:
        return format_of(address.options, default=default, names=names)
    except UsageError as error:
        raise address.error(error.message, error.remedy) from None


def text_format(address: Address, own: Iterable[str] = ()) -> Format:
    """Return the format of a destination with one value without a name; raises ``UsageError`` with the URL."""
    return format_at(address, default="json", names=MEMBERS, own=own, only=ONE_TEXT)


def refuse_store(address: Address, value_format: Format) -> None:
    """Raise ``UsageError`` for a format from which a store could not read the credential back."""
    if not value_format.reversible:
        readable = " or ".join(name for name in _TAKES if name not in _ONE_WAY)
        raise address.error(
            f"the format {value_format.name} cannot be read back, so this destination cannot be a store.",
            f"Use {readable}.",
        )


def format_of(options: Mapping[str, str], *, default: str, names: Names) -> Format:
    """Return the format that a URL's options select; raises ``UsageError`` with one sentence.

    ``default`` is the format if the options name none, ``names`` the naming rules of the kind. Options that are not in
    ``OPTIONS`` belong to the kind and are ignored.
    """
    name = options.get("format", default)
    if name not in _TAKES:
        raise UsageError(f"There is no format {name!r}; {nearest(name, FORMATS)}")
    _refuse_idle(options, name)
    made = _MAKERS[name](options, names)
    usual = _MAKERS[name]({option: options[option] for option in options if option not in _MEMBERS}, names)
    members = _members_in(made.body)
    return replace(made, other_members=members if members != _members_in(usual.body) else ())


def advice(options: Mapping[str, str]) -> str:
    """Return what is to be changed in a URL's options although they are valid; empty if nothing is."""
    found = templates.unencoded(options["template"]) if options.get("format") == "template" else None
    if found is None:
        return ""
    write = f"Write ${{{found.kind}:{templates.URL}}} there."
    if found.password:
        return (
            f"its template has ${found.kind} as the password in a URL. It can contain / and +, so it is written "
            f"percent-encoded. {write}"
        )
    return (
        f"its template puts ${found.kind} into a URL as it is. It can contain / and +, so programs would read that "
        f"URL wrongly after some rotations, and not after others. {write}"
    )


def supplied_credential(text: Text, name: str) -> Credential | None:
    """Read a pair that the operator supplies, also as ``aws iam create-access-key`` prints it, in ``AccessKey``.

    None if there is no pair. Raises ``ServiceRejected`` for a text that cannot be read.
    """
    printed = (json_object(text) or {}).get("AccessKey")
    value_format = format_of({}, default="json", names=MEMBERS)
    return value_format.credential_of_text(text if printed is None else memoryview(printed), name)


def _refuse_idle(options: Mapping[str, str], name: str) -> None:
    """Refuse options of another format: they would have no effect."""
    for option in options:
        kind = f"{_EXTRA}*" if option.startswith(_EXTRA) else option
        if kind == "format" or kind not in OPTIONS or kind in _TAKES[name]:
            continue
        takers = ", ".join(taker for taker, taken in _TAKES.items() if kind in taken)
        raise UsageError(f"{option}= has no effect with format={name}; it belongs to {takers}.")


def _pair(options: Mapping[str, str], names: Names) -> Format:
    body = _members(options, names, names.id, names.secret)
    return Format("pair", _names_of(body), reversible=True, body=body)


def _ses_smtp(options: Mapping[str, str], names: Names) -> Format:
    region = _required(options, "region", "ses-smtp", "the password is valid in one region only")
    smtp.check_region(region)
    body = _members(options, names, names.smtp_id, names.smtp_secret, region)
    return Format("ses-smtp", _names_of(body), reversible=False, body=body)


def _json(options: Mapping[str, str], names: Names) -> Format:
    body = _members(options, MEMBERS, MEMBERS.id, MEMBERS.secret)
    return Format("json", (_name(options, names),), reversible=True, body=body)


def _env(options: Mapping[str, str], names: Names) -> Format:
    id_name, secret_name, extras = _named(options, ENVIRONMENT, ENVIRONMENT.id, ENVIRONMENT.secret)
    _check_extras(extras, assignments.writable, "that sh and dotenv libraries would both read back")
    return Format("env", (_name(options, names),), reversible=True, body=Variables(id_name, secret_name, extras))


def _credentials_file(options: Mapping[str, str], names: Names) -> Format:
    profile = options.get("profile", PROFILES.name)
    PROFILES.check(profile)
    if profile == "DEFAULT":
        raise UsageError("profile=DEFAULT: botocore reads a section of that name as settings of all profiles.")
    extras = _extras(options, PROPERTIES)
    _check_extras(extras, profiles.writable, "that a credentials file can hold")
    body = CredentialsFile(profile, extras)
    return Format("credentials-file", (_name(options, names),), reversible=True, body=body)


def _template(options: Mapping[str, str], names: Names) -> Format:
    pieces = templates.pieces(
        _required(options, "template", "template", "the text with placeholders such as $AccessKeyId")
    )
    region = ""
    if any(piece.kind == "SmtpPassword" for piece in pieces):
        region = _required(options, "region", "$SmtpPassword", "the password is valid in one region only")
        smtp.check_region(region)
    elif "region" in options:
        raise UsageError("region= has no effect for a template without $SmtpPassword.")
    return Format("template", (_name(options, names),), reversible=False, body=Template(pieces, region))


_MAKERS: dict[str, Callable[[Mapping[str, str], Names], Format]] = {
    "pair": _pair,
    "json": _json,
    "env": _env,
    "credentials-file": _credentials_file,
    "ses-smtp": _ses_smtp,
    "template": _template,
}


def _members(options: Mapping[str, str], names: Names, id_name: str, secret_name: str, region: str = "") -> Members:
    return Members(*_named(options, names, id_name, secret_name), region)


def _named(options: Mapping[str, str], names: Names, id_name: str, secret_name: str) -> tuple[str, str, Extras]:
    """Return the names of ID and secret, and the extra values, all checked."""
    id_name, secret_name = options.get("id", id_name), options.get("secret", secret_name)
    for name in (id_name, secret_name):
        names.check(name)
    extras = _extras(options, names)
    for name, _ in extras:
        if name in temporary.names_beside(id_name):
            raise UsageError(f"{_EXTRA}{name}: a long-term access key has no such value, and SDKs cannot use both.")
    all_names = [id_name, secret_name, *(name for name, _ in extras)]
    alike = [name.upper() if names.case_insensitive else name for name in all_names]
    for name, one in zip(all_names, alike, strict=True):
        if alike.count(one) > 1:
            raise UsageError(f"{name!r} is the name of two values.")
    return id_name, secret_name, extras


def _extras(options: Mapping[str, str], names: Names) -> Extras:
    extras = tuple((name.removeprefix(_EXTRA), value) for name, value in options.items() if name.startswith(_EXTRA))
    for name, _ in extras:
        names.check(name)
    return extras


def _check_extras(extras: Extras, writable: Callable[[str], bool], what: str) -> None:
    for name, value in extras:
        if not writable(value):
            raise UsageError(f"{_EXTRA}{name}={value!r}: expected a value {what}.")


def _name(options: Mapping[str, str], names: Names) -> str:
    name = options.get("name", names.name)
    names.check(name)
    return name


def _members_in(body: Body) -> tuple[str, ...]:
    match body:
        case Members(id_name, secret_name) | Variables(id_name, secret_name):
            return id_name, secret_name
        case CredentialsFile(profile):
            return (profile,)
    return ()


def _names_of(body: Members) -> tuple[str, ...]:
    return body.id_name, body.secret_name, *(name for name, _ in body.extras)


def _required(options: Mapping[str, str], option: str, what: str, why: str) -> str:
    if not options.get(option):
        raise UsageError(f"{what} needs {option}=: {why}.")
    return options[option]


def _thing(url: str) -> str:
    """Return the part of a URL that names the thing: where a message is shown, the whole URL often stands before it."""
    return url.partition("?")[0].partition(":")[2] or url


def _encodes(text: Hidden) -> bool:
    """Say whether a text is UTF-8 when it is written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holding(found: Found) -> Holding:
    return Held(found.access_key_id) if isinstance(found, Credential) else found


PAIR = format_of({}, default="json", names=MEMBERS)
"""The default of a destination with one value: a JSON object with ID and secret, named as in AWS's own tools."""
ONE_TEXT = tuple(option for option in OPTIONS if option != "name")
"""The options for a destination with one value without a name."""
SAMPLE = Credential("AKIAIOSFODNN7EXAMPLE", "an-example-secret-that-has-40-characters")
"""A credential to try a write with, as long as real ones, in preflight."""
_SAMPLE = Credential("AKIAIOSFODNN7EXAMPLE", "an-example-secret")
"""Must never change: version IDs in Secrets Manager depend on what is written for it."""
