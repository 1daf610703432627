"""The formats of a stored value: what readers find, what is read back, and what is refused before any call."""

from __future__ import annotations

import hmac
import json
import re
import shlex
import string
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from botocore.configloader import raw_config_parse
from hypothesis import example, given
from hypothesis import strategies as st

from support.local_variables import watched
from twokey.core.errors import ServiceRejected, UsageError
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats import smtp
from twokey.destinations.formats.format import PAIR, Format
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.formats.names import ENVIRONMENT, MEMBERS, Names
from twokey.destinations.formats.options import FORMATS, OPTIONS, advice, format_of
from twokey.testing.stores import SECRET, assert_silent

if TYPE_CHECKING:
    from pathlib import Path

KEY = Credential("AKIAIOSFODNN7EXAMPLE", SECRET)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
CREDENTIALS = st.builds(
    Credential,
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=128),
    st.text(LETTERS + "=", min_size=1, max_size=64),
)
"""What IAM issues ("AccessKey", IAM API Reference: an id of 16 to 128 characters), and secrets of any length."""
NEEDED = {"ses-smtp": {"region": "eu-central-1"}, "template": {"template": "$AccessKeyId:$SecretAccessKey"}}


def form(kind: str = "pair", /, *, names: Names = ENVIRONMENT, **options: str) -> Format:
    """Return a format with its options; ``extra_NAME`` stands for ``extra.NAME``."""
    return made({"format": kind, **options}, names)


def made(options: dict[str, str], names: Names = ENVIRONMENT) -> Format:
    options = {option.replace("extra_", "extra.", 1): value for option, value in options.items()}
    return format_of({**NEEDED.get(options["format"], {}), **options}, default="pair", names=names)


