"""Credentials of a Jenkins: ``jenkins:CREDENTIAL_ID``.

Options: ``folder=A/B`` (the folder of the credential; by default Jenkins itself), ``store=`` and ``domain=`` as the
Credentials plugin calls them, ``kind=aws`` (of the plugin AWS Credentials) or ``kind=username-password``.

Id and secret are parts of one XML document and change in the same moment. Jenkins shows the id and hides the secret: so
it shows which key it holds. The rest of the document (scope, role, a description that the operator wrote) is sent back
as it came.

Jenkins sends the document in ISO-8859-1 without saying so, and a question mark for each character that this encoding
lacks; its JSON is in UTF-8. So the description is compared with that of the JSON, and a document that cannot be sent
back exactly is refused.

Sources: "User Guide" of the Credentials plugin (REST API: creating, managing credentials; domains); the plugin's
``CredentialsStoreAction`` (permissions, responses, redaction: the response to an update that lost a race is 200, too),
``BaseStandardCredentials`` (ids) and ``UsernamePasswordCredentialsImpl``; ``AWSCredentialsImpl`` of the plugin AWS
Credentials; "Authenticating scripted clients", "CSRF Protection" (Jenkins Handbook); ``Functions.advertiseHeaders`` and
``AccessDeniedException3`` of Jenkins (the headers of its pages).
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote
from xml.etree import ElementTree as ET

import msgspec

from twokey.core.destination import Receipt, Traits
from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, Failed, ServiceError, ServiceRejected
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.destinations import connections
from twokey.destinations.ci.named_values import unconfirmed
from twokey.destinations.formats.notes import beside, note_of
from twokey.destinations.kind import ConnectionKind, Kind, Permission, phrase
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.secret import Credential
    from twokey.destinations.address import Address
    from twokey.destinations.connections import ConnectionContext
    from twokey.destinations.kind import DestinationContext

_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_FORBIDDEN = '\\?*<>|:;"%!@#$^&'
_PART = re.compile(rf"(?!\.\.?$)[^/{re.escape(_FORBIDDEN)}]+")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.ASCII | re.IGNORECASE)
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_OWN_HEADERS = ("X-Jenkins", "X-Hudson", "X-Required-Permission", "X-You-Are-Authenticated-As")
_OWN_TEXT = (b"Powered by Jetty:", b'data-rooturl="')
PERMISSIONS = (
    Permission(service="Jenkins", name="Overall/Read", resource="server", uses=("read",)),
    Permission(service="Jenkins", name="Job/Read", resource="folder", uses=("read",), condition="folder="),
    Permission(service="Jenkins", name="Credentials/View", resource="folder or server", uses=("read",)),
    Permission(service="Jenkins", name="Credentials/Create", resource="folder or server", uses=("create",)),
    Permission(service="Jenkins", name="Credentials/Update", resource="folder or server", uses=("write",)),
)
_NEEDED = phrase(tuple(one for one in PERMISSIONS if one.name.startswith("Credentials/")))


@dataclass(frozen=True, slots=True)
class CredentialType:
    """The XML of a kind of credential: its element, and those of id and secret in it."""

    element: str
    id: str
    secret: str


TYPES = {
    "aws": CredentialType("com.cloudbees.jenkins.plugins.awscredentials.AWSCredentialsImpl", "accessKey", "secretKey"),
    "username-password": CredentialType(
        "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl", "username", "password"
    ),
}


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a Jenkins is reached: its address, a user, and an API token of that user."""

    url: Annotated[str, msgspec.Meta(description="The address of Jenkins.")]
    user: Annotated[str, msgspec.Meta(description="The user whose API token it is.")]
    token: Source


def check(address: Address) -> None:
    """Raise ``UsageError`` for a name that Jenkins allows no credential, folder, store or domain."""
    address.allow(("connection", "folder", "store", "domain", "kind"))
    if not _ID.fullmatch(address.plain):
        raise address.error("expected a credential's ID: letters, digits and the characters _.- only.")
    for option in ("folder", "store", "domain"):
        value = address.options.get(option, "x")
        parts = value.split("/") if option == "folder" else [value]
        if not all(_PART.fullmatch(part) for part in parts):
            expected = "names with slashes between them, such as team/deploy" if option == "folder" else "one name"
            raise address.error(f"{option}={value}: expected {expected}, without the characters {_FORBIDDEN}.")
    address.one_of("kind", tuple(TYPES))


def connect(settings: Settings, context: ConnectionContext) -> Http:
    """Return the connection that all destinations of one Jenkins share. With an API token it needs no crumb."""
    secret = context.secret(settings.token)
    return Http(
        "Jenkins",
        settings.url,
        context.clock,
        headers=lambda: {
            "Authorization": f"Basic {base64.b64encode(f'{settings.user}:{secret.value()}'.encode()).decode()}"
        },
        renew=secret.renew,
        ca=settings.ca or None,
        insecure_http=settings.insecure_http,
        explain=_explain,
        own_page=_own_page,
        token=f"a valid API token of the user {settings.user} (in {secret})",
    )


