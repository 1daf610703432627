"""How twokey logs in to Vault: for the STS that Vault asks, by certificate, in namespaces, past standbys that lag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from support.certificates import Authority
from twokey.core.errors import Ambiguous, BadCredentials, ServiceRejected, Unreachable, UsageError
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.core.secret import Credential
from twokey.destinations.logins.vault import CONNECTION, SERVICE_ACCOUNT
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import Hurried, assert_silent, fresh_credential, outcome, pair, services_of
from twokey.testing.fakes.vault import AWS_KEY, AWS_SECRET, Vault
from twokey.testing.server import Fault, Reply

from destinations.stores.test_vault import PATH, URL, Secret  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.core.destination import Destination, Store
    from twokey.destinations.connections import ConnectionKind

CONNECTIONS: ConnectionKind[Any, Any] = CONNECTION


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    monkeypatch.setenv("TEST_PASSWORD", "the-password")
    monkeypatch.setenv("TEST_SECRET_ID", "the-secret-id")
    with Vault() as vault:
        yield vault


def reached(fake: Vault, **settings: Any) -> Destination:
    return open_destination(URL, services_of(Secret(fake), Hurried(), {"url": fake.url, **settings}))


def stored(fake: Vault, **settings: Any) -> Store:
    method = settings or {"token": {"env": "TEST_VAULT_TOKEN"}}
    return open_store(URL, services_of(Secret(fake), Hurried(), {"url": fake.url, **method}))


class TestAResponseToALogin:
    """Sources: "Login MFA" (Vault's documentation): nothing is granted before a second request with a code."""

    PASSWORD: ClassVar = {"userpass": {"username": "twokey", "password": {"env": "TEST_PASSWORD"}}}

    def test_that_requires_mfa_is_named(self, fake: Vault) -> None:
        auth = {"client_token": "", "mfa_requirement": {"mfa_request_id": "1", "mfa_constraints": {}}}
        fake.add(Fault("*", "/login", "refuse", times=None, status=200, body={"auth": auth}))
        error = outcome(reached(fake, **self.PASSWORD).held)
        assert isinstance(error, BadCredentials)
        assert "no token for the login at auth/userpass: it requires MFA." in error.message

    @pytest.mark.parametrize("body", [{}, [], {"auth": None}, {"auth": "text"}, {"auth": {}}], ids=repr)
    def test_without_a_token_is_an_error(self, fake: Vault, body: Any) -> None:
        fake.add(Fault("*", "/login", "refuse", times=None, status=200, body=body))
        error = outcome(reached(fake, **self.PASSWORD).held)
        assert isinstance(error, BadCredentials if body == {"auth": {}} else Unreachable)


class TestByAws:
    """Vault sends the signed request to its ``sts_endpoint``: STS there accepts it only if it is signed for that."""

    @pytest.fixture(autouse=True)
    def _own_credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", AWS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)

    @pytest.mark.parametrize(
        ("own", "options", "sts"),
        [
            ("", {}, ("https://sts.amazonaws.com", "us-east-1")),
            ("eu-west-1", {}, ("https://sts.amazonaws.com", "us-east-1")),
            ("us-gov-west-1", {}, ("https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1")),
            ("cn-north-1", {}, ("https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1")),
            ("eusc-de-east-1", {}, ("https://sts.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1")),
            ("eu-west-1", {"region": "us-west-2"}, ("https://sts.us-west-2.amazonaws.com", "us-west-2")),
            ("", {"region": "cn-northwest-1"}, ("https://sts.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1")),
            (
                "us-gov-west-1",
                {"region": "us-gov-east-1", "endpoint": "https://vpce-1.sts.us-gov-east-1.vpce.amazonaws.com"},
                ("https://vpce-1.sts.us-gov-east-1.vpce.amazonaws.com", "us-gov-east-1"),
            ),
        ],
    )
    def test_the_request_is_signed_for_the_sts_that_vault_asks(
        self, fake: Vault, monkeypatch: pytest.MonkeyPatch, own: str, options: dict[str, str], sts: tuple[str, str]
    ) -> None:
        if own:
            monkeypatch.setenv("AWS_DEFAULT_REGION", own)
        fake.sts = sts
        credential = fresh_credential()
        reached(fake, aws={"role": "twokey", "server_id": "vault.example", **options}).deliver(credential)
        assert fake.data(PATH) == pair(credential)

    def test_a_refused_login_tells_vaults_reason(self, fake: Vault) -> None:
        fake.sts = ("https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1")
        error = outcome(reached(fake, aws={"role": "twokey", "server_id": "vault.example"}).held)
        assert isinstance(error, BadCredentials)
        assert "Credential should be scoped to a valid region, not 'us-east-1'" in error.message
        assert "region" in error.remedy

    def test_a_reason_that_repeats_the_token_of_our_session_is_not_told(
        self, fake: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        fake.aws_words = f"The canonical string was x-amz-security-token:{token}"
        fake.sts = ("https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1")
        error = outcome(reached(fake, aws={"role": "twokey", "server_id": "vault.example"}).held)
        assert isinstance(error, BadCredentials)
        assert "canonical" not in error.message
        assert_silent(error, Credential("", token), Credential("", AWS_SECRET))

    def test_without_aws_credentials_the_error_says_what_needs_them(
        self, fake: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        error = outcome(reached(fake, aws={"role": "twokey"}).held)
        assert isinstance(error, BadCredentials)
        assert "The login is by twokey's AWS identity" in error.message

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"region": "Frankfurt"}, "expected an AWS region"),
            ({"region": "eu-west-1", "endpoint": "sts.eu-west-1.amazonaws.com"}, "not the URL of an STS endpoint"),
            ({"region": "eu-west-1", "endpoint": "http://sts.example"}, "not the URL of an STS endpoint"),
            ({"endpoint": "https://sts.eu-west-1.amazonaws.com"}, "needs `region`"),
        ],
    )
    def test_what_sts_cannot_have_is_refused_before_anything_is_called(
        self, fake: Vault, options: dict[str, str], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            reached(fake, aws={"role": "twokey", **options})
        assert not fake.requests


class TestByCertificate:
    @pytest.fixture
    def authority(self, tmp_path: Path, fake: Vault) -> Authority:
        """A Vault that speaks TLS, and accepts only clients with a certificate of this authority."""
        authority = Authority()
        fake.__exit__()
        fake.tls = authority.server(tmp_path, ask_clients=True)
        fake.port = 0
        fake.__enter__()
        client = authority.sign("twokey")
        (tmp_path / "ca.pem").write_text(authority.pem)
        (tmp_path / "client.pem").write_text(client.certificate)
        (tmp_path / "client-key.pem").write_text(client.key)
        return authority

    @pytest.mark.parametrize("method", [{"cert": {"role": "twokey"}}, {"token": {"env": "TEST_VAULT_TOKEN"}}])
    def test_a_client_certificate_logs_in_and_serves_every_other_method(
        self, fake: Vault, authority: Authority, tmp_path: Path, method: dict[str, Any]
    ) -> None:
        assert authority.pem
        credential = fresh_credential()
        files = {"client_certificate": str(tmp_path / "client.pem"), "client_key": str(tmp_path / "client-key.pem")}
        reached(fake, ca=str(tmp_path / "ca.pem"), **files, **method).deliver(credential)
        assert fake.data(PATH) == pair(credential)

    def test_vaults_own_variables_name_the_certificate(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        values = {
            "VAULT_ADDR": "https://vault.example",
            "VAULT_TOKEN": "x",
            "VAULT_CLIENT_CERT": str(tmp_path / "client.pem"),
            "VAULT_CLIENT_KEY": str(tmp_path / "client-key.pem"),
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        found = CONNECTIONS.from_environment()
        assert found.client_certificate == values["VAULT_CLIENT_CERT"]
        assert found.secret_files == (values["VAULT_CLIENT_KEY"],)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"cert": {}}, "`cert` needs `client_certificate` and `client_key`"),
            ({"token": {"env": "TEST_VAULT_TOKEN"}, "client_key": "key.pem"}, "expected both `client_certificate`"),
            ({"cert": {}, "client_certificate": "no.pem", "client_key": "no-key.pem"}, "no.pem cannot be read"),
        ],
    )
    def test_an_incomplete_certificate_is_refused_before_anything_is_called(
        self, fake: Vault, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            reached(fake, **settings)


class TestByPassword:
    def test_a_user_name_and_a_password_log_in(self, fake: Vault) -> None:
        user = {"username": "twokey", "password": {"env": "TEST_PASSWORD"}}
        reached(fake, userpass=user).deliver(fresh_credential())
        assert fake.count("POST", "/v1/auth/userpass/login/twokey") == 1

    def test_the_mount_may_be_one_of_ldap(self, fake: Vault) -> None:
        fake.logins["ldap"] = fake.logins["userpass"]
        user = {"username": "twokey", "password": {"env": "TEST_PASSWORD"}, "mount": "ldap"}
        assert outcome(reached(fake, userpass=user).held) is None

    @pytest.mark.parametrize("password", ["a-wrong-password", "short"])
    def test_a_reason_that_repeats_the_password_is_not_told(
        self, fake: Vault, monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        monkeypatch.setenv("TEST_PASSWORD", password)
        fake.refusal = f"no user with {password}"
        error = outcome(reached(fake, userpass={"username": "twokey", "password": {"env": "TEST_PASSWORD"}}).held)
        assert isinstance(error, BadCredentials)
        assert "no user" not in error.message
        assert_silent(error, Credential("", password))


class TestByServiceAccount:
    def test_outside_a_pod_the_setting_is_named_that_the_operator_wrote(self, fake: Vault, tmp_path: Path) -> None:
        for named, file in (({}, SERVICE_ACCOUNT), ({"jwt": {"file": str(tmp_path / "jwt")}}, str(tmp_path / "jwt"))):
            with pytest.raises(UsageError) as error:
                reached(fake, kubernetes={"role": "twokey", **named})
            message, remedy = error.value.message, error.value.remedy
            assert message.endswith(f"`kubernetes`: there is no service account token at {file} (not in a pod?).")
            assert remedy == "Name another file with `jwt: {file: PATH}`, or use another auth method."

    def test_a_jwt_of_another_platform_is_named_as_the_operator_wrote_it(self, fake: Vault, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"`jwt`: there is no file "):
            reached(fake, jwt={"role": "twokey", "jwt": {"file": str(tmp_path / "jwt")}})


class TestInNamespaces:
    def test_the_auth_method_may_be_in_another_namespace_than_the_secret(self, fake: Vault) -> None:
        role = {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}}
        reached(fake, namespace="admin/team", login_namespace="admin", approle=role).deliver(fresh_credential())
        asked = {path.split("/")[2]: space for path, space in fake.namespaces}
        assert asked == {"auth": "admin", "secret": "admin/team", "sys": "admin/team"}

    def test_by_default_it_is_in_the_same_namespace(self, fake: Vault) -> None:
        role = {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}}
        reached(fake, namespace="admin/team", approle=role).deliver(fresh_credential())
        assert {space for _, space in fake.namespaces} == {"admin/team"}