def signing_keys(region: str) -> list[str]:
    """Return what lies between secret and SMTP password, as a variable of bytes would show it."""
    key, shown = f"AWS4{SECRET}".encode(), []
    for step in ("11111111", region, "ses", "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
        shown.append(repr(key)[2:-1])
    return shown


def refusal(kind: str = "pair", /, **options: str) -> str:
    return refused(kind, options)


def refused(kind: str, options: dict[str, str]) -> str:
    with pytest.raises(UsageError) as raised:
        made({"format": kind, **options})
    return raised.value.message


REVERSIBLE = [name for name in FORMATS if form(name).reversible]


class TestEveryFormat:
    @pytest.mark.parametrize("name", FORMATS)
    def test_has_a_value_for_each_of_its_names_in_their_order(self, name: str) -> None:
        assert tuple(form(name).values(KEY)) == form(name).names

    @pytest.mark.parametrize("name", FORMATS)
    def test_shows_a_journal_as_no_key(self, name: str) -> None:
        assert form(name).holding_text(encode_journal(Journal(epoch=3))) == NotHeld()

    @pytest.mark.parametrize("name", FORMATS)
    def test_tells_a_place_without_values_from_one_that_holds_something_else(self, name: str) -> None:
        assert form(name).holding({}) == form(name).holding_text(None) == NotHeld()
        assert form(name).holding(dict.fromkeys(form(name).names)) == NotHeld()
        assert form(name).credential({}, "the store") is form(name).credential_of_text(None, "the store") is None
        for text in ("something else", "", "{}", form("template").text(KEY)):
            assert isinstance(form(name).holding_text(text), CannotTell)

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("other", FORMATS)
    def test_never_takes_a_key_in_another_format_for_none(self, name: str, other: str) -> None:
        assert form(name).holding_text(form(other).text(KEY)) != NotHeld()

    @pytest.mark.parametrize("name", FORMATS)
    def test_hides_what_it_wrote_and_what_it_read(self, name: str) -> None:
        values = form(name).values(KEY)
        assert all(isinstance(value, Hidden) for value in (*values.values(), form(name).text(KEY)))
        assert SECRET not in repr(values) + repr(form(name).holding(values)) + repr(form(name))

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("broken", ["%s", '{"SecretAccessKey": "%s"}', "AWS_SECRET_ACCESS_KEY=%s"])
    def test_keeps_what_it_cannot_read_out_of_errors(self, name: str, broken: str) -> None:
        text = Hidden(broken % SECRET)
        with pytest.raises(ServiceRejected, match="contains no credential that twokey can read") as raised:
            form(name).credential_of_text(text, "the store")
        assert_silent(raised.value, KEY)
        assert SECRET not in repr(form(name).holding_text(text))

    @pytest.mark.parametrize("name", FORMATS)
    def test_keeps_the_secret_out_of_what_a_crash_would_show(self, name: str) -> None:
        subject = form(name) if name == "template" else form(name, extra_other="x")
        with watched(SECRET, smtp.password(KEY, "eu-central-1"), *signing_keys("eu-central-1")):
            subject.values(KEY)
            text = subject.text(KEY)
            subject.holding_text(text)
            subject.holding_text(memoryview(text.encode()))
            if subject.reversible:
                subject.credential_of_text(text, "here")

    @pytest.mark.parametrize("name", FORMATS)
    def test_cannot_tell_bytes_that_are_no_text(self, name: str) -> None:
        assert isinstance(form(name).holding_text(b"\xff\xfe\x00"), CannotTell)


class TestEveryReversibleFormat:
    @pytest.mark.parametrize("name", REVERSIBLE)
    @given(credential=CREDENTIALS)
    @example(credential=KEY)
    def test_reads_back_every_credential(self, name: str, credential: Credential) -> None:
        subject = form(name)
        values, text = subject.values(credential), subject.text(credential)
        assert subject.credential(values, "here") == subject.credential_of_text(text, "here") == credential
        assert subject.credential_of_text(memoryview(text.encode()), "here") == credential
        assert subject.holding(values) == subject.holding_text(text) == Held(credential.access_key_id)

    @pytest.mark.parametrize("name", REVERSIBLE)
    @given(secret=st.text(min_size=1, max_size=12), value=st.text(max_size=12))
    def test_reads_back_whatever_it_agrees_to_write(self, name: str, secret: str, value: str) -> None:
        try:
            subject = form(name, extra_other=value)
            text = subject.text(Credential(KEY.access_key_id, secret))
        except (UsageError, ServiceRejected):
            return
        assert subject.credential_of_text(text, "here") == Credential(KEY.access_key_id, secret)


class TestPair:
    def test_is_two_values_named_as_the_place_names_them(self) -> None:
        assert form().values(KEY) == {"AWS_ACCESS_KEY_ID": KEY.access_key_id, "AWS_SECRET_ACCESS_KEY": SECRET}
        assert form(names=MEMBERS).names == ("AccessKeyId", "SecretAccessKey")

    def test_takes_names_of_ones_choice(self) -> None:
        assert form(id="DEPLOY_ID", secret="DEPLOY_SECRET").names == ("DEPLOY_ID", "DEPLOY_SECRET")

    def test_has_further_values_under_further_names(self) -> None:
        assert form(extra_AWS_REGION="eu-west-1").values(KEY)["AWS_REGION"] == "eu-west-1"

    @pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_cannot_tell_from_half_a_pair(self, missing: str) -> None:
        holding = form().holding({**form().values(KEY), missing: None})
        assert holding == CannotTell(f"half of the pair is missing: it has no {missing}")

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_cannot_tell_from_an_empty_value(self, name: str) -> None:
        assert form().holding({**form().values(KEY), name: ""}) == CannotTell(f"its {name} is empty")


class TestJson:
    def test_is_one_object_with_the_two_members_that_aws_names(self) -> None:
        text = json.dumps({"AccessKeyId": KEY.access_key_id, "SecretAccessKey": SECRET})
        assert form("json").values(KEY) == {"AWS_CREDENTIALS": text}
        assert form("json", names=MEMBERS).text(KEY) == text

    def test_takes_other_names_and_further_members(self) -> None:
        subject = form("json", name="AWS", id="key", secret="secret", extra_region="eu-west-1")
        assert json.loads(subject.values(KEY)["AWS"]) == {
            "key": KEY.access_key_id,
            "secret": SECRET,
            "region": "eu-west-1",
        }

    @pytest.mark.parametrize("text", ["{}", "[]", '"x"', '{"AccessKeyId": "A"}', '{"AccessKeyId": 1}', "{", ""])
    def test_cannot_tell_what_is_no_pair(self, text: str) -> None:
        assert isinstance(form("json").holding_text(text), CannotTell)
        with pytest.raises(ServiceRejected, match="contains no credential that twokey can read"):
            form("json").credential_of_text(text, "the store")


class TestEnv:
    @given(credential=CREDENTIALS)
    @example(credential=KEY)
    def test_needs_no_quotes_for_an_access_key(self, credential: Credential) -> None:
        assert form("env").text(credential) == (
            f"AWS_ACCESS_KEY_ID={credential.access_key_id}\nAWS_SECRET_ACCESS_KEY={credential.reveal()}\n"
        )

    @pytest.mark.parametrize("value", ["a b", 'a"b', "$HOME", "`id`", "~", "*", "a#b", " #", "{x}", "é", "a;b", "&"])
    def test_is_read_by_sh_as_it_was_meant(self, tmp_path: Path, value: str) -> None:
        (tmp_path / "env").write_text(form("env", extra_OTHER=value).text(KEY))
        script = f'. {shlex.quote(str(tmp_path / "env"))}; printf "%s\\n" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"'
        script += ' "$OTHER"'
        ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={})
        assert ran.stdout.splitlines() == [KEY.access_key_id, SECRET, value]

    @pytest.mark.parametrize("value", ["it's", "a\\b", "${HOME}", "a\nb", "a\x00b", "a\rb"])
    def test_refuses_what_its_readers_would_read_differently(self, value: str) -> None:
        assert "that sh and dotenv libraries would both read back" in refusal("env", extra_OTHER=value)
        with pytest.raises(ServiceRejected, match="read differently") as raised:
            form("env").text(Credential("AKIAX", SECRET + value))
        assert_silent(raised.value, KEY)

    @pytest.mark.parametrize(
        "text",
        [
            "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nexport AWS_SECRET_ACCESS_KEY='s/+='\n",
            'AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE" # ours\r\nAWS_SECRET_ACCESS_KEY=s/+=   # that\r\n',
            "# AWS_ACCESS_KEY_ID=no\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=s/+=",
            "AWS_ACCESS_KEY_ID=old\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=s/+=",
            "PEM='\nAWS_ACCESS_KEY_ID=no\n'\nAWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=s/+=\nOTHER=\n",
        ],
    )
    def test_reads_what_people_write(self, text: str) -> None:
        assert form("env").credential_of_text(text, "here") == Credential(KEY.access_key_id, "s/+=")

    @pytest.mark.parametrize("value", ["a b", "'a'b", "'a", '"a$b"', "a'b", "$X", "'a\\'", "a#b", "`x`"])
    def test_cannot_tell_what_readers_read_differently(self, value: str) -> None:
        text = f"AWS_ACCESS_KEY_ID={value}\nAWS_SECRET_ACCESS_KEY=s\n"
        assert isinstance(form("env").holding_text(text), CannotTell)


