"""What a destination's URL says besides the name: options, and fields in them."""

from __future__ import annotations

import pytest

from twokey.core.errors import UsageError
from twokey.destinations.address import fill, names_user, take_apart, with_options


def test_options_follow_a_question_mark() -> None:
    address = take_apart("github:acme/site?environment=production&id=AWS_ID")
    assert (address.scheme, address.rest) == ("github", "acme/site")
    assert dict(address.options) == {"environment": "production", "id": "AWS_ID"}


def test_a_value_may_hold_what_separates_options_when_it_is_escaped() -> None:
    url = with_options("x:y", {"template": "a=$AccessKeyId&b=100%\n?"})
    assert dict(take_apart(url).options) == {"template": "a=$AccessKeyId&b=100%\n?"}


def test_a_templates_placeholders_are_no_fields() -> None:
    url = fill("x:y?template=${SmtpPassword}-{user}", user="ci", path="/", account="123456789012")
    assert dict(take_apart(url).options) == {"template": "${SmtpPassword}-ci"}


def test_braces_that_are_no_fields_are_escaped_and_fields_are_not() -> None:
    url = with_options("x:y", {"template": '{"{user}": "$AccessKeyId"}'})
    filled = fill(url, user="ci", path="/", account="123456789012")
    assert dict(take_apart(filled).options) == {"template": '{"ci": "$AccessKeyId"}'}


def test_a_word_in_braces_is_always_meant_as_a_field() -> None:
    with pytest.raises(UsageError, match=r"there is no field \{AccessKeyId\}"):
        take_apart(with_options("x:y", {"template": "{AccessKeyId}"}))


def test_options_that_mean_the_same_make_the_same_url() -> None:
    assert with_options("x:y", {"b": "2", "a": "1"}) == with_options("x:y", {"a": "1", "b": "2"}) == "x:y?a=1&b=2"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("x:y?", "expected options as name=value"),
        ("x:y?a", "expected options as name=value"),
        ("x:y?=1", "expected options as name=value"),
        ("x:y?a=1&a=2", "occurs twice"),
        ("x:?a=1", "expected x:NAME; the name is missing"),
        ("x:y?a={usr}", "did you mean {user}"),
        ("x:y?a=${b", "an unmatched brace"),
    ],
)
def test_an_option_that_is_not_well_written_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        take_apart(url)


def test_an_option_that_the_place_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean environment"):
        take_apart("x:y?enviroment=p").allow(("environment", "id"))
    take_apart("x:y?extra.region=p").allow(("extra.*",))
    with pytest.raises(UsageError, match="no option 'extra'"):
        take_apart("x:y?extra=p").allow(("extra.*",))


def test_the_users_name_can_be_part_of_a_variables_name() -> None:
    url = fill("github:acme/site?id={USER}_ID", user="ci-site.x", path="/", account="123456789012")
    assert url == "github:acme/site?id=CI_SITE_X_ID"
    assert names_user("github:acme/site?id={USER}_ID")


@pytest.mark.parametrize("path", ["/a?b/", "/a&b/", "/a%3F/", "/a{b/"])
def test_an_iam_path_that_would_change_the_meaning_of_a_url_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="which a destination's name cannot contain"):
        fill("file:{path}/x", user="ci", path=path, account="123456789012")