def _open(address: Address, context: DestinationContext) -> JenkinsCredential:
    """Return the credential."""
    return JenkinsCredential(address, context.connection(address, CONNECTION))


class JenkinsCredential:
    """One credential in a domain of a store."""

    traits = Traits(atomic=True, conditional=False, confirms="value")

    def __init__(self, address: Address, http: Http) -> None:
        self.name = address.url
        self._http = http
        self._id = address.rest
        self._kind = TYPES[address.options.get("kind", next(iter(TYPES)))]
        folder, domain = address.options.get("folder", ""), address.options.get("domain", "_")
        store = address.options.get("store", "folder" if folder else "system")
        jobs = "".join(f"/job/{quote(part, safe='')}" for part in folder.split("/") if part)
        self._domain = f"{jobs}/credentials/store/{quote(store, safe='')}/domain/{quote(domain, safe='')}"
        self._label = f"the credential {self._id} of {f'the folder {folder}' if folder else 'Jenkins'}"

    def held(self) -> Holding:
        """Return which key is here: Jenkins shows its id."""
        there = self._read()
        if there is None:
            return NotHeld()
        key_id = there.findtext(self._kind.id)
        return Held(key_id) if key_id else CannotTell(f"{self._label} has no {self._kind.id}.")

    def preflight(self) -> None:
        """Raise if the store is missing or may not be seen, or the existing credential is of another kind."""
        there = self._read()
        if there is not None:
            self._changed(there, "", "")

    def deliver(self, credential: Credential) -> Receipt:
        """Create the credential, or change it if it holds another key; then check that it holds this one."""
        there = self._read()
        if there is not None and there.findtext(self._kind.id) == credential.access_key_id:
            return Receipt(credential.access_key_id, written=False)
        if there is None:
            self._create(credential)
        else:
            self._update(there, credential)
        try:
            arrived = self._is(credential)
        except ServiceError as error:
            raise unconfirmed(self.name, error) from None
        if not arrived:
            raise Ambiguous(
                f"{self.name} was written, and then it held another key.",
                state="Another client may have written at the same time.",
                remedy="Run again: it is delivered again.",
            )
        return Receipt(credential.access_key_id, written=True)

    def _create(self, credential: Credential) -> None:
        """Create the credential. If the response proves nothing, the credential does: it is written as a whole."""
        new = ET.Element(self._kind.element)
        for name, text in (("scope", "GLOBAL"), ("id", self._id), ("description", "")):
            ET.SubElement(new, name).text = text
        self._fill(new, credential)
        request = self._writing(f"{self._domain}/createCredentials", new, idempotent=False)
        try:
            self._http.request(request)
        except Ambiguous as unclear:
            try:
                arrived = self._is(credential)
            except Failed:
                arrived = False
            if not arrived:
                raise unclear from None

    def _update(self, there: ET.Element, credential: Credential) -> None:
        self._fill(there, credential)
        self._http.request(self._writing(self._config, there))

    def _fill(self, element: ET.Element, credential: Credential) -> None:
        self._changed(element, credential.access_key_id, credential.reveal())
        description = _part(element, "description")
        description.text = beside(note_of(credential), description.text or "")

    def _changed(self, element: ET.Element, key_id: str, secret: str) -> None:
        """Put a pair into a document. Raises ``ServiceRejected`` if that would lose something else."""
        if element.tag != self._kind.element:
            raise self._rejected(
                f"expected a {self._kind.element}, found a {element.tag}", "Set kind=, or write another ID."
            )
        _part(element, self._kind.id).text = key_id
        hidden = _part(element, self._kind.secret)
        hidden.clear()
        hidden.text = secret
        if element.find(".//secret-redacted") is not None:
            raise self._rejected(
                "it has another secret, which Jenkins hides, and a write would lose it",
                "Deliver to another credential.",
            )

    def _is(self, credential: Credential) -> bool:
        there = self._read()
        return there is not None and there.findtext(self._kind.id) == credential.access_key_id

    def _read(self) -> ET.Element | None:
        """Return the credential without its secret; None if the domain can be seen and has none with this id."""
        path = f"{self._domain}/api/json?tree=credentials%5Bid,description%5D"
        listed = self._http.request(self._reading(path, f"list the credentials beside {self._id}")).json()
        if not isinstance(listed, dict) or not isinstance(listed.get("credentials"), list):
            raise self._rejected("Jenkins returned no list of credentials", "Check the connection's url.")
        described = {one.get("id"): one.get("description") for one in listed["credentials"]}
        if self._id not in described:
            return None
        return self._exact(self._http.request(self._reading(self._config, f"read {self._label}")), described[self._id])

    def _exact(self, response: Response, described: str | None) -> ET.Element:
        """Return the document with the text that it has in Jenkins; ``described`` is its description there.

        Raises ``ServiceRejected`` if that text cannot be told.
        """
        texts = _decoded(response)
        found = [self._parsed(text) for text in texts]
        if described is None and len(found) == 1:
            return found[0]
        for document in found:
            if _lines(document.findtext("description")) == _lines(described):
                if described:
                    _part(document, "description").text = described
                return document
        if described is not None and found:
            document = found[-1]
            if _lines(document.findtext("description")) == _lines(_in_latin_1(described)):
                _part(document, "description").text = described
                if not any("?" in text for text in _other_texts(document)):
                    return document
        raise self._rejected(
            "its document contains characters that Jenkins does not send exactly, and a write would change them",
            "Write its description and its other texts in ASCII, or deliver to another credential.",
        )

    def _parsed(self, sent: str) -> ET.Element:
        """Parse a document. Jenkins sends none with a document type, so none with entities."""
        # Jenkins may declare XML 1.1, which expat does not know.
        text = _DECLARATION.sub("", sent, count=1)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise self._rejected(
                "its document declares entities, which Jenkins never does",
                "Check which server responds at the connection's url.",
            )
        try:
            return ET.fromstring(text)  # noqa: S314  without a document type there are no entities
        except ET.ParseError:
            raise self._rejected("its document is not valid XML", "Check the credential in Jenkins.") from None

    def _reading(self, path: str, description: str) -> Request:
        return Request("GET", path, description, mutates=False, permission=_NEEDED)

    def _writing(self, path: str, document: ET.Element, *, idempotent: bool = True) -> Request:
        # In ASCII, so that no character depends on the encoding that Jenkins assumes. A bare carriage return would be
        # read as a line feed.
        raw = memoryview(ET.tostring(document, "us-ascii").replace(b"\r", b"&#13;"))
        description = f"write {self._label}"
        return Request(
            "POST", path, description, raw=raw, headers=_XML, idempotent=idempotent, secret=True, permission=_NEEDED
        )

    @property
    def _config(self) -> str:
        return f"{self._domain}/credential/{quote(self._id, safe='')}/config.xml"

    def _rejected(self, why: str, remedy: str) -> ServiceRejected:
        return ServiceRejected(
            f"{self._label} cannot be used: {why}.", state="Nothing was written there.", remedy=remedy
        )