class TestCredentialsFile:
    def test_is_one_profile(self) -> None:
        assert form("credentials-file", profile="ci", extra_region="eu-west-1").text(KEY) == (
            f"[ci]\naws_access_key_id = {KEY.access_key_id}\naws_secret_access_key = {SECRET}\nregion = eu-west-1\n"
        )

    @given(credential=CREDENTIALS)
    def test_is_read_by_botocore(self, tmp_path_factory: pytest.TempPathFactory, credential: Credential) -> None:
        path = tmp_path_factory.mktemp("profiles") / "credentials"
        path.write_text(form("credentials-file").text(credential))
        pair = {"aws_access_key_id": credential.access_key_id, "aws_secret_access_key": credential.reveal()}
        assert raw_config_parse(str(path)) == {"default": pair}

    @pytest.mark.parametrize("profile", ["", "a b", "profile ci", "a]", "ci\n", "a=b", "a,b"])
    def test_refuses_names_that_sdks_do_not_know_as_profiles(self, profile: str) -> None:
        assert "cannot be a name here" in refusal("credentials-file", profile=profile)

    @pytest.mark.parametrize("name", ["aws_access_key_id", "aws_session_token", "Region", "a b", ""])
    def test_refuses_properties_that_would_get_in_the_way(self, name: str) -> None:
        assert "cannot be a name here" in refused("credentials-file", {f"extra.{name}": "x"})

    @pytest.mark.parametrize("value", ["", " x", "x ", "a #b", "a\t;b", "a\nb", "#x"])
    def test_refuses_values_that_would_be_read_differently(self, value: str) -> None:
        assert "that a credentials file can hold" in refusal("credentials-file", extra_region=value)


