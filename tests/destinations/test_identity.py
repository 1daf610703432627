"""Which thing a URL means: two URLs of one thing, and one URL that means another thing elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from twokey.aws.clients import Clients
from twokey.core.identities import LONGEST
from twokey.destinations import identity
from twokey.destinations.registry import Services, open_destination

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT = "123456789012"
UUID = "00000000-0000-0000-0000-0000000000c1"
SAME = [
    ("github:acme/site", "github:Acme/Site"),
    ("github:acme/site", "github:acme/site?id=aws_access_key_id&secret=aws_secret_access_key"),
    ("github:acme/site", "github:acme/site?set=actions"),
    ("github:acme/site", "github:acme/site?connection=github"),
    ("github:acme", "github:acme?visibility=all"),
    ("github:acme", "github:acme?visibility=selected&repositories=site"),
    ("gitlab:acme/app", "gitlab:Acme/App?masked=true&protected=true"),
    ("gitlab:acme/app", "gitlab:acme/app?scope=*"),
    ("bitbucket:acme/site", "bitbucket:Acme/site"),
    ("travis:acme/site", "travis:Acme/site?provider=github"),
    ("azure-devops:acme/site/aws", "azure-devops:Acme/Site/AWS?id=aws_access_key_id&secret=aws_secret_access_key"),
    (f"buildkite:acme/{UUID}", f"buildkite:Acme/{UUID.upper()}?id=aws_access_key_id&secret=aws_secret_access_key"),
    ("gitea:acme/site", "gitea:Acme/Site?id=aws_access_key_id&secret=aws_secret_access_key"),
    ("woodpecker:acme/site", "woodpecker:Acme/site?events=push,tag&id=aws_access_key_id&secret=aws_secret_access_key"),
    ("vercel:acme/site", "vercel:acme/site?target=production"),
    ("netlify:acme", "netlify:acme?context=production"),
    (f"cloudflare-pages:{'c' * 32}/site", f"cloudflare-pages:{'c' * 32}/site?environment=production"),
    ("octopus:Spaces-1/aws", "octopus:Spaces-1/AWS"),
    ("vault:secret/ci/site", "vault:secret/ci/site?mount=secret"),
    ("jenkins:aws", "jenkins:aws?kind=username-password&domain=_"),
    ("webhook:https://hooks.test/ci", "webhook:https://hooks.test/ci?actions=held"),
    ("exec:/bin/true", "exec:/bin/true?timeout=5s&actions=held"),
]
OTHERS = [
    ("github:acme/site", "github:acme/site?environment=production"),
    ("github:acme/site", "github:acme/site?set=dependabot"),
    ("github:acme/site", "github:acme/site?id=A&secret=B"),
    ("gitlab:acme/app", "gitlab:acme/app?scope=production"),
    ("gitlab:acme/app", "gitlab:acme/app?id=aws_access_key_id&secret=aws_secret_access_key"),
    ("travis:acme/site", "travis:acme/site?branch=main"),
    ("vault:secret/ci/site", "vault:secret/ci/Site"),
    ("circleci-context:gh/acme/deploy", "circleci-context:gh/acme/Deploy"),
    ("gitea:acme/site", "gitea:acme"),
    ("woodpecker:acme/site", "woodpecker-org:acme/site"),
    ("vercel:acme/site", "vercel:acme/site?target=preview"),
    ("netlify:acme", "netlify:acme?context=dev"),
    (f"cloudflare-pages:{'c' * 32}/site", f"cloudflare-worker:{'c' * 32}/site"),
    (f"infisical:{UUID}/prod", f"infisical:{UUID}/prod/ci"),
    ("teamcity:Acme_Site", "teamcity:acme_site"),
]


SAME_IDENTITY = [
    *SAME,
    ("github:acme/site", "github:acme/site?extra.AWS_REGION=eu-central-1"),
    ("secretsmanager:ci", "secretsmanager:ci?format=env"),
    ("secretsmanager:ci", "secretsmanager:ci?id=AccessKeyId&secret=SecretAccessKey"),
    ("secretsmanager:ci", "secretsmanager:ci?secret=SecretAccessKey&id=AccessKeyId&format=pair"),
    ("ssm:/ci?format=env", "ssm:/ci?format=env&id=AWS_ACCESS_KEY_ID"),
    ("ssm:/ci", "ssm:/ci?extra.region=eu-central-1"),
    ("vault:secret/ci", "vault:secret/ci?format=json&name=Credential"),
    ("file:out/ci.json", "file:./out/ci.json"),
    ("exec:/bin/true", "exec:/bin/true?env=HOME"),
]
OTHER_IDENTITIES = [
    *OTHERS,
    ("secretsmanager:ci", "secretsmanager:ci?id=Key&secret=Secret"),
    ("secretsmanager:ci", "ssm:ci"),
    ("ssm:/ci?format=env", "ssm:/ci?format=env&id=DEPLOY_ID"),
    ("vault:secret/ci", "vault:secret/ci?id=AWS_ACCESS_KEY_ID&secret=AWS_SECRET_ACCESS_KEY"),
    ("file:ci?format=credentials-file", "file:ci?format=credentials-file&profile=deploy"),
    ("credentials-file:ci?profile=deploy", "credentials-file:ci?profile=test"),
    ("exec:/bin/true", "exec:/bin/true?arg.1=site"),
]


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every service a token, in the variables of its own tools."""
    for name in ("GH_TOKEN", "GITLAB_TOKEN", "BITBUCKET_TOKEN", "TRAVIS_TOKEN", "AZURE_DEVOPS_EXT_PAT"):
        monkeypatch.setenv(name, "token-of-the-tests")
    for name in ("BUILDKITE_API_TOKEN", "CIRCLE_TOKEN", "VAULT_TOKEN", "JENKINS_API_TOKEN", "JENKINS_USER_ID"):
        monkeypatch.setenv(name, "token-of-the-tests")
    for name in ("GITEA_TOKEN", "WOODPECKER_TOKEN", "VERCEL_TOKEN", "NETLIFY_AUTH_TOKEN", "CLOUDFLARE_API_TOKEN"):
        monkeypatch.setenv(name, "token-of-the-tests")
    for name in ("OCTOPUS_API_KEY", "INFISICAL_TOKEN", "TEAMCITY_TOKEN"):
        monkeypatch.setenv(name, "token-of-the-tests")
    for name in ("GITEA_SERVER_URL", "WOODPECKER_SERVER", "OCTOPUS_URL", "TEAMCITY_URL", "VAULT_ADDR", "JENKINS_URL"):
        monkeypatch.setenv(name, "https://service.test")
    monkeypatch.setenv("TWOKEY_WEBHOOK_SECRET", "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy1vbmx5")


