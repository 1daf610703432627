"""What is there before a write: what stays, what is ours to replace, what is refused; and what spoils a pair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.local_variables import watched
from twokey.core.errors import ServiceRejected, UsageError
from twokey.core.model import CannotTell, Held
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats import json_members, temporary
from twokey.destinations.formats.names import ENVIRONMENT, MEMBERS
from twokey.destinations.formats.options import FORMATS, format_of
from twokey.testing.stores import SECRET, UNMANAGED_TEXTS, outcome

if TYPE_CHECKING:
    from twokey.destinations.formats.format import Format

KEY, OLD = Credential("AKIAIOSFODNN7EXAMPLE", SECRET), Credential("AKIAI44QH8DHBEXAMPLE", SECRET[::-1])
OPTIONS: dict[str, dict[str, str]] = {
    "ses-smtp": {"region": "eu-central-1"},
    "template": {"template": "id $AccessKeyId, secret $SecretAccessKey\n"},
}


def form(name: str, **options: str) -> Format:
    return format_of({"format": name, **OPTIONS.get(name, {}), **options}, default=name, names=MEMBERS)


def beside(name: str, text: str, **options: str) -> str:
    return str(form(name, **options).text_beside(Hidden(text), KEY, "file:x"))


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_replaces_what_it_wrote_itself(self, name: str) -> None:
        assert beside(name, form(name).text(OLD)) == form(name).text(KEY)

    @pytest.mark.parametrize("text", ["", " \n", "{}", "{ }\n"])
    def test_replaces_a_text_without_content(self, name: str, text: str) -> None:
        assert beside(name, text) == form(name).text(KEY)

    @pytest.mark.parametrize("other", ["json", "env", "credentials-file"])
    def test_replaces_a_credential_that_is_alone_in_another_format(self, name: str, other: str) -> None:
        present = form(other, **({"id": "key", "secret": "word"} if other != "credentials-file" else {})).text(OLD)
        written = beside(name, present)
        assert KEY.access_key_id in written
        same = {"pair": "json", "ses-smtp": "json"}.get(name, name) == other
        assert (OLD.access_key_id in written) == (same and other != "credentials-file")  # a former name stays

    @pytest.mark.parametrize("text", [*UNMANAGED_TEXTS, "\udcff", b"\xff\xfe"])
    def test_refuses_what_is_not_ours_without_quoting_it(self, name: str, text: Any) -> None:
        if (name, text) in {("env", "DB_PASSWORD=x\n"), ("credentials-file", "[database]\npassword = x\n")}:
            return
        value = memoryview(text) if isinstance(text, bytes) else Hidden(text)
        error = outcome(lambda: form(name).text_beside(value, KEY, "file:x"))
        assert isinstance(error, ServiceRejected)
        assert SECRET not in str(error)
        assert error.remedy

    def test_shows_nothing_of_what_is_there_in_a_variable(self, name: str) -> None:
        neighbour = "NeighboursSecret/0123456789+abcdefghijkl"
        with watched(SECRET, OLD.reveal(), neighbour):
            for text in (form(name).text(OLD), Hidden(neighbour), Hidden(json.dumps({"a": neighbour}))):
                outcome(lambda: form(name).text_beside(text, KEY, "file:x"))  # noqa: B023  called at once


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("env", '{"AccessKeyId": "AKIAI44QH8DHBEXAMPLE", "SecretAccessKey": "%s", "DB_PASSWORD": "x"}'),
        ("env", '{"AccessKeyId": "AKIAI44QH8DHBEXAMPLE", "AccessKeyId": "x", "SecretAccessKey": "%s"}'),
        ("env", '{"username": "ADMINISTRATOROFDB", "password": "%s"}'),
        ("json", "# theirs\nAWS_ACCESS_KEY_ID=AKIAI44QH8DHBEXAMPLE\nAWS_SECRET_ACCESS_KEY=%s\n"),
        ("json", "A=AKIAI44QH8DHBEXAMPLE\nB=%s\nC=d\n"),
        ("json", "[ci]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = %s\nregion = x\n"),
        ("json", "[ci]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = %s\n[b]\n"),
    ],
)
def test_a_credential_with_anything_beside_it_is_not_replaced(name: str, text: str) -> None:
    with pytest.raises(ServiceRejected, match="did not write"):
        beside(name, text % SECRET[::-1])


def test_lines_and_profiles_of_others_stay() -> None:
    assert beside("env", "# theirs\nexport A='b' # c\n") == (
        f"# theirs\nexport A='b' # c\nexport AWS_ACCESS_KEY_ID={KEY.access_key_id}\n"
        f"export AWS_SECRET_ACCESS_KEY={SECRET}\n"
    )
    assert beside("credentials-file", "[b]\nregion = x\n", profile="ci").startswith("[b]\nregion = x\n")


@pytest.mark.parametrize(
    ("text", "name", "after"),
    [
        ('{"a": 1, "t": "x", "b": 2}', "t", '{"a": 1, "b": 2}'),
        ('{"t": "x", "b": 2}', "t", '{"b": 2}'),
        ('{"a": 1,\n  "t": "x"\n}', "t", '{"a": 1\n}'),
        ('{ "t": "x" }', "t", "{  }"),
        ('{"a": {"t": "x", "u": 1e-400}, "t": 1}', "a.t", '{"a": {"u": 1e-400}, "t": 1}'),
        ('{"a": 1}', "t", '{"a": 1}'),
    ],
)
def test_a_member_is_removed_and_nothing_else(text: str, name: str, after: str) -> None:
    assert json_members.without(Hidden(text), name) == after


def test_a_number_with_more_digits_than_python_reads_stays() -> None:
    number = "7" * 5000
    text = json_members.with_value(Hidden(f'{{"n": {number}}}'), "a", Hidden("b"))
    assert text == f'{{"n": {number}, "a": "b"}}'


class TestLeftOver:
    @pytest.mark.parametrize(
        ("id_name", "left"),
        [
            ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"),
            ("CI_AWS_ACCESS_KEY_ID", "CI_AWS_SECURITY_TOKEN"),
            ("AWS_ACCESS_KEY", "AWS_SESSION_TOKEN"),
            ("aws_access_key_id", "aws_security_token"),
            ("accessKeyId", "sessionToken"),
            ("access-key-id", "session-token"),
            ("access_key", "security_token"),
            ("aws.AccessKeyId", "aws.Token"),
        ],
    )
    def test_has_the_spelling_of_the_pair(self, id_name: str, left: str) -> None:
        assert temporary.left_over(id_name, {left: "IQoJx"}) == (left,)
        assert temporary.left_over(id_name, {left: None}) == (left,)
        assert temporary.left_over(id_name, {left: ""}) == ()
        assert temporary.left_over("KEY", {left: "IQoJx"}) == ()

    def test_of_an_expiry_counts_only_beside_a_token_or_a_version(self) -> None:
        assert temporary.left_over("AccessKeyId", {"Expiration": "x"}) == ()
        assert temporary.left_over("AccessKeyId", {"Expiration": "x", "Version": "1"}) == ("Expiration",)
        left = {"Expiration": "x", "SessionToken": "y"}
        assert temporary.left_over("AccessKeyId", left) == ("SessionToken", "Expiration")

    def test_makes_a_text_not_held(self) -> None:
        members = {"AccessKeyId": KEY.access_key_id, "SecretAccessKey": SECRET}
        assert form("json").holding_text(json.dumps(members)) == Held(KEY.access_key_id)
        assert isinstance(form("json").holding_text(json.dumps({**members, "SessionToken": "x"})), CannotTell)
        assert form("json").holding_text(json.dumps({**members, "SessionToken": None})) == Held(KEY.access_key_id)
        lines = form("env").text(KEY)
        assert isinstance(form("env").holding_text(f"{lines}AWS_SECURITY_TOKEN=x\n"), CannotTell)

    def test_cannot_be_an_extra(self) -> None:
        with pytest.raises(UsageError, match="AWS_SESSION_TOKEN"):
            format_of({"extra.AWS_SESSION_TOKEN": "x"}, default="pair", names=ENVIRONMENT)

    def test_an_id_that_occurs_twice_is_not_held(self) -> None:
        text = '{"AccessKeyId": "%s", "AccessKeyId": "%s", "SecretAccessKey": "x"}' % (("AKIAIOSFODNN7EXAMPLE",) * 2)
        assert isinstance(form("json").holding_text(text), CannotTell)
