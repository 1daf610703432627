"""A profile in a shared credentials file: read as AWS SDKs read it, written without touching anything else."""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING, Any

import pytest
from botocore.configloader import raw_config_parse
from botocore.exceptions import ConfigParseError
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, NotHeld
from twokey.core.secret import Credential, Hidden
from twokey.destinations.formats.profiles import Profile
from twokey.testing.stores import SECRET

if TYPE_CHECKING:
    from pathlib import Path

KEY = Credential("AKIAIOSFODNN7EXAMPLE", SECRET)
PAIR = {"aws_access_key_id": KEY.access_key_id, "aws_secret_access_key": SECRET}
OLD = "aws_access_key_id = AKIAOLD\naws_secret_access_key = old\n"


def edited(text: str, name: str = "ci", **extras: str) -> str:
    return str(Profile.of(Hidden(text), name).with_pair(KEY, tuple(extras.items())))


def found(text: str, name: str = "ci") -> Any:
    return Profile.of(Hidden(text), name).found()


def ours(separator: str = " = ") -> str:
    return f"aws_access_key_id{separator}{KEY.access_key_id}\naws_secret_access_key{separator}{SECRET}\n"


class TestWriting:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", f"[ci]\n{ours()}"),
            ("\n", f"\n\n[ci]\n{ours()}"),
            ("[a]\nregion = x", f"[a]\nregion = x\n\n[ci]\n{ours()}"),
            ("[ci]", f"[ci]\n{ours()}"),
            ("[ci]\nregion = x\n", f"[ci]\n{ours()}region = x\n"),
            (f"[ci]\n{OLD}", f"[ci]\n{ours()}"),
            (f"[ci]\n{OLD.replace(' = ', '=')}[b]\n{OLD}", f"[ci]\n{ours('=')}[b]\n{OLD}"),
            (f"[ci] # main\n; one\n{OLD}\n# two\n", f"[ci] # main\n; one\n{ours()}\n# two\n"),
            (f"[ci]\n{OLD}".removesuffix("\n"), f"[ci]\n{ours()}".removesuffix("\n")),
            (
                "[ci]\nAWS_ACCESS_KEY_ID = A\n",
                f"[ci]\naws_secret_access_key = {SECRET}\nAWS_ACCESS_KEY_ID = {KEY.access_key_id}\n",
            ),
            (f"[profile ci]\n{OLD}", f"[profile ci]\n{OLD}\n[ci]\n{ours()}"),
            (f"[CI]\n{OLD}", f"[CI]\n{OLD}\n[ci]\n{ours()}"),
            ("# [ci]\n# aws_access_key_id = A\n", f"# [ci]\n# aws_access_key_id = A\n\n[ci]\n{ours()}"),
        ],
    )
    def test_changes_the_profiles_two_lines_or_adds_them(self, before: str, after: str) -> None:
        assert edited(before) == after
        assert edited(after) == after

    def test_takes_a_session_token_out_because_it_spoils_a_long_term_key(self) -> None:
        assert edited(f"[ci]\n{OLD}aws_session_token = t\nregion = x\n") == f"[ci]\n{ours()}region = x\n"

    def test_leaves_another_profiles_session_token(self) -> None:
        other = f"[b]\n{OLD}aws_session_token = t\n"
        assert edited(f"{other}[ci]\n{OLD}") == f"{other}[ci]\n{ours()}"

    def test_leaves_nested_properties_alone(self) -> None:
        nested = "s3 =\n  aws_access_key_id = nested\n  max_queue_size = 5\n"
        assert edited(f"[ci]\n{nested}{OLD}") == f"[ci]\n{nested}{ours()}"

    def test_moves_a_comment_behind_a_value_to_a_line_of_its_own(self) -> None:
        before = "[ci]\naws_access_key_id = A # of May\naws_secret_access_key = s#x ; y\n"
        assert edited(before) == (
            f"[ci]\n# of May\naws_access_key_id = {KEY.access_key_id}\n; y\naws_secret_access_key = {SECRET}\n"
        )

    def test_replaces_a_value_that_goes_on_in_the_next_line_and_one_that_is_there_twice(self) -> None:
        assert edited(f"[ci]\n{OLD}  more\n# c\n{OLD}") == f"[ci]\n{ours()}# c\n"

    def test_writes_an_equals_sign_where_only_botocore_understands_the_colon(self) -> None:
        assert edited("[ci]\naws_access_key_id: A\naws_secret_access_key :s\n") == (
            f"[ci]\naws_access_key_id= {KEY.access_key_id}\naws_secret_access_key ={SECRET}\n"
        )

    def test_keeps_a_further_property(self) -> None:
        assert edited(f"[ci]\n{OLD}region = a\n", region="b") == f"[ci]\n{ours()}region = b\n"
        assert edited("", region="b") == f"[ci]\n{ours()}region = b\n"

    def test_keeps_the_line_ends_of_windows(self) -> None:
        assert edited(f"[a]\nx = y\n\n[ci]\n{OLD}".replace("\n", "\r\n")) == f"[a]\nx = y\n\n[ci]\n{ours()}".replace(
            "\n", "\r\n"
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (f"[ci]\n{OLD}[b]\n[ci]\nregion = x\n", "occurs more than once"),
            (f"[ ci ]\n{OLD}", "spaces between the brackets"),
            (f"[b]\nx = y\r[ci]\n{OLD}", "carriage return"),
            (f"[ci]\n  {OLD}", "indented, but does not continue a property"),
            (f"[ci]\nx = y\n  [b]\n{OLD}", "indented, but does not continue a property"),
        ],
    )
    def test_refuses_what_sdks_read_differently(self, text: str, message: str) -> None:
        with pytest.raises(ServiceRejected, match=message):
            edited(text)
        assert message in found(text).why