def targets(url: str, services: Services) -> frozenset[str]:
    return identity.write_targets(open_destination(url, services), services, ACCOUNT)


def meant(url: str, account: str = ACCOUNT) -> str:
    """Return the identity of what a URL means to a run in this environment and directory."""
    services = Services(Clients("identity"))
    return identity.identity(open_destination(url, services), services, account)


class TestTwoUrls:
    @pytest.mark.parametrize(("one", "other"), SAME)
    def test_write_the_same_however_they_are_written(self, services: Services, one: str, other: str) -> None:
        assert targets(one, services) & targets(other, services)

    @pytest.mark.parametrize(("one", "other"), OTHERS)
    def test_write_different_things_where_jobs_read_something_else(
        self, services: Services, one: str, other: str
    ) -> None:
        assert not targets(one, services) & targets(other, services)

    def test_of_one_file_are_found_by_its_real_path(
        self, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "out").mkdir()
        (tmp_path / "link").symlink_to("out")
        (found,) = {targets(f"file:{path}/ci", services) for path in ("out", "./out", "link", tmp_path / "out")}
        assert found != targets("file:ci", services)

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("file:ci", "json:ci", True),
            ("file:ci?id=a&secret=b", "json:ci?id=a&secret=b", True),
            ("file:ci", "json:./ci?id=key&secret=SecretAccessKey", True),
            ("file:ci?format=env", "dotenv:ci", True),
            ("file:ci?format=credentials-file&profile=ci", "credentials-file:ci?profile=ci", True),
            ("file:ci", "json:ci?id=aws.id&secret=aws.secret", False),
            ("file:ci?format=env", "dotenv:ci?id=CI_ID&secret=CI_SECRET", False),
            ("file:ci?format=credentials-file&profile=ci", "credentials-file:ci?profile=site", False),
            ("file:ci", "json:site", False),
        ],
    )
    def test_of_two_kinds_write_the_same_where_they_name_the_same_part_of_a_file(
        self, services: Services, one: str, other: str, *, same: bool
    ) -> None:
        assert bool(targets(one, services) & targets(other, services)) is same

    @pytest.mark.parametrize(("one", "other"), SAME_IDENTITY)
    def test_have_one_identity_where_jobs_read_the_same(self, one: str, other: str) -> None:
        assert meant(one) == meant(other)

    @pytest.mark.parametrize(("one", "other"), OTHER_IDENTITIES)
    def test_have_two_where_one_may_keep_a_key_while_the_other_is_written(self, one: str, other: str) -> None:
        assert meant(one) != meant(other)


