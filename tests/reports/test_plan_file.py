"""The file of a plan: any change of it is noticed, and it is signed if that is expected."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from twokey.core.errors import Refused, UsageError
from twokey.core.reasons import Outcome, Reason
from twokey.reports.plan_file import Decision, Options, PlanFile, PlannedUser, plan_of, text_of
from twokey.system.signatures import Signer, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DECISION = Decision(
    configuration="ab" * 32,
    user_id="AIDACI",
    keys={"AKIAAAAAAAAAAAAAAAAA": "Active", "AKIABBBBBBBBBBBBBBBB": "Inactive"},
    store="secretsmanager:machine-users/ci",
    holds="AKIAAAAAAAAAAAAAAAAA",
    hook=False,
    actions=("commit",),
    steps=("Commit(last='', renew=True)",),
)
PLAN = PlanFile(
    1,
    datetime(2026, 6, 1, tzinfo=UTC),
    "1.0",
    Options(force=False, ignore_last_use=False, retire=()),
    (
        PlannedUser("123456789012", "ci", Outcome.ROTATED, Reason.DUE, "It is due.", DECISION),
        PlannedUser("", "später", Outcome.FAILED, Reason.ERROR, "No such user.", None),
    ),
)


def read(data: bytes, verify: Callable[[bytes, str], bool] | None = None) -> PlanFile:
    return plan_of(data, "plan.json", verify)


def test_a_plan_is_read_as_it_was_written() -> None:
    assert read(text_of(PLAN).encode()) == PLAN


@given(st.data())
def test_no_changed_byte_is_accepted(data: st.DataObject) -> None:
    text = text_of(PLAN).encode()
    at = data.draw(st.integers(0, len(text) - 1))
    change = data.draw(st.sampled_from(["replace", "insert", "remove", "cut"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    ends = {"replace": byte + text[at + 1 :], "insert": byte + text[at:], "remove": text[at + 1 :], "cut": b""}
    changed = text[:at] + ends[change]
    if changed == text:
        return
    with pytest.raises(Refused) as raised:
        read(changed)
    assert raised.value.reason is Reason.PLAN_INVALID


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r'"user": "ci"', '"user": "ci", "user": "deploy"'),
        (r'"user": "ci"', '"user": "\\\\u0063i"'),
        (r"\n *", ""),
        (r'"hook": false', '"hook": 0'),
        (r'"version": 1', '"version": 2'),
        (r'"sha256": "\w+"', '"sha256": "' + "0" * 64 + '"'),
        (r"\A.*\Z", "[" * 100_000),
        (r"\A.*\Z", ""),
    ],
)
def test_what_reads_the_same_is_not_the_same_file(pattern: str, text: str) -> None:
    with pytest.raises(Refused, match="changed"):
        read(re.sub(pattern, text, text_of(PLAN), count=1, flags=re.DOTALL).encode())


class TestSignatures:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> dict[str, Path]:
        """Two private keys and their public ones, as OpenSSL writes them, and what is no such key."""
        made: dict[str, Any] = {
            "a": Ed25519PrivateKey.generate(),
            "b": Ed25519PrivateKey.generate(),
            "x25519": X25519PrivateKey.generate(),
        }
        texts = {"text": b"a pass phrase", "garbage": b"\xff"}
        for name, key in made.items():
            texts[name] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            texts[f"public {name}"] = public
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text)
        return {name: tmp_path / name for name in (*texts, "missing")}

    def test_a_signed_plan_is_accepted_with_the_key_of_who_signed_it(self, keys: dict[str, Path]) -> None:
        text = text_of(PLAN, Signer(keys["a"], "--sign-with").sign).encode()
        assert read(text, Verifier(keys["public a"], "--signed-by").accepts) == PLAN
        with pytest.raises(Refused, match="not signed with the expected key"):
            read(text, Verifier(keys["public b"], "--signed-by").accepts)

    def test_what_was_signed_is_the_whole_plan(self, keys: dict[str, Path]) -> None:
        signer, accepts = Signer(keys["a"], "--sign-with"), Verifier(keys["public a"], "--signed-by").accepts
        signature = re.search(r'"ed25519": "(.+)"', text_of(PLAN, signer.sign))
        assert signature
        other = PlanFile(1, PLAN.made, "1.0", PLAN.options, PLAN.users[:1])
        with pytest.raises(Refused, match="not signed with the expected key"):
            read(text_of(other, lambda _: signature[1]).encode(), accepts)
        for nonsense in ("AAAA", "not base64", "é"):
            with pytest.raises(Refused, match="not signed with the expected key"):
                read(text_of(PLAN, lambda _, one=nonsense: one).encode(), accepts)  # type: ignore[misc]

    def test_a_signature_that_is_expected_cannot_be_left_out(self, keys: dict[str, Path]) -> None:
        with pytest.raises(Refused, match="is not signed"):
            read(text_of(PLAN).encode(), Verifier(keys["public a"], "--signed-by").accepts)

    def test_a_signature_is_never_left_unchecked(self, keys: dict[str, Path]) -> None:
        with pytest.raises(Refused, match="no key is named"):
            read(text_of(PLAN, Signer(keys["a"], "--sign-with").sign).encode())

    @pytest.mark.parametrize("name", ["x25519", "text", "garbage", "missing"])
    def test_a_file_without_the_key_is_a_usage_error(self, keys: dict[str, Path], name: str) -> None:
        with pytest.raises(UsageError, match="--sign-with: "):
            Signer(keys[name], "--sign-with")
        with pytest.raises(UsageError, match="--signed-by: "):
            Verifier(keys[f"public {name}" if name == "x25519" else name], "--signed-by")

    def test_the_other_half_of_a_pair_is_not_the_key(self, keys: dict[str, Path]) -> None:
        with pytest.raises(UsageError, match="expected an Ed25519 private key"):
            Signer(keys["public a"], "--sign-with")
        with pytest.raises(UsageError, match="expected an Ed25519 public key"):
            Verifier(keys["a"], "--signed-by")
