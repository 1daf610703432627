"""A Jenkins with the Credentials plugin and the plugin AWS Credentials, as far as its REST API for credentials goes.

Errors are pages, as Jenkins and the server that it is a part of send them. A store is visible only to users who may
view it, a document never shows a secret, and the response to an update that lost a race is 200, too.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Callable

_DOMAIN = r"((?:/job/[^/]+)*)/credentials/store/([^/]+)/domain/([^/]+)"
AWS = "com.cloudbees.jenkins.plugins.awscredentials.AWSCredentialsImpl"
USERNAME = "com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl"
SECRETS = {AWS: ("secretKey",), USERNAME: ("password",), "org.example.TwoSecrets": ("secretKey", "other")}
_PERMISSION = "com.cloudbees.plugins.credentials.CredentialsProvider."
_PAGE = {"Content-Type": "text/html;charset=utf-8"}


class Jenkins(FakeService):
    """A Jenkins with the user ``twokey``, its own store, and folders that tests add."""

    not_found = b"<html><body><h2>HTTP ERROR 404 Not Found</h2><hr/>Powered by Jetty:// 12.0.22<hr/></body></html>"

    def __init__(self, monotonic: Callable[[], float] | None = None, token: str = "11" + "a" * 32) -> None:
        super().__init__(**({"monotonic": monotonic} if monotonic else {}))
        self.token = token
        self.password = "a password, as people have"  # noqa: S105  of no real user
        self.permissions = {"View", "Create", "Update"}
        self.domains: dict[str, dict[str, ET.Element]] = {}
        self.charset = ""
        """The charset of its documents, where it names one."""
        self.loses_updates = False
        """Whether an update finds that the credential was changed meanwhile."""
        self.add_domain("", "system", "_")

    def add_domain(self, folder: str, store: str, domain: str) -> str:
        """Create a store's domain; return its key in ``domains``."""
        path = f"{folder}|{store}|{domain}"
        self.domains[path] = {}
        return path

    def put(self, domain: str, xml: str) -> None:
        """Create or change a credential as the operator does."""
        element = ET.fromstring(xml)  # noqa: S314  written by a test
        self.domains[domain][element.findtext("id") or ""] = element

    def handle(self, request: ReceivedRequest) -> Reply:
        """Answer one request; errors without a body get a page."""
        reply = super().handle(request)
        if reply.status == 404 and reply.body is self.not_found:
            return Reply(404, self.not_found, _PAGE)
        return reply

    def authorize(self, request: ReceivedRequest) -> None:
        """Check the user. A request with a password needs a crumb to change anything."""
        authorization = request.headers.get("Authorization", "")
        if authorization == _basic(self.password) and request.method == "POST":
            raise Refusal(403, _page("HTTP ERROR 403 No valid crumb was included in the request"), _PAGE)
        if authorization not in {_basic(self.token), _basic(self.password)}:
            realm = {"WWW-Authenticate": 'Basic realm="Jenkins"'}
            raise Refusal(401, b"<html><body><h2>HTTP ERROR 401 Unauthorized</h2></body></html>", {**_PAGE, **realm})

    @route("GET", r"/crumbIssuer/api/json")
    def crumb(self, _request: ReceivedRequest) -> Reply:
        """Answer the request for a crumb, which clients send even where a token needs none."""
        return Reply(200, {"crumb": "c" * 64, "crumbRequestField": "Jenkins-Crumb"}, {"X-Jenkins": "2.516.3"})

    @route("GET", r"((?:/job/[^/]+)*)/credentials/store/([^/]+)/api/json")
    def list_domains(self, _request: ReceivedRequest, folder: str, store: str) -> Reply:
        """Answer a listing of a store's domains, by their names in URLs."""
        before = f"{_path_of(folder)}|{store}|"
        found: dict[str, Any] = {one.removeprefix(before): {} for one in self.domains if one.startswith(before)}
        if not found or "View" not in self.permissions:
            raise Refusal(404, self.not_found, _PAGE)
        return Reply(200, {"domains": found}, {"X-Jenkins": "2.516.3"})

    @route("GET", _DOMAIN + r"/api/json")
    def list_credentials(self, _request: ReceivedRequest, folder: str, store: str, domain: str) -> Reply:
        """Answer a listing of the ids and descriptions in a domain, in UTF-8."""
        found = self._domain(folder, store, domain)
        kind = "com.cloudbees.plugins.credentials.CredentialsStoreAction$DomainWrapper"
        listed = [{"id": name, "description": one.findtext("description")} for name, one in found.items()]
        return Reply(200, {"_class": kind, "credentials": listed}, {"X-Jenkins": "2.516.3"})

    @route("GET", _DOMAIN + r"/credential/([^/]+)/config\.xml")
    def see_credential(self, _request: ReceivedRequest, folder: str, store: str, domain: str, name: str) -> Reply:
        """Answer ``GET config.xml``: secrets are redacted."""
        found = self._credential(folder, store, domain, name)
        shown = ET.fromstring(ET.tostring(found))  # noqa: S314  a copy
        for secret in SECRETS[shown.tag]:
            element = shown.find(secret)
            if element is not None:
                element.text = None
                ET.SubElement(element, "secret-redacted")
        # Jetty's default for this type; what it cannot encode becomes a question mark.
        text = "<?xml version='1.1' encoding='UTF-8'?>\n" + ET.tostring(shown, "unicode").replace("\r", "&#xd;")
        if self.charset:
            return Reply(200, text.encode(self.charset), {"Content-Type": f"application/xml;charset={self.charset}"})
        return Reply(200, text.encode("iso-8859-1", "replace"), {"Content-Type": "application/xml"})

    @route("POST", _DOMAIN + r"/createCredentials")
    def create(self, request: ReceivedRequest, folder: str, store: str, domain: str) -> Reply:
        """Answer ``createCredentials``: 409 for an existing id."""
        there = self._domain(folder, store, domain)
        self._permitted("Create")
        made = self._parsed(request)
        name = made.findtext("id") or ""
        if name in there:
            raise Refusal(409, _page("HTTP ERROR 409 Conflict"), _PAGE)
        there[name] = made
        return Reply(200)

    @route("POST", _DOMAIN + r"/credential/([^/]+)/config\.xml")
    def update(self, request: ReceivedRequest, folder: str, store: str, domain: str, name: str) -> Reply:
        """Answer ``POST config.xml``: the document replaces the credential, and its id must be the same."""
        self._credential(folder, store, domain, name)
        self._permitted("Update")
        document = self._parsed(request)
        if document.findtext("id") != name:
            raise Refusal(500, _page("Credentials' IDs do not match, will not update."), _PAGE)
        if not self.loses_updates:
            self._domain(folder, store, domain)[name] = document
        return Reply(200)

    @route("POST", _DOMAIN + r"/credential/([^/]+)/doDelete")
    def delete(self, _request: ReceivedRequest, folder: str, store: str, domain: str, name: str) -> Reply:
        """Answer ``doDelete``, a form of the pages that clients use as well: it leads on to the domain's page."""
        self._credential(folder, store, domain, name)
        self._permitted("Delete")
        del self._domain(folder, store, domain)[name]
        return Reply(302, None, {"Location": f"{self.url}{folder}/credentials/store/{store}/domain/{domain}/"})

    def _parsed(self, request: ReceivedRequest) -> ET.Element:
        """Read a document as XStream does: an unknown class or invalid XML is an error of the server."""
        if not request.headers.get("Content-Type", "").startswith(("application/xml", "text/xml")):
            raise Refusal(400, _page("Nothing is submitted"), _PAGE)
        try:
            found = ET.fromstring(request.data)  # noqa: S314  sent by the code under test
        except ET.ParseError:
            raise Refusal(500, _page("Failed to parse credential"), _PAGE) from None
        if found.tag not in SECRETS:
            raise Refusal(500, _page("CannotResolveClassException"), _PAGE)
        return found

    def _domain(self, folder: str, store: str, domain: str) -> dict[str, ET.Element]:
        path = f"{_path_of(folder)}|{store}|{domain}"
        if path not in self.domains or "View" not in self.permissions:
            raise Refusal(404, self.not_found, _PAGE)
        return self.domains[path]

    def _credential(self, folder: str, store: str, domain: str, name: str) -> ET.Element:
        found = self._domain(folder, store, domain).get(name)
        if found is None:
            raise Refusal(404, self.not_found, _PAGE)
        return found

    def _permitted(self, permission: str) -> None:
        if permission not in self.permissions:
            hints = {"X-You-Are-Authenticated-As": "twokey", "X-Required-Permission": _PERMISSION + permission}
            raise Refusal(403, _page("twokey is missing the permission"), {**_PAGE, **hints})


def _path_of(folder: str) -> str:
    return folder.replace("/job/", "/").strip("/")


def _basic(token: str) -> str:
    return f"Basic {base64.b64encode(f'twokey:{token}'.encode()).decode()}"


def _page(text: str) -> bytes:
    return f'<!DOCTYPE html><html><head data-rooturl=""></head><body>{text}</body></html>'.encode()