class TestSesSmtp:
    @pytest.mark.parametrize(
        ("region", "secret", "password"),
        [
            ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
            ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
        ],
    )
    def test_makes_the_password_of_the_region(self, region: str, secret: str, password: str) -> None:
        made = form("ses-smtp", region=region).values(Credential("AKIAX", secret))
        assert made == {"SMTP_USERNAME": "AKIAX", "SMTP_PASSWORD": password}

    def test_tells_the_key_by_the_user_name_and_cannot_read_the_secret_back(self) -> None:
        values = form("ses-smtp").values(KEY)
        assert form("ses-smtp").holding(values) == Held(KEY.access_key_id)
        with pytest.raises(ServiceRejected, match="ses-smtp cannot be read back") as raised:
            form("ses-smtp").credential(values, "the store")
        assert_silent(raised.value, KEY, Credential("", values["SMTP_PASSWORD"]))

    def test_needs_a_region(self) -> None:
        assert refusal("ses-smtp", region="") == ("ses-smtp needs region=: the password is valid in one region only.")

    @pytest.mark.parametrize("region", ["eu-central", "Frankfurt", "eu_central_1", "eu-central-1a", "{user}", "٣-a-1"])
    def test_refuses_what_is_no_region(self, region: str) -> None:
        assert "expected the name of an AWS region" in refusal("ses-smtp", region=region)

    @pytest.mark.parametrize(
        "region", ["us-east-1", "us-gov-west-1", "ap-southeast-7", "cn-northwest-1", "eu-isoe-west-1"]
    )
    def test_takes_the_regions_of_all_partitions(self, region: str) -> None:
        assert form("ses-smtp", region=region).names == ("SMTP_USERNAME", "SMTP_PASSWORD")


