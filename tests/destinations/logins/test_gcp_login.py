"""How Google Cloud is reached: each kind of credentials gives a token that can write, or says what is wrong."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from twokey.core.errors import AccessDenied, BadCredentials, Unreachable, UsageError
from twokey.destinations.logins.google import METADATA
from twokey.destinations.logins.google_grants import SCOPE
from twokey.destinations.registry import open_destination
from twokey.http import transport
from twokey.testing.contract import Hurried, assert_silent, fresh_credential, in_variables, outcome, pair, services_of
from twokey.testing.fakes.gcp_secretmanager import (
    AWS_KEY,
    AWS_SECRET,
    AWS_TYPE,
    JWT_GRANT,
    SERVICE_ACCOUNT,
    Google,
    claims_of,
)
from twokey.testing.server import Fault

from destinations.stores.test_gcp_secretmanager import URL, Secret  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.core.destination import Destination

KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
"""A short one: each login checks its primes, which takes eight times as long with the usual length."""


def pem(key: Any = KEY) -> str:
    no_password = serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password).decode())


def is_signed(form: dict[str, str]) -> bool:
    """Say whether an assertion is signed with the key, as Google checks it."""
    head, _, signature = form["assertion"].rpartition(".")
    try:
        KEY.public_key().verify(
            base64.urlsafe_b64decode(signature + "=="), head.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    claims = claims_of(form["assertion"])
    said = (claims["iss"], claims["scope"], claims["aud"], claims["exp"] - claims["iat"])
    return said == (SERVICE_ACCOUNT, SCOPE, "https://oauth2.googleapis.com/token", 3600)


@pytest.fixture
def fake() -> Iterator[Google]:
    with Google() as google:
        google.tokens.clear()
        google.logins[JWT_GRANT] = is_signed
        yield google


def service_account(fake: Google, **more: Any) -> dict[str, Any]:
    account = {"client_email": SERVICE_ACCOUNT, "private_key": pem(), "private_key_id": "k1"}
    return {"type": "service_account", **account, "token_uri": f"{fake.url}/token", **more}


def user(fake: Google, **more: Any) -> dict[str, Any]:
    known = {"client_id": "gcloud", "client_secret": "s-of-gcloud", "refresh_token": "1//refresh"}
    return {"type": "authorized_user", **known, "token_uri": f"{fake.url}/token", **more}


def external(fake: Google, source: Any, **more: Any) -> dict[str, Any]:
    kind = "urn:ietf:params:oauth:token-type:jwt"
    audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/p"
    known = {"audience": audience, "subject_token_type": kind, "token_url": f"{fake.url}/v1/token"}
    return {"type": "external_account", **known, "credential_source": source, **more}


AWS = {
    "environment_id": "aws1",
    "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
    "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
    "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
}
"""As ``gcloud iam workload-identity-pools create-cred-config --aws`` writes it."""


def impersonated(fake: Google, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """As ``gcloud auth application-default login --impersonate-service-account`` writes it."""
    url = {"service_account_impersonation_url": impersonation(fake)}
    return {"type": "impersonated_service_account", **url, "source_credentials": source, "delegates": [], **more}


def impersonation(fake: Google) -> str:
    return f"{fake.url}/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}:generateAccessToken"


class Reached:
    """A store that is reached with a credentials file."""

    def __init__(self, fake: Google, folder: Path) -> None:
        self.fake = fake
        self.file = folder / "credentials.json"
        self.hurried = Hurried()

    def with_file(self, content: dict[str, Any] | str) -> Destination:
        self.file.write_text(content if isinstance(content, str) else json.dumps(content))
        return self.with_settings({"credentials": str(self.file)})

    def with_settings(self, settings: dict[str, Any]) -> Destination:
        services = services_of(Secret(self.fake), self.hurried, {"url": self.fake.url, **settings})
        return open_destination(URL, services)


@pytest.fixture
def reached(fake: Google, tmp_path: Path) -> Reached:
    return Reached(fake, tmp_path)


WAYS = ("service account", "user", "file", "json file", "url", "impersonated", "aws", "impersonated user", "metadata")


@pytest.fixture(params=WAYS)
def destination(
    request: pytest.FixtureRequest,
    fake: Google,
    reached: Reached,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Destination:
    """A destination that is reached in one of all ways."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", AWS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    subject = tmp_path / "subject"
    subject.write_text("ey.subject\n" if request.param != "json file" else '{"id_token": "ey.subject"}')
    layout = {"type": "json", "subject_token_field_name": "id_token"}
    job = {"url": f"{fake.url}/subject?audience=x", "headers": {"Authorization": "bearer of-the-job"}}
    files = {
        "service account": service_account(fake),
        "user": user(fake),
        "file": external(fake, {"file": str(subject)}),
        "json file": external(fake, {"file": str(subject), "format": layout}),
        "url": external(fake, {**job, "format": {**layout, "subject_token_field_name": "value"}}),
        "aws": external(fake, AWS, subject_token_type=AWS_TYPE),
        "impersonated user": impersonated(fake, user(fake)),
        "impersonated": external(fake, {"file": str(subject)}, service_account_impersonation_url=impersonation(fake)),
    }
    if request.param == "metadata":
        return reached.with_settings({"metadata": fake.url})
    return reached.with_file(files[request.param])