def _decoded(response: Response) -> list[str]:
    """Return the texts that a document may have: in the charset that it names; else in UTF-8, and in ISO-8859-1."""
    named = _CHARSET.search(response.headers.get("Content-Type", ""))
    texts = []
    for charset in (named[1],) if named else ("utf-8", "iso-8859-1"):
        try:
            text = bytes(response.data).decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
        if text not in texts:
            texts.append(text)
    return texts


def _in_latin_1(text: str) -> str:
    return text.encode("iso-8859-1", "replace").decode("iso-8859-1")


def _lines(text: str | None) -> str:
    """Return a text with the line ends that remain when a document is parsed."""
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")


def _other_texts(document: ET.Element) -> list[str]:
    """Return the texts and attributes of a document, except its description."""
    parts = [one for one in document.iter() if one is not document.find("description")]
    return [text for one in parts for text in (one.text or "", one.tail or "", *one.attrib.values())]


def _part(element: ET.Element, name: str) -> ET.Element:
    found = element.find(name)
    return ET.SubElement(element, name) if found is None else found


def _own_page(headers: Mapping[str, str], data: bytes) -> bool:
    """Return whether a page is from Jenkins, or from the server that it is a part of."""
    realm = 'realm="Jenkins"' in headers.get("WWW-Authenticate", "")
    return realm or any(name in headers for name in _OWN_HEADERS) or any(text in data for text in _OWN_TEXT)


def _explain(request: Request, response: Response) -> Failed | None:
    if response.status != 403:
        return None
    if "No valid crumb" in response.body:
        return BadCredentials(
            f"Jenkins cannot {request.description}: it asks for a crumb, which it does if the token is a password.",
            state="Nothing was written there.",
            remedy="Set the connection's token to an API token of the user (Jenkins, user, Security, API Token).",
        )
    permission = response.headers.get("X-Required-Permission")
    if permission:
        who = response.headers.get("X-You-Are-Authenticated-As", "the user")
        return AccessDenied(request.description, "Jenkins", remedy=f"Give {who} the permission {permission} there.")
    return None


CONNECTION = ConnectionKind(
    name="jenkins",
    settings=Settings,
    connect=connect,
    environment={"token": ("JENKINS_API_TOKEN",), "user": ("JENKINS_USER_ID",), "url": ("JENKINS_URL",)},
)
KIND = Kind(
    scheme="jenkins",
    check=check,
    open=_open,
    connection=CONNECTION,
    non_identifying_options=("kind",),
    default_options={"domain": "_"},
    permissions=PERMISSIONS,
)
