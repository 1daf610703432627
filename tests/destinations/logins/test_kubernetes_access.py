"""How a cluster is reached: from a pod, by a kubeconfig with its several ways, over TLS on the wire."""

from __future__ import annotations

import base64
import json
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from destinations.stores.test_kubernetes import TARGET, URL, Secret, as_data
from support.certificates import Authority
from support.http_servers import Proxy
from twokey.aws.clock import ServiceClock
from twokey.core.errors import BadCredentials, TwokeyError, Unreachable, UsageError
from twokey.core.model import NotHeld
from twokey.destinations.logins import kubernetes as cluster
from twokey.destinations.logins import kubernetes_plugin
from twokey.destinations.registry import open_destination
from twokey.testing.contract import Hurried, fresh_credential, outcome, services_of
from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.core.destination import Destination

PLUGIN = """
import json, os, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert asked["kind"] == "ExecCredential" and asked["spec"] == {"interactive": False}, asked
ends = {"expirationTimestamp": os.environ["ENDS"]} if "ENDS" in os.environ else {}
assert sys.stdin.read() == ""
print("a secret on stderr", file=sys.stderr)
runs = open(os.environ["RUNS"], "a+"); runs.write("x"); runs.seek(0)
status = {"token": sys.argv[1] + str(len(runs.read())), **ends}
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def fake(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """A cluster that speaks TLS; nothing of the machine's own Kubernetes is seen."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    kubernetes = Kubernetes()
    kubernetes.tls = authority.server(tmp_path)
    with kubernetes:
        yield kubernetes


@pytest.fixture
def config(fake: Kubernetes, authority: Authority) -> dict[str, Any]:
    """A kubeconfig with a token, as plain values."""
    cluster = {"server": fake.url, "certificate-authority-data": base64.b64encode(authority.pem.encode()).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "here",
        "clusters": [{"name": "local", "cluster": cluster}],
        "contexts": [
            {"name": "here", "context": {"cluster": "local", "user": "someone", "namespace": "other"}},
            {"name": "elsewhere", "context": {"cluster": "missing", "user": "someone"}},
        ],
        "users": [{"name": "someone", "user": {"token": "sa-token"}}],
    }


def backend_of(fake: Kubernetes, settings: dict[str, Any]) -> Destination:
    """Return the Secret as a connection with these settings sees it."""
    return open_destination(URL, services_of(Secret(fake), Hurried(), settings or {"context": ""}))


def opened(fake: Kubernetes, config: dict[str, Any], folder: Path, **settings: str) -> Destination:
    """Write the kubeconfig and return the Secret as seen through it."""
    (folder / "config").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML, and written much faster
    return backend_of(fake, {"kubeconfig": str(folder / "config"), **settings})


def delivers(fake: Kubernetes, destination: Destination) -> bool:
    """Deliver, and say whether it arrived."""
    credential = fresh_credential()
    destination.deliver(credential)
    return fake.data(TARGET) == as_data(credential)