def test_every_way_gives_a_token_that_can_deliver(fake: Google, destination: Destination) -> None:
    credential = fresh_credential()
    destination.deliver(credential)
    assert Secret(fake).read() == pair(credential)


def test_a_token_that_is_refused_midway_is_replaced(fake: Google, destination: Destination) -> None:
    destination.held()
    fake.tokens.clear()
    assert outcome(destination.held) is None


def test_one_login_serves_until_shortly_before_the_token_expires(fake: Google, reached: Reached) -> None:
    destination = reached.with_file(service_account(fake))
    destination.held()
    destination.held()
    assert fake.count("POST", "/token") == 1
    reached.hurried.sleep(fake.lasts - 30)
    destination.held()
    assert fake.count("POST", "/token") == 2


def test_a_key_that_was_replaced_in_the_file_is_found(fake: Google, reached: Reached) -> None:
    destination = reached.with_file(service_account(fake, private_key=pem(rsa.generate_private_key(65537, 1024))))
    assert isinstance(outcome(destination.held), BadCredentials)
    reached.file.write_text(json.dumps(service_account(fake)))
    assert outcome(destination.held) is None


class TestRefusals:
    def test_a_refused_login_gives_its_code_and_names_the_file(self, fake: Google, reached: Reached) -> None:
        destination = reached.with_file(user(fake, refresh_token="1//expired"))
        error = outcome(destination.held)
        assert isinstance(error, BadCredentials)
        assert "invalid_grant" in error.message
        assert str(reached.file) in error.remedy
        assert "1//expired" not in str(error) + in_variables(error)
        assert "s-of-gcloud" not in str(error) + in_variables(error)

    def test_no_service_account_on_the_machine_says_what_else_there_is(self, fake: Google, reached: Reached) -> None:
        fake.machine = False
        error = outcome(reached.with_settings({"metadata": fake.url}).held)
        assert isinstance(error, BadCredentials)
        assert "credentials file" in error.remedy

    def test_an_account_that_may_not_be_impersonated_names_the_role(self, fake: Google, reached: Reached) -> None:
        subject = reached.file.with_name("subject")
        subject.write_text("ey.subject")
        url = impersonation(fake).replace("twokey@", "other@")
        destination = reached.with_file(external(fake, {"file": str(subject)}, service_account_impersonation_url=url))
        error = outcome(destination.held)
        assert isinstance(error, BadCredentials)
        assert "roles/iam.workloadIdentityUser" in error.remedy

    @pytest.mark.parametrize("effect", ["lost_response", "html", "error_before"])
    def test_a_login_without_an_answer_leaves_no_delivery_in_doubt(
        self, fake: Google, reached: Reached, effect: Any
    ) -> None:
        destination = reached.with_file(service_account(fake))
        destination.held()
        fake.tokens.clear()
        fake.add(Fault("POST", "/token", effect, times=None, status=503))
        credential = fresh_credential()
        error = outcome(lambda: destination.deliver(credential))
        assert isinstance(error, Unreachable)
        assert_silent(error, credential)
        assert "PRIVATE KEY" not in in_variables(error)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("not json", "is not a credentials file"),
            ("{}", "is not a credentials file"),
            ('{"type": "gdch_service_account"}', "does not support credentials of the type gdch_service_account"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_refused_at_once(self, reached: Reached, content: str, message: str) -> None:
        error = outcome(lambda: reached.with_file(content))
        assert isinstance(error, UsageError)
        assert message in error.message

    def test_a_missing_file_is_refused_at_once(self, reached: Reached) -> None:
        assert isinstance(outcome(lambda: reached.with_settings({"credentials": "/nowhere.json"})), UsageError)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"private_key": "no key"}, "is not an RSA key"),
            ({"private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, "is not an RSA key"),
            ({"private_key": None}, "no private_key"),
            ({"client_email": ""}, "no client_email"),
            ({"token_uri": "http://elsewhere.invalid/token"}, "not encrypted"),
        ],
    )
    def test_an_account_with_something_wrong_says_what(
        self, fake: Google, reached: Reached, changed: dict[str, Any], message: str
    ) -> None:
        error = outcome(reached.with_file(service_account(fake, **changed)).held)
        assert isinstance(error, BadCredentials)
        assert message in error.message
        assert fake.requests == []

    @pytest.mark.parametrize("source", [{"executable": {"command": "x"}}, None])
    def test_a_source_that_is_neither_file_nor_url_is_refused(
        self, fake: Google, reached: Reached, source: Any
    ) -> None:
        error = outcome(reached.with_file(external(fake, source)).held)
        assert isinstance(error, BadCredentials)
        assert "file or url" in error.message

    def test_without_cryptography_it_says_which_extra_to_install(
        self, fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "cryptography", None)
        error = outcome(lambda: reached.with_file(service_account(fake)))
        assert isinstance(error, UsageError)
        assert "with the extra `gcp`" in error.remedy
        assert outcome(reached.with_file(user(fake)).held) is None


