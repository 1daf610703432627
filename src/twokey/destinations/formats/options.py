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

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import UsageError
from twokey.core.sentences import nearest
from twokey.destinations.formats import assignments, profiles, smtp, templates, temporary
from twokey.destinations.formats.bodies import Body, CredentialsFile, Members, Template, Variables
from twokey.destinations.formats.format import Format
from twokey.destinations.formats.journals import json_object
from twokey.destinations.formats.names import ENVIRONMENT, MEMBERS, PROFILES, PROPERTIES, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.formats.bodies import Extras
    from twokey.destinations.formats.journals import Text

__all__ = [
    "ENVIRONMENT",
    "FORMATS",
    "MEMBERS",
    "ONE_TEXT",
    "OPTIONS",
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
    members = usual = _members_in(made.body)
    if any(option in options for option in _MEMBERS):
        others = {option: value for option, value in options.items() if option not in _MEMBERS}
        usual = _members_in(_MAKERS[name](others, names).body)
    return replace(made, members=members, other_members=members if members != usual else ())


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


ONE_TEXT = tuple(option for option in OPTIONS if option != "name")
"""The options for a destination with one value without a name."""
