"""Jenkins' credentials: the contract for a kind of each, and what is special to documents that are sent back."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import AccessDenied, Ambiguous, BadCredentials, NotFound, ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    assert_silent,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.jenkins import AWS, USERNAME, Jenkins
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree as ET

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

PARTS = {AWS: ("accessKey", "secretKey"), USERNAME: ("username", "password")}


class OneCredential(Backend):
    """A credential ``ci`` on the fake; ``domain`` is the fake's name for the target that it is in."""

    writes = ("POST", "/credentials/")
    bad_names = (
        "jenkins:a b",
        "jenkins:a/b",
        "jenkins:ci?kind=ssh",
        "jenkins:ci?folder=a//b",
        "jenkins:ci?folder=../b",
        "jenkins:ci?folder=",
        "jenkins:ci?domain=a/b",
        "jenkins:ci?store=",
        "jenkins:ci?format=json",
    )

    def __init__(self, fake: Jenkins, url: str, domain: str, element: str = AWS) -> None:
        self.fake: Jenkins = fake
        self.url = url
        self.domain = domain
        self.element = element

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "user": "twokey", "token": {"env": "TEST_JENKINS_TOKEN"}}

    def there(self) -> ET.Element | None:
        return self.fake.domains[self.domain].get("ci")

    def read(self) -> dict[str, str] | None:
        there = self.there()
        if there is None:
            return None
        key_id, secret = (there.findtext(name) or "" for name in PARTS[self.element])
        return {"AccessKeyId": key_id, "SecretAccessKey": secret}

    def plant(self, credential: Credential, more: str = "") -> None:
        id_name, secret_name = PARTS[self.element]
        self.fake.put(
            self.domain,
            f"<{self.element} plugin='x@1'><id>ci</id><{id_name}>{credential.access_key_id}</{id_name}>"
            f"<{secret_name}>{credential.reveal()}</{secret_name}>{more}</{self.element}>",
        )

    def remove(self) -> None:
        del self.fake.domains[self.domain]

    def spoil_token(self) -> None:
        self.fake.token = "another"

    def take_permission_away(self) -> None:
        self.fake.permissions = {"View"}

    def open(self, url: str = "") -> Destination:
        return registry.open_destination(url or self.url, services_of(self, Hurried()))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jenkins]:
    with Jenkins() as jenkins:
        monkeypatch.setenv("TEST_JENKINS_TOKEN", jenkins.token)
        yield jenkins


@pytest.fixture
def backend(fake: Jenkins) -> OneCredential:
    return OneCredential(fake, "jenkins:ci", "|system|_")


class TestAwsCredentials(DestinationContract):
    compares_secrets = False

    @pytest.fixture
    def backend(self, backend: OneCredential) -> Backend:
        return backend


class TestUsernameWithPasswordInAFolder(DestinationContract):
    compares_secrets = False

    @pytest.fixture
    def backend(self, fake: Jenkins) -> Backend:
        domain = fake.add_domain("web shop/site", "folder", "production")
        url = "jenkins:ci?folder=web shop/site&domain=production&kind=username-password"
        return OneCredential(fake, url, domain, USERNAME)


