"""The detector finds what it is meant to find: otherwise, a test that finds nothing proves nothing."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import random
from urllib.parse import quote_plus

import pytest

from support.canaries import BLOCK, PART, Canaries, entropy, forms, leaks, suspicious
from twokey.emulator import Emulator

SECRET = Canaries().take()
EXAMPLE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
"""The secret access key of AWS's own examples."""


class TestASecret:
    @pytest.mark.parametrize("form", forms(SECRET))
    def test_is_found_in_every_form(self, form: str) -> None:
        shown = f"2026-01-01 ERROR something, {forms(SECRET)[form]}, went wrong"
        assert leaks(shown, {SECRET})
        assert leaks(shown.encode("latin-1"), {SECRET})

    @pytest.mark.parametrize("form", forms(SECRET))
    def test_is_found_in_part_from_sixteen_characters_on(self, form: str) -> None:
        text = forms(SECRET)[form]
        assert leaks(f"…{text[-PART:]}…", {SECRET})
        assert not leaks(f"…{text[-PART + 1 :]}…", {SECRET})

    @pytest.mark.parametrize("before", range(BLOCK))
    def test_is_found_wherever_it_begins(self, before: int) -> None:
        part = SECRET[:PART]
        assert leaks("-" * before + part, {SECRET}) == [f"exact: {part}"]

    @pytest.mark.parametrize("before", range(6))
    def test_is_found_inside_a_value_that_was_encoded_as_a_whole(self, before: int) -> None:
        pair = "x" * before + json.dumps({"AccessKeyId": "AKIA", "SecretAccessKey": SECRET})
        for encoded in (
            base64.b64encode(pair.encode()),
            base64.urlsafe_b64encode(pair.encode()),
            base64.encodebytes(pair.encode()),
            pair.encode().hex().encode(),
            quote_plus(pair).encode(),
            json.dumps({"SecretString": pair}).encode(),
            repr(pair.encode()).encode(),
            pair.encode("utf-16"),
        ):
            assert leaks(encoded, {SECRET}), encoded

    def test_is_found_where_a_table_breaks_it_into_lines(self) -> None:
        assert leaks("\n".join(f"ci   {SECRET[i : i + 7]}" for i in range(0, 40, 7)).replace("ci", ""), {SECRET})

    def test_is_found_by_its_form(self) -> None:
        assert leaks(SECRET, {SECRET})[0].startswith("exact: ")
        assert leaks(SECRET.encode().hex(), {SECRET})[0].startswith("hex: ")

    def test_of_another_origin_is_not_found(self) -> None:
        other = Canaries()
        other.take()
        assert not leaks(SECRET, {other.take()})

    def test_that_is_compressed_is_not_found_so_nothing_compressed_may_be_written(self) -> None:
        assert not leaks(gzip.compress(SECRET.encode()), {SECRET})


class TestAScannersPattern:
    @pytest.mark.parametrize(
        "text",
        [
            f"aws_secret_access_key = {EXAMPLE}",
            f"AWS_SECRET_ACCESS_KEY={EXAMPLE}",
            f'{{"SecretAccessKey": "{EXAMPLE}"}}',
            f'{{"SecretString": "{{\\"SecretAccessKey\\": \\"{EXAMPLE}\\"}}"}}',
            f"<SecretAccessKey>{EXAMPLE}</SecretAccessKey>",
            f"secret: {EXAMPLE}",
            f"oops {EXAMPLE} oops",
            f"found '{SECRET}'",
            "token=dGhpcyBpcyBhIGxvbmcgdG9rZW4gdGhhdCBpcyBzZWNyZXQ",
            "x-amz-security-token:IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ",
            "-----BEGIN RSA PRIVATE KEY-----",
            "http://user:hunter2@proxy:3128",
            f"Signature={'0123456789abcdef' * 4}",
        ],
    )
    def test_hits_what_it_is_for(self, text: str) -> None:
        assert suspicious(text)

    @pytest.mark.parametrize(
        "text",
        [
            "ci: rotated (due). CURRENT has reached the end of its period. [CURRENT AKIAIOSFODNN7EXAMPLE]",
            '"current": "AKIAIOSFODNN7EXAMPLE", "store": "secretsmanager:machine-users/ci"',
            "arn:aws:iam::123456789012:user/machine-users/ci",
        ],
    )
    def test_leaves_what_may_be_shown_alone(self, text: str) -> None:
        assert suspicious(text) == []

    def test_measures_disorder(self) -> None:
        assert entropy("aaaa") == 0
        assert entropy("abcd") == 2
        assert entropy(SECRET) > 4.2


class TestTheEmulator:
    def test_issues_canaries_only(self, canaries: Canaries) -> None:
        with Emulator() as aws:
            expected = canaries.next
            (key,) = aws.make_user("ci", keys=1)
            made = aws.client("iam").create_access_key(UserName="ci")["AccessKey"]
            assert key.secret_access_key == expected
            assert {key.secret_access_key, made["SecretAccessKey"], aws.admin.secret_access_key} == canaries.secrets
            assert aws.authenticates(key)

    def test_notes_the_sessions_that_it_grants(self, canaries: Canaries) -> None:
        with Emulator() as aws:
            granted = aws.client("sts").get_session_token()["Credentials"]
            assert {granted["SecretAccessKey"], granted["SessionToken"]} <= canaries.secrets


class TestTheLog:
    def test_keeps_what_any_logger_says_at_debug_with_its_traceback(self, canaries: Canaries, log: list[str]) -> None:
        secret = canaries.take()
        logging.getLogger(f"some.library.{random.random()}").debug("went wrong", exc_info=ValueError(secret))
        assert leaks("".join(log), {secret})