class TestAStandbyThatLags:
    """It answers reads from an older state, whichever Vault and version it is."""

    @pytest.fixture(
        params=[("Vault", True, 412), ("OpenBao", True, 429), ("no index", False, 0)], ids=lambda kind: kind[0]
    )
    def behind(self, fake: Vault, request: pytest.FixtureRequest) -> Vault:
        _, fake.indexed, fake.lag_status = request.param
        fake.lag = 4
        return fake

    def test_what_was_written_is_read_back_and_is_no_failure(self, behind: Vault) -> None:
        store = stored(behind)
        revision = store.load().revision
        for epoch in (1, 2):
            revision = store.save_journal(Journal(epoch=epoch), revision)
            credential = fresh_credential()
            revision = store.fence(store.put(credential, revision))
            assert store.held() == Held(credential.access_key_id)
        assert behind.data(PATH) == pair(credential)

    def test_another_store_of_the_same_run_does_not_read_an_older_state(self, behind: Vault) -> None:
        services = services_of(Secret(behind), Hurried())
        first = open_store(URL, services)
        first.put(fresh_credential(), first.load().revision)
        behind._lagging = (3, 0, {"tokens": behind.tokens, "entries": {}, "metadata": {}})
        assert isinstance(open_store(URL, services).load().holding, Held)

    def test_a_secret_that_was_deleted_whole_begins_again(self, behind: Vault) -> None:
        store = stored(behind)
        store.put(fresh_credential(), store.load().revision)
        behind.lag, behind.entries = 0, {}
        credential = fresh_credential()
        store.put(credential, store.load().revision)
        assert behind.data(PATH) == pair(credential)