class TestOneUrl:
    @pytest.mark.parametrize("url", ["ssm:/ci", "secretsmanager:ci"])
    def test_means_another_thing_in_another_region_and_in_another_account(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        here = meant(url)
        assert here.endswith(f" eu-central-1 {ACCOUNT}")
        assert here == meant(url)
        assert here != meant(url, "210987654321")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        assert here != meant(url)

    def test_with_an_arn_means_the_same_in_every_region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        url = "secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci-AbCdEf"
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        here = meant(url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        assert here == meant(url, "210987654321")

    @pytest.mark.parametrize(
        "url",
        [
            "file:out/ci.json",
            "json:out/ci.json?id=a&secret=b",
            "dotenv:out/ci.env",
            "credentials-file:out/credentials?profile=ci",
        ],
    )
    def test_with_a_relative_path_means_another_file_in_another_directory(
        self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        absolute = url.replace("out/", f"{tmp_path}/one/out/")
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / "one")
        here = meant(url)
        assert here == meant(absolute)
        monkeypatch.chdir(tmp_path / "two")
        assert here != meant(url)
        assert here == meant(absolute)

    @pytest.mark.parametrize(
        ("url", "variable", "one", "other"),
        [
            ("vault:secret/ci", "VAULT_ADDR", "https://one.test", "https://two.test"),
            ("vault:secret/ci", "VAULT_NAMESPACE", "team-a", "team-b"),
            ("gitlab:acme/app", "GITLAB_HOST", "https://one.test", "https://two.test"),
            ("github:acme/site", "GITHUB_API_URL", "https://one.test/api/v3", "https://two.test/api/v3"),
            ("jenkins:aws", "JENKINS_URL", "https://one.test", "https://two.test"),
        ],
    )
    def test_means_another_thing_on_another_server(
        self, url: str, variable: str, one: str, other: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, one)
        here = meant(url)
        monkeypatch.setenv(variable, other)
        assert here != meant(url)
        monkeypatch.setenv(variable, one)
        assert here == meant(url)

    def test_means_another_secret_in_the_cluster_of_another_context(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def current(context: str) -> str:
            clusters = "".join(
                f"- {{name: {name}, cluster: {{server: https://{name}.test}}}}\n" for name in ("one", "two")
            )
            contexts = "".join(
                f"- {{name: {name}, context: {{cluster: {name.split('-')[0]}, user: ci}}}}\n"
                for name in ("one", "one-again", "two")
            )
            (tmp_path / "config").write_text(
                f"current-context: {context}\nclusters:\n{clusters}contexts:\n{contexts}"
                "users: [{name: ci, user: {token: token-of-the-tests}}]\n"
            )
            return meant("kubernetes:ci/aws")

        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        assert current("one").endswith(" https://one.test")
        assert current("one") == current("one-again")
        assert current("one") != current("two")


class TestAnIdentity:
    def test_is_short_and_shows_both_ends_of_a_long_path(self, tmp_path: Path) -> None:
        directory = tmp_path / "a-directory-with-a-long-name" / "out"
        shown = meant(f"file:{directory}/ci.json")
        assert len(shown) == LONGEST
        assert shown.endswith("name/out")
        assert f" {os.sep}" in shown

    def test_is_not_shared_by_two_long_paths_that_look_alike(self, tmp_path: Path) -> None:
        one, other = (meant(f"file:{tmp_path}/{letter}/a-directory-with-a-long-name/out/ci") for letter in "xy")
        assert one != other