class TestTemplate:
    def test_fills_its_placeholders_in(self) -> None:
        text = "id=$AccessKeyId secret=${SecretAccessKey} smtp=${SmtpPassword} $$5"
        made = form("template", template=text, region="eu-central-1").text(Credential("AKIAX", "some+secret+key"))
        assert made == "id=AKIAX secret=some+secret+key smtp=BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2 $5"

    def test_percent_encodes_what_has_url_behind_it(self) -> None:
        text = "a:${AccessKeyId:url}:${SecretAccessKey:url}@${SmtpPassword:url}"
        made = form("template", template=text, region="eu-central-1").text(Credential("AKIAX", "a/b+c=d é~"))
        assert made.startswith("a:AKIAX:a%2Fb%2Bc%3Dd%20%C3%A9~@")
        assert not set(made) & set("/+=")

    @given(st.text(st.sampled_from(string.ascii_letters + string.digits + "/+="), min_size=1, max_size=40))
    def test_every_secret_is_read_back_from_a_url(self, secret: str) -> None:
        made = form("template", template="sqs://$AccessKeyId:${SecretAccessKey:url}@host/x").text(
            Credential("AKIAX", secret)
        )
        parts = urlsplit(made)
        assert unquote(parts.password or "") == secret
        assert (parts.hostname, parts.path) == ("host", "/x")

    @pytest.mark.parametrize(
        ("template", "made"),
        [
            ("sqs://$AccessKeyId:$SecretAccessKey@", "sqs://AKIAX:a%2Fb%2Bc@"),
            ("$AccessKeyId s3://$SecretAccessKey@bucket/$SecretAccessKey", "AKIAX s3://a%2Fb%2Bc@bucket/a/b+c"),
            ("mail://x:-$SecretAccessKey-$AccessKeyId@host", "mail://x:-a%2Fb%2Bc-AKIAX@host"),
            ("sqs://$AccessKeyId:$SecretAccessKey", "sqs://AKIAX:a/b+c"),
            ("https://host/$SecretAccessKey@", "https://host/a/b+c@"),
            ("url=https://host;key=$SecretAccessKey;to=a@b", "url=https://host;key=a/b+c;to=a@b"),
            ("https://host,$SecretAccessKey a@b", "https://host,a/b+c a@b"),
        ],
    )
    def test_percent_encodes_a_password_before_the_host_of_a_url_and_nothing_else(
        self, template: str, made: str
    ) -> None:
        assert form("template", template=template).text(Credential("AKIAX", "a/b+c")) == made

    def test_recognizes_a_value_from_before_url_was_added(self) -> None:
        key = Credential("AKIAIOSFODNN7EXAMPLE", "a/b+c" * 8)
        before = form("template", template="https://host/$AccessKeyId:$SecretAccessKey@")
        after = form("template", template="https://host/$AccessKeyId:${SecretAccessKey:url}@")
        assert after.text_beside(before.text(key), key, "x:y") == after.text(key)
        assert before.text_beside(after.text(key), key, "x:y") == before.text(key)

    @pytest.mark.parametrize(
        ("template", "secret"),
        [
            ("sqs://$AccessKeyId:$SecretAccessKey@", "SecretAccessKey"),
            ("smtp://$AccessKeyId:${SmtpPassword}@mail", "SmtpPassword"),
            ("https://host/?id=$AccessKeyId&key=$SecretAccessKey", "SecretAccessKey"),
            ("sqs://$AccessKeyId:${SecretAccessKey:url}@", ""),
            ("sqs://$AccessKeyId@host", ""),
            ("endpoint=https://host\nsecret=$SecretAccessKey", ""),
            ('{"url": "https://host", "secret": "$SecretAccessKey"}', ""),
            ("s3:$AccessKeyId:$SecretAccessKey", ""),
        ],
    )
    def test_that_puts_a_secret_into_a_url_as_it_is_gets_advice(self, template: str, secret: str) -> None:
        said = advice({"format": "template", "template": template})
        assert said.endswith(f"Write ${{{secret}:url}} there.") if secret else said == ""

    def test_cannot_be_read_back(self) -> None:
        subject = form("template")
        assert isinstance(subject.holding(subject.values(KEY)), CannotTell)
        with pytest.raises(ServiceRejected, match="cannot be read back"):
            subject.credential_of_text(subject.text(KEY), "the store")

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ("$AccesKeyId", "did you mean AccessKeyId?"),
            ("${secretAccessKey}", "did you mean SecretAccessKey?"),
            ("$zzz", "expected one of AccessKeyId, SecretAccessKey, SmtpPassword."),
            ("$AccessKeyId costs 5$", "a single $ at character 21"),
            ("${AccessKeyId", "a single $ at character 1"),
            ("${SecretAccessKey:uri}", "expected ${SecretAccessKey:url} or ${SecretAccessKey}."),
            ("${SecretAccessKey:}", "expected ${SecretAccessKey:url} or ${SecretAccessKey}."),
            ("${Secret:url}", "an unknown placeholder $Secret"),
            ("nothing", "The template has no placeholder"),
            ("$$AccessKeyId", "The template has no placeholder"),
            ("", "template needs template="),
        ],
    )
    def test_is_refused_where_it_cannot_be_filled_in(self, template: str, message: str) -> None:
        assert message in refusal("template", template=template)

    def test_needs_a_region_for_the_smtp_password_and_for_nothing_else(self) -> None:
        assert "$SmtpPassword needs region=" in refusal("template", template="$SmtpPassword")
        assert "region= has no effect" in refusal("template", template="$AccessKeyId", region="eu-west-1")


