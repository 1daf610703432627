"""URLs of destinations: taken apart, checked before anything is called, filled in without a way out."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import UsageError
from twokey.destinations import registry
from twokey.destinations.registry import fill, names_user, open_destination, open_store, parse

if TYPE_CHECKING:
    from twokey.destinations.registry import Services

ACCOUNT = "123456789012"


@pytest.mark.parametrize(
    "url",
    [
        "secretsmanager:machine-users/{user}",
        "secretsmanager:{path}/{user}",
        "secretsmanager:ci",
        "secretsmanager:a+b=c.d@e_f-g",
        "secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:machine-users/ci-AbCdEf",
        "secretsmanager:arn:aws-us-gov:secretsmanager:us-gov-west-1:{account}:secret:{user}",
        "ssm:/machine-users/{user}",
        "ssm:ci",
        "ssm:/{account}/{path}/{user}.key",
        "file:out/{user}.json",
        "file:/srv/{account}/{path}/{user}.json",
        "file:./{user}",
        "file:with space.json",
    ],
)
def test_a_legal_url_is_taken_apart_and_put_together_again(url: str) -> None:
    assert str(parse(url)) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "scheme:name"),
        ("out/ci.json", "scheme:name"),
        ("secretmanager:x", "did you mean secretsmanager"),
        ("SSM:/x", "did you mean ssm"),
        ("ftp:x", "expected one of secretsmanager, ssm, vault"),
        ("ssm:", "expected ssm:NAME; the name is missing"),
        ("file:out/{usr}.json", "did you mean {user}"),
        ("file:out/{0}.json", "expected one of {user}, {USER}, {path}, {account}"),
        ("file:out/{}.json", "there is no field {}"),
        ("file:out/{user.json", "brace"),
        ("file:out/user}.json", "brace"),
        ("file:out/{{user}}.json", "brace"),
        ("file:a\nb", "control"),
        ("secretsmanager:a b", "cannot be a secret's name"),
        ("secretsmanager:a,b", "cannot be a secret's name"),
        ("secretsmanager:" + "a" * 513, "cannot be a secret's name"),
        ("secretsmanager:arn:aws:ssm:eu-central-1:123456789012:parameter/x", "expected the ARN of a secret"),
        ("ssm:a/b", "cannot be a parameter's name"),
        ("ssm:/a//b", "cannot be a parameter's name"),
        ("ssm:/a/", "cannot be a parameter's name"),
        ("ssm:/a b", "cannot be a parameter's name"),
        ("ssm:/a:3", "cannot be a parameter's name"),
        ("ssm:/aws/reference", "begin with aws or ssm"),
        ("ssm:SSMthing", "begin with aws or ssm"),
        ("ssm:/" + "a" * 1011, "expected at most 996 characters"),
        ("ssm:" + "/a" * 16, "levels"),
        ("ssm:/a.twokey-journal", "reserved for journals"),
        ("file:a.twokey-journal", "reserved for journals"),
        ("file:../ci.json", "without '..'"),
        ("file:a/../ci.json", "without '..'"),
        ("file:~/ci.json", "home directory"),
        ("file:out/", "expected a file, not a directory"),
        ("file:.", "expected a file, not a directory"),
        ("file:" + "a" * 250, "expected a file name of at most"),
    ],
)
def test_an_illegal_url_is_refused_with_one_clear_sentence(url: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(url)
    assert message in raised.value.message
    assert "\n" not in raised.value.message


def filled(template: str, user: str = "ci", path: str = "/machine-users/") -> str:
    return fill(template, user=user, path=path, account=ACCOUNT)


def test_fields_are_filled_in() -> None:
    assert filled("file:/srv/{account}/{path}/{user}.json") == f"file:/srv/{ACCOUNT}/machine-users/ci.json"
    assert filled("secretsmanager:{path}/{user}", path="/a/b/") == "secretsmanager:a/b/ci"


def test_an_empty_path_takes_its_slash_along() -> None:
    assert filled("secretsmanager:{path}/{user}", path="/") == "secretsmanager:ci"
    assert filled("ssm:/{path}/{user}", path="/") == "ssm:/ci"
    assert filled("file:{path}/{user}.json", path="/") == "file:ci.json"


@pytest.mark.parametrize(
    ("template", "user", "path"),
    [
        ("file:out/{user}", "..", "/"),
        ("file:out/{user}", ".", "/"),
        ("file:out/{user}/key", "..", "/"),
        ("file:out/{user}/key", ".", "/"),
        ("ssm:/x/{user}", "..", "/"),
        ("file:out/{path}/{user}", "ci", "/../../etc/"),
        ("file:out/{path}/{user}", "ci", "/a/../../etc/"),
        ("file:out/{path}{user}", ".", "/a/./"),
        ("file:{user}{user}", ".", "/"),
        ("file:out/{user}", "a/b", "/"),
        ("file:out/{user}", "", "/"),
        ("file:out/{user}", "a\x00b", "/"),
        ("file:out/{user}", "{account}", "/"),
        ("file:out/{path}/x", "ci", "/{user}/"),
        ("file:out/{user}", "ü", "/"),
        ("file:out/{user}", "x.twokey-journal", "/"),
        ("file:{path}", "ci", "/"),
        ("secretsmanager:{user}", "a,b", "/"),
        ("ssm:/{user}", "a@b", "/"),
        ("ssm:/{user}", "aws-backup", "/"),
        ("ssm:{user}", "ssm", "/"),
        ("ssm:/x/{path}/{user}", "ci", "/" + "a/" * 14),
    ],
)
def test_no_name_leads_out_of_the_place_that_was_meant(template: str, user: str, path: str) -> None:
    with pytest.raises(UsageError):
        filled(template, user=user, path=path)


def test_an_account_is_twelve_digits() -> None:
    with pytest.raises(UsageError):
        fill("file:{account}", user="ci", path="/", account="../12345678")


def test_a_template_tells_whether_it_differs_from_user_to_user() -> None:
    assert names_user("file:{user}.json")
    assert not names_user("file:{account}.json")


@pytest.mark.parametrize("scheme", ["secretsmanager", "ssm", "file"])
def test_the_same_class_is_store_and_destination(scheme: str, services: Services) -> None:
    url = f"{scheme}:/srv/x"
    assert type(open_store(url, services)) is type(open_destination(url, services))


def test_a_kind_that_cannot_be_read_back_is_no_store(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "STORES", ("file",))
    with pytest.raises(UsageError, match="cannot be a store"):
        open_store("ssm:/x", services)


UUID = "00000000-0000-0000-0000-0000000000c1"


@pytest.mark.parametrize("url", ["github:acme/site", "azure-devops:acme/site/aws", f"buildkite:acme/{UUID}"])
def test_names_that_differ_only_in_case_are_one_where_the_service_takes_them_for_one(url: str) -> None:
    """The second value would overwrite the first: the id would be lost."""
    with pytest.raises(UsageError, match="the name of two values"):
        parse(f"{url}?id=AWS_KEY&secret=aws_key")


def test_opening_calls_nothing(services: Services, aws: object) -> None:
    for scheme in ("secretsmanager", "ssm", "file"):
        open_store(f"{scheme}:/srv/x", services)
    assert aws.count("*") == 0  # type: ignore[attr-defined]


def test_a_kind_is_imported_when_it_is_first_named_and_not_before() -> None:
    program = (
        "import sys; from twokey.destinations import registry; "
        "print([m for m in sys.modules if m.startswith('botocore') or m in registry.SCHEMES.values()])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_a_url_is_checked_without_importing_what_calls_its_service() -> None:
    """A configuration may name hundreds, and a job reads one."""
    program = (
        "import sys; from twokey.destinations import registry; "
        "[registry.parse(f'{scheme}:/{{user}}') for scheme in ('secretsmanager', 'ssm', 'file')]; "
        "print([m for m in ('botocore', 'urllib3') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_an_unknown_scheme_names_what_can_be_there(services: Services) -> None:
    """For a store only the kinds that can be a store, for a delivery every kind, for a secret those that hold one."""
    with pytest.raises(UsageError) as store:
        registry.open_store("zzz:x", services)
    assert str(store.value) == f"'zzz:x': the scheme 'zzz' is unknown; expected one of {', '.join(registry.STORES)}."
    with pytest.raises(UsageError) as destination:
        registry.parse("zzz:x")
    assert str(destination.value).endswith(f"expected one of {', '.join(registry.SCHEMES)}.")
    with pytest.raises(UsageError) as secret:
        registry.readable("zzz:x")
    assert str(secret.value).endswith("expected one of secretsmanager, ssm, vault.")
    with pytest.raises(UsageError, match="Use a URL with one of the schemes secretsmanager, ssm, vault"):
        registry.readable("file:x")


def test_no_destination_that_cannot_be_a_store_is_meant_by_a_misspelt_store(services: Services) -> None:
    with pytest.raises(UsageError, match="did you mean github"):
        registry.parse("githb:acme/site")
    with pytest.raises(UsageError) as refused:
        registry.open_store("githb:acme/site", services)
    assert "github" not in str(refused.value)
