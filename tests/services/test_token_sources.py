"""Where tokens come from: the environment, a file, another secrets store; and what the error says where that fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from services.company import GITHUB

if TYPE_CHECKING:
    from services.company import Company

SOURCES = {
    "a secret": {"from": "secretsmanager:ops/github"},
    "a member of a secret": {"from": "secretsmanager:ops/github-json", "key": "token"},
    "a parameter": {"from": "ssm:/ops/github"},
    "a member of a parameter": {"from": "ssm:/ops/github-json", "key": "token"},
    "a field of Vault's": {"from": "vault:secret/ops/github", "key": "token"},
}


@pytest.fixture
def kept(company: Company) -> Company:
    """GitHub's token, in three other stores."""
    token, aws = company.github.token, company.rig.aws
    aws.make_user("ci", keys=0)
    as_json = json.dumps({"token": token, "owner": "ops"})
    for name, value in (("ops/github", token), ("ops/github-json", as_json)):
        aws.client("secretsmanager").create_secret(Name=name, SecretString=value)
        aws.client("ssm").put_parameter(Name=f"/{name}", Value=value, Type="SecureString")
    company.vault.entries["ops/github"] = [{"token": token, "owner": "ops"}]
    return company


def use(company: Company, source: dict[str, Any]) -> None:
    company.configure(GITHUB[0], github={"url": company.github.url, "token": source})


class TestATokenInAnotherStore:
    @pytest.mark.parametrize("kind", SOURCES)
    def test_is_read_there(self, kept: Company, kind: str) -> None:
        use(kept, SOURCES[kind])
        ran = kept.run("rotate", "-v")
        assert ran.code == 0, ran.out + ran.err
        assert kept.holding() == [GITHUB[0]]
        assert kept.github.token not in ran.out + ran.err

    def test_needs_one_permission_of_aws_for_a_secret(self, kept: Company) -> None:
        use(kept, SOURCES["a secret"])
        kept.rig.aws.clear_requests()
        assert kept.run("rotate").code == 0
        asked = [one.operation for one in kept.rig.aws.requests if one.target == "ops/github"]
        assert asked == ["GetSecretValue"]

    def test_is_not_read_while_it_is_not_needed(self, kept: Company) -> None:
        kept.rig.aws.clear_requests()
        kept.configure(github={"url": kept.github.url, "token": SOURCES["a secret"]})
        assert kept.run("rotate").code == 0
        assert not [one for one in kept.rig.aws.requests if "ops" in str(one)]

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ({"from": "secretsmanager:ops/nowhere"}, "secretsmanager:ops/nowhere cannot be used: "),
            ({"from": "ssm:/ops/nowhere"}, "ssm:/ops/nowhere does not exist"),
            ({"from": "vault:secret/ops/nowhere", "key": "token"}, "vault:secret/ops/nowhere does not exist"),
            ({"from": "secretsmanager:ops/github-json", "key": "tokn"}, "it has no tokn"),
            ({"from": "secretsmanager:ops/github", "key": "token"}, "it is not a JSON object"),
        ],
    )
    def test_that_cannot_be_read_is_named_and_nothing_is_begun(
        self, kept: Company, source: dict[str, Any], expected: str
    ) -> None:
        use(kept, source)
        ran = kept.run("rotate", "--json")
        (result,) = ran.document["results"]
        assert ran.code in (1, 3)
        assert expected in result["message"]
        assert "`github`: `token`" in result["message"]
        assert kept.github.token not in ran.out + ran.err
        assert kept.rig.ids() == []
        assert kept.github.requests == []