class TestTheVersionOfAFormat:
    def test_is_the_keys_id_for_what_places_hold_by_default(self) -> None:
        assert PAIR.version("AKIAX") == form("pair", names=MEMBERS).version("AKIAX") == "AKIAX"

    def test_is_another_one_for_every_other_text(self) -> None:
        texts = [form(name).version("AKIAX") for name in FORMATS if name not in ("pair", "json")]
        texts += [form("json", extra_a="b").version("AKIAX"), form("json", extra_a="c").version("AKIAX")]
        assert len({*texts, "AKIAX"}) == len(texts) + 1
        assert form("env").version("AKIAX") == form("env").version("AKIAX") != form("env").version("AKIAY")


class TestOptions:
    def test_of_another_place_are_passed_over(self) -> None:
        assert format_of({"environment": "prod"}, default="pair", names=ENVIRONMENT) == form()

    def test_may_leave_the_format_to_the_destination(self) -> None:
        assert format_of({}, default="env", names=ENVIRONMENT) == form("env")

    @pytest.mark.parametrize(
        ("kind", "options", "message"),
        [
            ("jsn", {}, "There is no format 'jsn'; did you mean json?"),
            ("xml", {}, "expected one of pair, json, env"),
            ("pair", {"region": "eu-west-1"}, "region= has no effect with format=pair; it belongs to ses-smtp"),
            (
                "json",
                {"profile": "ci"},
                "profile= has no effect with format=json; it belongs to credentials-file.",
            ),
            ("template", {"extra_a": "b"}, "extra.a= has no effect with format=template"),
            ("pair", {"id": "SAME", "secret": "SAME"}, "'SAME' is the name of two values."),
            ("pair", {"extra_AWS_ACCESS_KEY_ID": "x"}, "'AWS_ACCESS_KEY_ID' is the name of two values."),
        ],
    )
    def test_that_mean_nothing_are_refused_with_the_nearest_word(
        self, kind: str, options: dict[str, str], message: str
    ) -> None:
        assert message in refused(kind, options)

    def test_are_named_once_for_all_places(self) -> None:
        used = {option for name in FORMATS for option in NEEDED.get(name, {})}
        assert used | {"format", "id", "secret", "name", "profile", "extra.*"} == set(OPTIONS)


class TestNames:
    RULES = Names(
        pattern="[A-Z_]+", allowed="capital letters", longest=8, forbidden=("GITHUB_",), id="ID", secret="SECRET"
    )

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("lower", "'lower' cannot be a name here: expected capital letters."),
            ("ABCDEFGHI", "it is longer than 8 characters"),
            ("GITHUB_A", "names that begin with GITHUB_ are reserved"),
            ("", "expected capital letters"),
            ("A\n", "expected capital letters"),
        ],
    )
    def test_say_what_a_kind_allows(self, name: str, message: str) -> None:
        with pytest.raises(UsageError, match=re.escape(message)):
            self.RULES.check(name)

    def test_that_are_uppercase_only_may_hold_a_field_as_well(self) -> None:
        self.RULES.check("{USER}_ID")
        with pytest.raises(UsageError):
            self.RULES.check("{USER}_id")

    def test_keep_what_a_place_has_taken_whatever_the_case(self) -> None:
        with pytest.raises(UsageError, match="are reserved"):
            replace(ENVIRONMENT, forbidden=("GITHUB_",)).check("github_key")

    @pytest.mark.parametrize("name", ["1A", "A-B", "A B", "", "É", "A=B"])
    def test_of_the_environment_are_those_of_posix(self, name: str) -> None:
        assert "digits and underscores" in refused("pair", {"id": name})

    def test_count_an_unfilled_field_as_a_letter(self) -> None:
        assert form(id="{USER}_ID", secret="{USER}_SECRET").names == ("{USER}_ID", "{USER}_SECRET")
        assert "cannot be a name" in refused("pair", {"id": "{USER}-ID"})

    def test_are_checked_by_the_place_where_there_are_several_values(self) -> None:
        with pytest.raises(UsageError):
            format_of({"format": "pair", "id": "id"}, default="pair", names=self.RULES)
        with pytest.raises(UsageError):
            format_of({"format": "env", "name": "env"}, default="pair", names=self.RULES)
        assert format_of({"format": "json", "name": "AWS", "id": "id"}, default="pair", names=self.RULES).names == (
            "AWS",
        )