class TestFromAws:
    """The subject token is a signed GetCallerIdentity, which Google sends to STS."""

    @pytest.fixture(autouse=True)
    def _own_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", AWS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)

    @pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1"])
    def test_it_is_signed_for_twokeys_own_region(
        self, fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch, region: str
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        fake.aws_region = region
        destination = reached.with_file(external(fake, AWS, subject_token_type=AWS_TYPE))
        assert outcome(destination.held) is None

    def test_a_service_account_can_be_impersonated(self, fake: Google, reached: Reached) -> None:
        url = {"service_account_impersonation_url": impersonation(fake)}
        assert outcome(reached.with_file(external(fake, AWS, subject_token_type=AWS_TYPE, **url)).held) is None

    def test_a_key_that_the_pool_does_not_trust_is_refused_without_showing_it(
        self, fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "t" * 40)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLE")
        error = outcome(reached.with_file(external(fake, AWS, subject_token_type=AWS_TYPE)).held)
        assert isinstance(error, BadCredentials)
        assert "invalid_grant" in error.message
        assert "the workload identity pool" in error.remedy
        for secret in ("t" * 40, "IQoJb3JpZ2luX2VjEXAMPLE"):
            assert secret not in str(error) + in_variables(error)

    def test_without_aws_credentials_the_error_says_what_needs_them(
        self, fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        error = outcome(reached.with_file(external(fake, AWS, subject_token_type=AWS_TYPE)).held)
        assert isinstance(error, BadCredentials)
        assert "The login is by twokey's AWS identity" in error.message

    def test_a_later_version_of_the_file_is_refused(self, fake: Google, reached: Reached) -> None:
        source = {**AWS, "environment_id": "aws2"}
        error = outcome(reached.with_file(external(fake, source, subject_token_type=AWS_TYPE)).held)
        assert isinstance(error, BadCredentials)
        assert "environment_id aws2" in error.message


class TestImpersonation:
    def test_the_delegates_of_the_file_are_named(self, fake: Google, reached: Reached) -> None:
        delegates = ["projects/-/serviceAccounts/between@site-prd.iam.gserviceaccount.com"]
        assert outcome(reached.with_file(impersonated(fake, user(fake), delegates=delegates)).held) is None
        assert fake.delegates == delegates

    def test_a_service_account_may_impersonate_another(self, fake: Google, reached: Reached) -> None:
        assert outcome(reached.with_file(impersonated(fake, service_account(fake))).held) is None

    def test_an_identity_without_the_role_is_told_which(self, fake: Google, reached: Reached) -> None:
        url = impersonation(fake).replace("twokey@", "other@")
        file = impersonated(fake, user(fake), service_account_impersonation_url=url)
        error = outcome(reached.with_file(file).held)
        assert isinstance(error, BadCredentials)
        assert "roles/iam.serviceAccountTokenCreator" in error.remedy

    def test_a_source_of_another_kind_is_refused(self, fake: Google, reached: Reached) -> None:
        error = outcome(reached.with_file(impersonated(fake, {"type": "gdch_service_account"})).held)
        assert isinstance(error, BadCredentials)
        assert "source_credentials of the type gdch_service_account" in error.message


class TestDefaultCredentials:
    """The variable, then gcloud's own file, then the metadata server ("Application Default Credentials")."""

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GOOGLE_CLOUD_QUOTA_PROJECT"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        folder = tmp_path / ".config" / "gcloud"
        folder.mkdir(parents=True)
        return folder / "application_default_credentials.json"

    def test_gclouds_own_file(self, fake: Google, reached: Reached, home: Path) -> None:
        home.write_text(json.dumps(user(fake)))
        assert outcome(reached.with_settings({}).held) is None

    def test_gclouds_own_file_in_its_other_folder(
        self, fake: Google, reached: Reached, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "application_default_credentials.json").write_text(json.dumps(user(fake)))
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        assert outcome(reached.with_settings({}).held) is None

    def test_the_variable_comes_first(
        self, fake: Google, reached: Reached, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home.write_text("not read")
        (tmp_path / "named.json").write_text(json.dumps(user(fake)))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "named.json"))
        assert outcome(reached.with_settings({}).held) is None

    def test_a_variable_that_names_no_file_is_an_error(
        self, reached: Reached, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
        with pytest.raises(UsageError, match="nowhere"):
            reached.with_settings({})

    def test_what_the_connection_sets_comes_before_all_of_them(
        self, fake: Google, reached: Reached, home: Path
    ) -> None:
        home.write_text("not read")
        assert outcome(reached.with_settings({"metadata": fake.url}).held) is None


class TestQuotaProject:
    @pytest.fixture(autouse=True)
    def _no_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GOOGLE_CLOUD_QUOTA_PROJECT", raising=False)

    def test_the_files_counts_unless_the_environment_or_the_connection_names_another(
        self, fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake.billed = {"of-the-file", "of-the-variable", "of-the-connection"}
        content = user(fake, quota_project_id="of-the-file")
        assert outcome(reached.with_file(content).held) is None
        monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "of-the-variable")
        assert outcome(reached.with_file(content).held) is None
        own = {"credentials": str(reached.file), "quota_project": "of-the-connection"}
        assert outcome(reached.with_settings(own).held) is None
        assert fake.quota_projects == ["of-the-file", "of-the-variable", "of-the-connection"]

    def test_without_one_no_header_is_sent(self, fake: Google, reached: Reached) -> None:
        assert outcome(reached.with_file(service_account(fake)).held) is None
        assert fake.quota_projects == [""]

    def test_one_that_may_not_be_used_names_the_permission(self, fake: Google, reached: Reached) -> None:
        error = outcome(reached.with_file(user(fake, quota_project_id="of-others")).held)
        assert isinstance(error, AccessDenied)
        assert "serviceusage.services.use" in error.remedy


def test_the_token_of_the_environment_is_enough(
    fake: Google, reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_GOOGLE_TOKEN", "ya29.token")
    fake.tokens.add("ya29.token")
    destination = reached.with_settings({"token": {"env": "TEST_GOOGLE_TOKEN"}, "credentials": "/nowhere.json"})
    assert outcome(destination.held) is None


def test_the_metadata_server_may_be_asked_without_tls_and_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert transport.checked(METADATA, "The metadata server") == METADATA
    assert transport.pool(METADATA, None, 1).proxy is None
    for elsewhere in ("http://10.0.0.1", "http://169.254.169.254.example.com", "http://metadata.google.internal"):
        with pytest.raises(UsageError, match="not encrypted"):
            transport.checked(elsewhere, "x")