class TestInAPod:
    @pytest.fixture
    def pod(self, fake: Kubernetes, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """What Kubernetes mounts into a pod."""
        folder = tmp_path / "serviceaccount"
        folder.mkdir()
        (folder / "token").write_text("sa-token", encoding="utf-8")
        (folder / "ca.crt").write_text(authority.pem, encoding="utf-8")
        monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", folder)
        host, _, port = fake.url.removeprefix("https://").partition(":")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
        return folder

    @pytest.mark.usefixtures("pod")
    def test_the_service_account_is_used(self, fake: Kubernetes) -> None:
        assert delivers(fake, backend_of(fake, {}))

    def test_a_token_that_was_replaced_meanwhile_is_read_again(self, fake: Kubernetes, pod: Path) -> None:
        destination = backend_of(fake, {})
        assert destination.held() == NotHeld()
        fake.tokens = {"the-next-one"}
        (pod / "token").write_text("the-next-one", encoding="utf-8")
        assert delivers(fake, destination)

    def test_a_token_that_has_expired_is_named(self, fake: Kubernetes, pod: Path) -> None:
        fake.tokens.clear()
        error = outcome(backend_of(fake, {}).held)
        assert isinstance(error, BadCredentials)
        assert "service account" in error.remedy

    def test_another_authority_is_not_trusted(self, fake: Kubernetes, pod: Path) -> None:
        (pod / "ca.crt").write_text(Authority().pem, encoding="utf-8")
        assert isinstance(outcome(backend_of(fake, {}).held), Unreachable)
        assert fake.requests == []

    def test_a_pod_without_a_mounted_token_is_told(self, fake: Kubernetes, pod: Path) -> None:
        (pod / "token").unlink()
        assert isinstance(outcome(lambda: backend_of(fake, {})), UsageError)


class TestKubeconfig:
    def test_a_token(self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path) -> None:
        assert delivers(fake, opened(fake, config, tmp_path))

    def test_a_token_in_a_file_beside_it(self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "token").write_text("sa-token\n", encoding="utf-8")
        config["users"][0]["user"] = {"tokenFile": "token"}
        assert delivers(fake, opened(fake, config, tmp_path))

    def test_an_authority_in_a_file_beside_it(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path, authority: Authority
    ) -> None:
        (tmp_path / "ca.pem").write_text(authority.pem, encoding="utf-8")
        config["clusters"][0]["cluster"] = {"server": fake.url, "certificate-authority": "ca.pem"}
        assert delivers(fake, opened(fake, config, tmp_path))

    def test_the_one_in_the_home_directory(self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube" / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        assert delivers(fake, backend_of(fake, {}))

    def test_several_files_of_which_the_first_to_name_a_thing_counts(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path
    ) -> None:
        (tmp_path / "users").write_text(yaml.safe_dump({"users": config["users"]}), encoding="utf-8")
        config["users"] = [{"name": "someone", "user": {"token": "another"}}]
        (tmp_path / "rest").write_text(yaml.safe_dump(config), encoding="utf-8")
        paths = [str(tmp_path / name) for name in ("users", "missing", "rest")]
        assert delivers(fake, backend_of(fake, {"kubeconfig": os.pathsep.join(paths)}))

    @pytest.mark.parametrize("inline", [True, False])
    def test_a_client_certificate(
        self, authority: Authority, config: dict[str, Any], tmp_path: Path, inline: bool
    ) -> None:
        mine = authority.sign("twokey")
        user: dict[str, str] = {}
        for name, text in (("client-certificate", mine.certificate), ("client-key", mine.key)):
            (tmp_path / name).write_text(text, encoding="utf-8")
            encoded = base64.b64encode(text.encode()).decode()
            user |= {f"{name}-data": encoded} if inline else {name: name}
        config["users"][0]["user"] = user
        strict = Kubernetes()
        strict.tls, strict.certificates = authority.server(tmp_path, ask_clients=True), True
        with strict:
            config["clusters"][0]["cluster"]["server"] = strict.url
            assert delivers(strict, opened(strict, config, tmp_path))


class TestPlugin:
    @pytest.fixture
    def plugin(self, config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
        """A kubeconfig whose user has a program that prints a new token each time it is run."""
        (tmp_path / "plugin.py").write_text(PLUGIN, encoding="utf-8")
        program = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-IS", str(tmp_path / "plugin.py"), "token-"],
            "env": [{"name": "RUNS", "value": str(tmp_path / "runs")}],
            "interactiveMode": "IfAvailable",
        }
        config["users"][0]["user"] = {"exec": program}
        return program

    def test_its_token_is_used_for_the_whole_run(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        fake.tokens = {"token-1"}
        assert delivers(fake, opened(fake, config, tmp_path))
        assert (tmp_path / "runs").read_text() == "x"

    def test_it_is_run_again_once_its_token_has_expired(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        fake.tokens = {"token-1"}
        destination = opened(fake, config, tmp_path)
        destination.held()
        fake.tokens = {"token-2"}
        assert delivers(fake, destination)

    def test_a_path_is_taken_from_where_the_kubeconfig_is(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        fake.tokens = {"token-1"}
        program = tmp_path / "bin" / "get-token"
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\n{PLUGIN}", encoding="utf-8")
        program.chmod(0o755)
        plugin |= {"command": "./bin/get-token", "args": ["token-"]}
        assert delivers(fake, opened(fake, config, tmp_path))

    @pytest.mark.parametrize(
        ("program", "message"),
        [
            ("print('no JSON, a-secret')", "printed no ExecCredential with a token"),
            ('print(\'{"status": {"token": 5}}\')', "printed no ExecCredential with a token"),
            ("print('{}')", "printed no ExecCredential with a token"),
            ("print('{\"status\": {}}')", "printed no ExecCredential with a token"),
            ('print(\'{"status": {"clientCertificateData": "a-secret"}}\')', "a client certificate without its key"),
            ('print(\'{"status": {"clientKeyData": "a-secret"}}\')', "a key without its certificate"),
            (
                'print(\'{"status": {"clientCertificateData": "a-secret", "clientKeyData": "a-secret"}}\')',
                "do not belong together",
            ),
            (
                'print(\'{"apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "a-secret"}}\')',
                "of another kind or version than client.authentication.k8s.io/v1",
            ),
            ('print(\'{"kind": "Pod", "status": {"token": "a-secret"}}\')', "of another kind or version"),
            ('print(\'{"status": {"token": "x", "expirationTimestamp": "a-secret"}}\')', "printed no ExecCredential"),
            (
                'print(\'{"status": {"token": "a-secret\\\\nX-Header: 1"}}\')',
                "a token with a character that a token cannot have",
            ),
            ("import sys; print('a-secret'); sys.exit(3)", "ended with exit code 3"),
            ("import time; print('a-secret', flush=True); time.sleep(60)", "longer than"),
        ],
    )
    def test_one_that_gives_none_is_named_and_nothing_that_it_printed_is_shown(
        self,
        fake: Kubernetes,
        config: dict[str, Any],
        plugin: dict[str, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        program: str,
        message: str,
    ) -> None:
        monkeypatch.setattr(kubernetes_plugin, "LONGEST", 1.0 if "sleep" in program else 60.0)
        plugin["args"] = ["-ISc", program]
        error = outcome(opened(fake, config, tmp_path).held)
        assert isinstance(error, BadCredentials)
        assert message in error.message
        seen: BaseException | None = error
        while seen is not None:
            assert "a-secret" not in repr((seen, vars(seen), str(seen)))
            seen = seen.__context__
        assert fake.requests == []

    def test_one_that_is_not_installed_is_named(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        plugin["command"] = "kubectl-no-such-plugin"
        error = outcome(opened(fake, config, tmp_path).held)
        assert isinstance(error, BadCredentials)
        assert "kubectl-no-such-plugin" in error.message
        assert "not installed" in error.message

    def test_the_kubeconfigs_own_hint_says_how_to_install_it(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        plugin |= {
            "command": "gke-gcloud-auth-plugin-x",
            "installHint": "Install it\n  by following https://hint.example",
        }
        error = outcome(opened(fake, config, tmp_path).held)
        assert isinstance(error, BadCredentials)
        assert "The kubeconfig says: Install it by following https://hint.example" in error.remedy

    def test_it_is_run_again_before_its_token_expires(
        self, fake: Kubernetes, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        fake.tokens = {"token-1", "token-2"}
        hurried = Hurried()
        clock = ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic)
        plugin["env"].append({"name": "ENDS", "value": f"{clock.now() + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"})
        (tmp_path / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        settings = {"kubeconfig": str(tmp_path / "config")}
        destination = open_destination(URL, services_of(Secret(fake), hurried, settings))
        destination.held()
        hurried.sleep(25 * 60)
        destination.held()
        assert (tmp_path / "runs").read_text() == "x"
        hurried.sleep(5 * 60)
        destination.held()
        assert (tmp_path / "runs").read_text() == "xx"

    @pytest.mark.parametrize(
        "more", [{}, {"tls-server-name": "cluster.test", "proxy-url": "http://me:pw@10.0.0.9:3128"}]
    )
    def test_it_is_told_about_the_cluster_if_it_asks(
        self,
        config: dict[str, Any],
        plugin: dict[str, Any],
        tmp_path: Path,
        authority: Authority,
        more: dict[str, str],
    ) -> None:
        """GKE's kubeconfigs have ``provideClusterInfo``."""
        (tmp_path / "ca.pem").write_text(authority.pem, encoding="utf-8")
        extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
        config["clusters"][0]["cluster"] = {
            "server": "https://10.0.0.1",
            "certificate-authority": "ca.pem",
            "extensions": [extension],
            **more,
        }
        plugin |= {
            "provideClusterInfo": True,
            "args": [
                "-c",
                (
                    f"import os; open({str(tmp_path / 'told')!r}, 'w').write("
                    "os.environ['KUBERNETES_EXEC_INFO']); raise SystemExit(1)"
                ),
            ],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config), encoding="utf-8")
        backend = Secret(Kubernetes())
        settings = {"kubeconfig": str(tmp_path / "config")}
        outcome(open_destination(URL, services_of(backend, Hurried(), settings)).held)
        told = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
        cluster = told["spec"]["cluster"]
        assert base64.b64decode(cluster.pop("certificate-authority-data")).decode() == authority.pem
        shown = {**more, **({"proxy-url": "http://10.0.0.9:3128"} if more else {})}
        assert cluster == {"server": "https://10.0.0.1", "config": {"audience": "x"}, **shown}
        assert (told["apiVersion"], told["spec"]["interactive"]) == ("client.authentication.k8s.io/v1", False)

    def test_its_client_certificate_is_used_and_replaced_when_it_is_refused(
        self, authority: Authority, config: dict[str, Any], plugin: dict[str, Any], tmp_path: Path
    ) -> None:
        strict = Kubernetes()
        strict.tls, strict.certificates = authority.server(tmp_path, ask_clients=True), True
        for number in (1, 2):
            signed = authority.sign(f"twokey-{number}")
            status = {"clientCertificateData": signed.certificate, "clientKeyData": signed.key}
            printed = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
            (tmp_path / f"printed-{number}").write_text(json.dumps(printed), encoding="utf-8")
        program = (
            "import os; runs = open(os.environ['RUNS'], 'a+'); runs.write('x'); runs.seek(0); "
            f"print(open({str(tmp_path)!r} + '/printed-' + str(len(runs.read()))).read())"
        )
        plugin["args"] = ["-ISc", program]
        with strict:
            config["clusters"][0]["cluster"]["server"] = strict.url
            destination = opened(strict, config, tmp_path)
            assert delivers(strict, destination)
            assert (tmp_path / "runs").read_text() == "x"
            strict.add(Fault("GET", "/secrets/", "refuse", status=401, body={"message": "Unauthorized"}))
            assert delivers(strict, destination)
            assert (tmp_path / "runs").read_text() == "xx"


class TestTheNetworkOfACluster:
    """What a kubeconfig says about the way to the cluster."""

    def test_the_certificate_may_be_for_another_name_than_the_address(
        self, authority: Authority, config: dict[str, Any], tmp_path: Path
    ) -> None:
        renamed = Kubernetes()
        renamed.tls = authority.server(tmp_path, host="cluster.test")
        names: list[str | None] = []
        renamed.tls.sni_callback = lambda _socket, name, _context: names.append(name)
        with renamed:
            config["clusters"][0]["cluster"]["server"] = renamed.url
            assert isinstance(outcome(opened(renamed, config, tmp_path).held), Unreachable)
            config["clusters"][0]["cluster"]["tls-server-name"] = "cluster.test"
            assert delivers(renamed, opened(renamed, config, tmp_path))
            assert names[-1] == "cluster.test"
            config["clusters"][0]["cluster"]["tls-server-name"] = "another.test"
            assert isinstance(outcome(opened(renamed, config, tmp_path).held), Unreachable)

    def test_a_proxy_of_its_own_is_used_instead_of_the_environments(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        target = fake.url.removeprefix("https://")
        with Proxy(hosts={target: fake.port}, login="me:a-password") as proxy:
            config["clusters"][0]["cluster"]["proxy-url"] = f"http://me:a-password@{proxy.place}"
            assert delivers(fake, opened(fake, config, tmp_path))
            assert set(proxy.connects) == {target}


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("part", "change", "message"),
        [
            ("cluster", {"insecure-skip-tls-verify": True}, "send the token to any server"),
            ("cluster", {"proxy-url": "socks5://me:a-secret@localhost:1"}, "`proxy-url` in "),
            ("cluster", {"server": "http://10.0.0.1"}, "not encrypted"),
            ("cluster", {"server": ""}, "expected the URL of a service"),
            ("cluster", {"certificate-authority-data": "!"}, "not base64"),
            ("cluster", {"certificate-authority-data": "", "certificate-authority": "none.pem"}, "cannot be read"),
            ("user", {"token": "", "username": "me", "password": "a-secret"}, "`username`"),
            ("user", {"token": "", "auth-provider": {"name": "gcp"}}, "`auth-provider`"),
            ("user", {"as": "another-user"}, "`as`"),
            ("user", {"token": ""}, "has no credentials"),
            ("user", {"token": "", "client-certificate-data": "eA=="}, "expected a client certificate and its key"),
            ("user", {"token": "", "exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v9"}}, "v9"),
            ("user", {"token": "", "exec": {"command": "x", "interactiveMode": "Always"}}, "interactiveMode Always"),
            ("context", {"user": "nobody"}, "no user 'nobody'; expected someone"),
            ("context", {"cluster": "locla"}, "did you mean local?"),
            ("context", {"user": ""}, "has no user"),
        ],
    )
    def test_what_twokey_cannot_do_is_named_before_anything_is_called(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path, part: str, change: dict[str, Any], message: str
    ) -> None:
        config[f"{part}s"][0][part] |= change
        error = outcome(lambda: opened(fake, config, tmp_path))
        assert isinstance(error, UsageError)
        assert message in error.message
        assert "a-secret" not in str(error)
        assert fake.requests == []

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"context": "ther"}, "did you mean here?"),
            ({"context": "elsewhere"}, "no cluster 'missing'"),
        ],
    )
    def test_a_context_that_leads_nowhere(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path, settings: dict[str, str], message: str
    ) -> None:
        error = outcome(lambda: opened(fake, config, tmp_path, **settings))
        assert isinstance(error, UsageError)
        assert message in error.message

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{token: a-secret", "is not YAML"),
            ("users: [{name: x, user: {token: [a-secret]}}]", "is not a kubeconfig"),
            ("- a-secret", "is not a kubeconfig"),
            ("users: []", "no current context"),
            ("current-context: x", "no context 'x'; it has no context at all"),
        ],
    )
    def test_a_file_that_is_no_kubeconfig_is_not_quoted(
        self, fake: Kubernetes, tmp_path: Path, text: str, message: str
    ) -> None:
        (tmp_path / "config").write_text(text, encoding="utf-8")
        error = outcome(lambda: backend_of(fake, {"kubeconfig": str(tmp_path / "config")}))
        assert isinstance(error, UsageError)
        assert message in error.message
        assert "a-secret" not in str(error)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"url": "https://cluster.example"}, "expected both `url` and `token`, or neither"),
            ({"token": {"env": "HOME"}}, "expected both `url` and `token`, or neither"),
            (
                {"url": "https://cluster.example", "token": {"env": "HOME"}, "kubeconfig": "x"},
                "expected either `url` and `token`, or `kubeconfig`",
            ),
            ({"kubeconfig": "no/such/file"}, "no such file"),
            ({}, "twokey does not run in a pod"),
        ],
    )
    def test_settings_that_say_too_much_or_too_little(
        self, fake: Kubernetes, settings: dict[str, Any], message: str
    ) -> None:
        error = outcome(lambda: backend_of(fake, settings))
        assert isinstance(error, UsageError)
        assert message in error.message

    def test_an_expired_token_of_a_kubeconfig_names_the_user(
        self, fake: Kubernetes, config: dict[str, Any], tmp_path: Path
    ) -> None:
        fake.tokens.clear()
        error: TwokeyError | None = outcome(opened(fake, config, tmp_path).held)
        assert isinstance(error, BadCredentials)
        assert "the user someone" in error.remedy


def test_the_environment_names_the_kubeconfig_as_kubectl_reads_it(
    fake: Kubernetes, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twokey.destinations.logins import kubernetes

    (tmp_path / "mine").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    settings = kubernetes.CONNECTION.from_environment()
    assert isinstance(settings, kubernetes.Settings)
    assert delivers(fake, backend_of(fake, {"kubeconfig": settings.kubeconfig}))