def test_openbao_passes_on_what_a_standby_cannot_answer_so_that_nothing_waits(fake: Vault) -> None:
    fake.lag, fake.lag_status = 1000, 429
    hurried = Hurried()
    settings = {"url": fake.url, "token": {"env": "TEST_VAULT_TOKEN"}}
    store = open_store(URL, services_of(Secret(fake), hurried, settings))
    store.put(fresh_credential(), store.load().revision)
    assert isinstance(store.held(), Held)
    assert hurried.slept == 0


def test_the_token_of_a_login_is_used_where_the_standby_has_it(fake: Vault) -> None:
    fake.lag = 3
    role = {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}}
    assert outcome(reached(fake, approle=role).held) is None
    assert fake.count("POST", "/login") == 1


@pytest.mark.parametrize("write", [False, True])
def test_a_standby_that_never_catches_up_is_named_as_the_cause(
    fake: Vault, monkeypatch: pytest.MonkeyPatch, write: bool
) -> None:
    store = stored(fake)
    revision = store.load().revision
    if write:
        store.put(fresh_credential(), revision)
    monkeypatch.setattr(fake, "handle", lambda _: Reply(412, {"errors": ["required index state not present"]}))
    error = outcome(lambda: store.put(fresh_credential(), revision) if write else store.load())
    assert isinstance(error, ServiceRejected | Ambiguous)
    assert "does not have the latest state yet (412)" in error.message
    assert "standbys" in error.remedy


def test_a_cluster_that_was_restored_does_not_wait_for_a_state_that_it_never_has(fake: Vault) -> None:
    fake.lag, fake.indexed = 1, True
    store = stored(fake)
    store.put(fresh_credential(), store.load().revision)
    fake._lagging = (10_000, 0, fake._state())
    assert isinstance(store.held(), Held)
