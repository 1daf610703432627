"""What a program says is shown without anything that could be a secret, whatever it made of it."""

from __future__ import annotations

import base64
import random
import string
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.canaries import forms, leaks
from support.local_variables import watched
from twokey.core.secret import Hidden
from twokey.destinations.hooks.redaction import LEFT_OUT, gives_away, redacted

LETTERS = string.ascii_letters + string.digits + "/+"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE+EY"
WINDOW = 40
"""Characters of a form: at least seven letters of the secret, in the longest form."""
MORE_FORMS = {
    "reversed": SECRET[::-1],
    "base64 of base64": base64.b64encode(base64.b64encode(b"k=" + SECRET.encode())).decode(),
    "base64 of UTF-16": base64.b64encode(SECRET.encode("utf-16-le")).decode(),
    "base32": base64.b32encode(b"a" + SECRET.encode()).decode(),
    "octal escapes": "".join(f"\\{ord(one):03o}" for one in SECRET),
    "hex dump": "\n".join(f"{at:08x}: {SECRET[at : at + 16].encode().hex(' ', 2)}" for at in range(0, 40, 16)),
    "wrapped": "\n".join(textwrap.wrap(SECRET, 5)),
    "spaced": " ".join(SECRET),
    "a part": SECRET[7:15],
}


@pytest.mark.parametrize("form", [*forms(SECRET), *MORE_FORMS])
def test_no_form_of_a_secret_is_shown(form: str) -> None:
    text = {**forms(SECRET), **MORE_FORMS}[form]
    shown = redacted(f"cannot write\nthe value is {text}\ntry again", [SECRET])
    assert shown.startswith("cannot write\n")
    assert LEFT_OUT in shown
    assert text not in shown
    assert leaks(shown, [SECRET]) == []


@given(st.text(LETTERS, min_size=40, max_size=40), st.data())
def test_no_part_of_a_form_is_shown(secret: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(forms(secret))))
    form = forms(secret)[name]
    start = data.draw(st.integers(0, max(0, len(form) - WINDOW)))
    shown = redacted(f"{data.draw(st.text(max_size=20))}{form[start : start + WINDOW]}", [secret])
    assert leaks(shown, [secret]) == []


def test_what_is_no_secret_stays() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "/usr/local/bin/deliver-key", line 12, in <module>\n'
        "urllib.error.HTTPError: HTTP Error 403: Forbidden\n"
        "AKIAI44QH8DHB2KRT7PZ was not written to vault.acme.test/secret/data/ci at 2026-11-21T07:40:25Z"
    )
    assert redacted(text, [SECRET]) == text


def test_a_secret_of_another_key_is_not_shown_either() -> None:
    other = "".join(random.Random(5).choices(LETTERS, k=38)) + "7/"
    assert redacted(f"before: {other}", []) == LEFT_OUT


def test_short_values_are_no_secrets() -> None:
    assert redacted("a debug line", ["debug"]) == "a debug line"


def test_long_parts_count_where_values_have_parts_in_common_with_everything() -> None:
    assert redacted("no /usr/bin/python3 here", ["/usr/local/bin:/usr/bin:/bin"], part=16) == "no /usr/bin/python3 here"
    assert redacted("in /usr/local/bin:/usr/bin", ["/usr/local/bin:/usr/bin:/bin"], part=16) == LEFT_OUT


def test_a_stamp_is_compared_in_long_parts() -> None:
    assert not gives_away("2026-11-21T07:40:25Z", [SECRET], part=12)
    assert gives_away(f"v1-{SECRET[3:20]}", [SECRET], part=12)


def test_no_variable_shows_the_secret_on_the_way() -> None:
    with watched(SECRET):
        redacted(Hidden(f"what {SECRET} is"), [Hidden(SECRET)])