class TestACredentialThatIsMade:
    def test_has_the_keys_id_in_its_description_and_is_for_jobs(self, backend: OneCredential) -> None:
        credential = fresh_credential()
        backend.open().deliver(credential)
        there = backend.there()
        assert there is not None
        assert there.tag == AWS
        assert there.findtext("scope") == "GLOBAL"
        assert credential.access_key_id in (there.findtext("description") or "")

    def test_is_made_once_whatever_becomes_of_the_response(self, backend: OneCredential) -> None:
        backend.fake.add(Fault("POST", "createCredentials", "lost_response"))
        credential = fresh_credential()
        assert backend.open().deliver(credential).written
        assert backend.read() == pair(credential)
        assert backend.fake.count("POST") == 1

    def test_is_in_doubt_while_it_is_not_there(self, backend: OneCredential) -> None:
        backend.fake.add(Fault("POST", "createCredentials", "reset"))
        credential = fresh_credential()
        error = outcome(lambda: backend.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)

    def test_stays_in_doubt_where_looking_fails(self, backend: OneCredential) -> None:
        backend.fake.add(Fault("POST", "createCredentials", "lost_response"))
        backend.fake.add(Fault("GET", "/api/json", "refuse", nth=2, times=None, status=403))
        error = outcome(lambda: backend.open().deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)

    def test_at_the_same_time_by_another_client_is_a_refusal(self, backend: OneCredential) -> None:
        backend.fake.add(Fault("POST", "createCredentials", "refuse", status=409))
        error = outcome(lambda: backend.open().deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "another client changed it" in error.message


class TestACredentialThatIsThere:
    def test_keeps_all_but_the_pair(self, backend: OneCredential) -> None:
        more = (
            "<scope>SYSTEM</scope><description>R&amp;D &lt;ask Zoë&gt;</description>"
            "<iamRoleArn>arn:aws:iam::123456789012:role/deploy</iamRoleArn><stsTokenDuration>900</stsTokenDuration>"
        )
        backend.plant(fresh_credential(), more)
        credential = fresh_credential()
        backend.open().deliver(credential)
        there = backend.there()
        assert there is not None
        assert backend.read() == pair(credential)
        assert there.get("plugin") == "x@1"
        assert [one.tag for one in there] == [
            *("id", "accessKey", "secretKey"),
            *("scope", "description", "iamRoleArn", "stsTokenDuration"),
        ]
        assert there.findtext("description") == "R&D <ask Zoë>"
        assert there.findtext("scope") == "SYSTEM"
        assert there.findtext("iamRoleArn") == "arn:aws:iam::123456789012:role/deploy"

    def test_gets_the_id_of_the_key_that_replaces_another(self, backend: OneCredential) -> None:
        backend.open().deliver(fresh_credential())
        credential = fresh_credential()
        backend.open().deliver(credential)
        there = backend.there()
        assert there is not None
        assert credential.access_key_id in (there.findtext("description") or "")

    def test_of_another_kind_is_refused_before_anything_is_written(self, backend: OneCredential) -> None:
        backend.plant(fresh_credential())
        destination = backend.open("jenkins:ci?kind=username-password")
        assert isinstance(destination.held(), CannotTell)
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "AWSCredentialsImpl" in error.message
        assert backend.fake.count("POST") == 0

    def test_with_another_secret_is_refused_since_that_would_be_lost(
        self, backend: OneCredential, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("twokey.testing.fakes.jenkins.SECRETS", {AWS: ("secretKey", "other")})
        backend.plant(fresh_credential(), "<other>of another</other>")
        destination = backend.open()
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            assert isinstance(outcome(act), ServiceRejected)
        assert backend.fake.count("POST") == 0

    def test_whose_update_lost_a_race_is_in_doubt_although_jenkins_says_nothing(self, backend: OneCredential) -> None:
        backend.plant(fresh_credential())
        backend.fake.loses_updates = True
        credential = fresh_credential()
        error = outcome(lambda: backend.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        assert_silent(error, credential)

    def test_tells_the_key_that_the_operator_put_there(self, backend: OneCredential) -> None:
        credential = fresh_credential()
        backend.plant(credential)
        assert backend.open().held() == Held(credential.access_key_id)

    def test_without_an_id_is_not_taken_for_empty(self, backend: OneCredential) -> None:
        backend.fake.put(backend.domain, f"<{AWS}><id>ci</id><iamRoleArn>arn</iamRoleArn></{AWS}>")
        assert isinstance(backend.open().held(), CannotTell)


class TestADocument:
    @pytest.mark.parametrize(
        "text",
        [
            f"<?xml version='1.1'?><!DOCTYPE x [<!ENTITY a 'AKIA'>]><{AWS}><accessKey>&a;</accessKey></{AWS}>".encode(),
            b"<?xml version='1.0'?><!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>",
            b"<x><unclosed></x>",
            b"",
        ],
    )
    def test_with_entities_or_without_sense_is_refused(self, backend: OneCredential, text: bytes) -> None:
        backend.plant(fresh_credential())
        backend.fake.add(Fault("GET", "config.xml", "refuse", times=None, status=200, body=text))
        destination = backend.open()
        for act in (destination.held, destination.preflight, lambda: destination.deliver(fresh_credential())):
            assert isinstance(outcome(act), ServiceRejected)
        assert backend.fake.count("POST") == 0

    @pytest.mark.parametrize("effect", ["lost_response", "html", "error_after"])
    def test_is_hidden_from_those_who_report_a_crash_with_its_variables(
        self, backend: OneCredential, effect: Any
    ) -> None:
        backend.plant(fresh_credential())
        backend.fake.add(Fault("POST", "config.xml", effect, times=None))
        credential = fresh_credential()
        error = outcome(lambda: backend.open().deliver(credential))
        assert isinstance(error, Ambiguous)
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert "deliver" in shown
        assert credential.reveal() not in shown


class TestWhoMay:
    def test_view_nothing_names_the_permissions_and_takes_nothing_for_empty(self, backend: OneCredential) -> None:
        backend.plant(fresh_credential())
        backend.fake.permissions = {"Create", "Update"}
        for act in (backend.open().held, backend.open().preflight, lambda: backend.open().deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, NotFound)
            assert "Credentials/View" in error.remedy

    @pytest.mark.parametrize(("there", "permission"), [(False, "Create"), (True, "Update")])
    def test_not_write_names_the_permission_that_jenkins_names(
        self, backend: OneCredential, there: bool, permission: str
    ) -> None:
        if there:
            backend.plant(fresh_credential())
        backend.fake.permissions = {"View"}
        error = outcome(lambda: backend.open().deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert f"CredentialsProvider.{permission}" in error.remedy
        assert "twokey" in error.remedy

    def test_comes_with_a_password_is_asked_to_come_with_a_token(
        self, backend: OneCredential, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TEST_JENKINS_TOKEN", backend.fake.password)
        error = outcome(lambda: backend.open().deliver(fresh_credential()))
        assert isinstance(error, BadCredentials)
        assert "API token" in error.remedy
        assert backend.read() is None

    def test_comes_from_the_variables_of_jenkins_own_client(
        self, backend: OneCredential, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {"URL": f"{backend.fake.url}/", "USER_ID": "twokey", "API_TOKEN": backend.fake.token}
        for name, value in settings.items():
            monkeypatch.setenv(f"JENKINS_{name}", value)
        without = services_of(backend, Hurried())
        without.connections.configured = {}  # as without twokey.yaml
        assert registry.open_destination(backend.url, without).held() == NotHeld()
        monkeypatch.delenv("JENKINS_USER_ID")
        again = services_of(backend, Hurried())
        again.connections.configured = {}
        with pytest.raises(UsageError, match="JENKINS_USER_ID"):
            registry.open_destination(backend.url, again)


class TestAPage:
    def test_of_a_proxy_with_an_errors_status_proves_nothing(self, backend: OneCredential) -> None:
        page = b"<html><body>Your session is over</body></html>"
        backend.fake.add(Fault("GET", "/api/json", "refuse", times=None, status=404, body=page))
        assert isinstance(outcome(backend.open().held), Ambiguous)

    def test_of_jenkins_with_a_good_status_is_no_response_either(self, backend: OneCredential) -> None:
        page = b"<html><head data-rooturl=''></head><body>Sign in to Jenkins. Powered by Jetty://</body></html>"
        backend.fake.add(Fault("GET", "/api/json", "refuse", times=None, status=200, body=page))
        assert isinstance(outcome(backend.open().held), Ambiguous)


TEXTS = (
    "plain",
    "J\u00fcrgen\u2019s \u2192 \u65e5\u672c",
    "gr\u00fcn",
    "\u00c3\u00bc in Latin 1",
    "a\r\nb\rc\n",
    "why?",
    "\U0001f511 <&>\"'",
)


class TestTexts:
    @pytest.mark.parametrize("charset", ["", "UTF-8", "utf-16"])
    @pytest.mark.parametrize("text", TEXTS)
    def test_that_the_operator_wrote_go_back_exactly(self, backend: OneCredential, charset: str, text: str) -> None:
        backend.plant(fresh_credential(), "<description/>")
        there = backend.there()
        assert there is not None
        part = there.find("description")
        assert part is not None
        part.text = text
        backend.fake.charset = charset
        destination = backend.open()
        destination.preflight()
        credential = fresh_credential()
        destination.deliver(credential)
        assert backend.read() == pair(credential)
        there = backend.there()
        assert there is not None
        assert there.findtext("description") == text

    @pytest.mark.parametrize("other", ["\u2192", "?"])
    def test_that_jenkins_does_not_send_exactly_are_refused_before_anything_is_changed(
        self, backend: OneCredential, other: str
    ) -> None:
        existing_key = fresh_credential()
        backend.plant(existing_key, f"<description>\u2192</description><iamRoleArn>{other}</iamRoleArn>")
        destination = backend.open()
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "exactly" in error.message
            assert error.remedy
        assert backend.read() == pair(existing_key)
        assert backend.fake.count("POST") == 0