class TestReading:
    def test_finds_the_pair(self) -> None:
        assert found(f"[a]\n[ci]\n{ours()}[b]\n{OLD}") == KEY

    def test_cuts_comments_off(self) -> None:
        text = f"[ci]\naws_access_key_id={KEY.access_key_id}\t; x\naws_secret_access_key = s#1 #2\n"
        assert found(text) == Credential(KEY.access_key_id, "s#1")

    @pytest.mark.parametrize(
        "text", ["", "[a]\nx = y\n", f"[profile ci]\n{OLD}", f"[a]\n{OLD}", f"[ci]\ns3 =\n  {OLD}"]
    )
    def test_finds_no_key_where_the_profile_has_none(self, text: str) -> None:
        assert isinstance(found(text), NotHeld | CannotTell)
        if "s3" not in text:
            assert found(text) == NotHeld()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[ci]\naws_access_key_id = A\n", "it has no aws_secret_access_key"),
            ("[ci]\naws_access_key_id =\naws_secret_access_key = s\n", "its aws_access_key_id is empty"),
            (f"[ci]\n{OLD}aws_access_key_id = B\n", "occurs twice"),
            (f"[ci]\n{OLD}  goes on\n", "continues on the next line"),
            (f"[ci]\n{OLD}aws_session_token = t\n", "has an aws_session_token, which belongs to temporary credentials"),
        ],
    )
    def test_cannot_tell_where_readers_would_not_agree(self, text: str, message: str) -> None:
        holding = found(text)
        assert isinstance(holding, CannotTell)
        assert message in holding.why


LINES = st.sampled_from(
    [
        "",
        "# comment",
        "; comment",
        "  # indented comment",
        "region = eu-west-1",
        "region = x\raws_access_key_id = y",
        "output=json",
        "s3 =",
        "  max_queue_size = 5",
        "  aws_access_key_id = nested",
        "\tgoes on",
        "aws_access_key_id = AKIAOLD",
        "aws_access_key_id=AKIAOLD # x",
        "aws_secret_access_key : old",
        "AWS_Secret_Access_Key=old",
        "aws_session_token = t",
        "[a]",
        "[ci]",
        "[ci] # c",
        "[profile ci]",
        "[ci-2]",
        "[default]",
    ]
)


@given(lines=st.lists(LINES, max_size=14), newline=st.sampled_from(["\n", "\r\n"]), ended=st.booleans())
@settings(max_examples=400)
def test_botocore_reads_the_new_pair_and_all_else_as_before(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], newline: str, ended: bool
) -> None:
    text = newline.join(lines) + (newline if ended else "")
    folder = tmp_path_factory.mktemp("profiles")
    before = parsed(folder / "before", text)
    try:
        after_text = edited(text)
    except ServiceRejected:
        return
    assert found(after_text) == KEY
    assert edited(after_text) == after_text
    if before is None:
        return
    after = parsed(folder / "after", after_text)
    expected = {**before, "ci": {**before.get("ci", {}), **PAIR}}
    expected["ci"].pop("aws_session_token", None)
    assert after == expected


def parsed(path: Path, text: str) -> dict[str, Any] | None:
    """Return what botocore reads; None where it refuses the file."""
    path.write_bytes(text.encode())
    try:
        return dict(raw_config_parse(str(path)))
    except (ConfigParseError, configparser.Error):
        return None
