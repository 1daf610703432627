"""Secrets that are recognised wherever they turn up: issued by the emulator, searched for in every form.

A secret may be shown as it is, encoded, escaped, or in part. ``leaks`` finds all of that for secrets that are known,
``suspicious`` finds what looks like a credential to the scanners that people run over their logs.
"""

from __future__ import annotations

import base64
import html
import json
import math
import random
import re
import string
from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twokey.emulator.identity import Sessions
from twokey.emulator.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

PART = 16
"""Characters of a secret, or of one of its forms, that count as the secret: 16 of 40 leave 144 bits to guess."""
BLOCK = PART // 2
_LETTERS = string.ascii_letters + string.digits + "/+"


class Canaries:
    """Every secret that the emulators of this process have issued, and those that are to come."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self._random = random.Random("canaries")
        self.next = self._make()

    def _make(self) -> str:
        """Return 40 random characters as AWS uses them, with those that encodings change among them."""
        letters = [*self._random.choices(_LETTERS, k=36), *"/+/+"]
        self._random.shuffle(letters)
        return "".join(letters)

    def take(self) -> str:
        """Return the next secret; it counts as issued from now on."""
        taken, self.next = self.next, self._make()
        self.secrets.add(taken)
        return taken

    def issue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every emulator that starts from now on issue canaries, and note the sessions that it grants."""
        add, issue = Keyring.add, Sessions.issue

        def add_canary(keyring: Keyring, account: str, user: Any, key: Any, *, at: float) -> Any:
            key.secret_access_key = self.take()
            return add(keyring, account, user, key, at=at)

        def issue_noted(sessions: Sessions, **about: Any) -> Any:
            session = issue(sessions, **about)
            self.secrets |= {session.secret_access_key, session.token}
            return session

        monkeypatch.setattr(Keyring, "add", add_canary)
        monkeypatch.setattr(Sessions, "issue", issue_noted)


def leaks(shown: str | bytes, secrets: Iterable[str]) -> list[str]:
    """Return the form and the place of everything in ``shown`` that gives a part of a secret away."""
    text = shown.decode("latin-1") if isinstance(shown, bytes) else shown
    known, blocks = _known(frozenset(secrets))
    found = []
    # Tables and wrapped lines put white space into the middle of a value.
    for seen in dict.fromkeys((text, "".join(text.split()))):
        # Whatever is as long as a part contains a whole block, so only what is around a known block is looked at.
        for block in range(0, len(seen) - BLOCK + 1, BLOCK):
            if seen[block : block + BLOCK] in blocks:
                grams = (seen[start : start + PART] for start in range(max(block - BLOCK, 0), block + 1))
                found += [f"{known[gram]}: {gram}" for gram in grams if gram in known]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=8)
def _known(secrets: frozenset[str]) -> tuple[dict[str, str], set[str]]:
    """Return the parts of the secrets' forms, with the name of the form, and the blocks within them."""
    parts = {part: name for secret in secrets for part, name in _parts(secret).items()}
    return parts, {part[start : start + BLOCK] for part in parts for start in range(PART - BLOCK + 1)}


@cache
def _parts(secret: str) -> dict[str, str]:
    return {
        text[start : start + PART]: name
        for name, text in reversed(forms(secret).items())
        for start in range(len(text) - PART + 1)
    }


def forms(secret: str) -> dict[str, str]:
    """Return every form in which a secret is looked for, by its name."""
    raw = secret.encode()
    percent = quote(secret, safe="")
    found = {
        "exact": secret,
        "percent": percent,
        "percent, lower case": re.sub("%..", lambda match: match[0].lower(), percent),
        "percent, twice": quote(percent, safe=""),
        "JSON": json.dumps(secret).strip('"').replace("/", "\\/"),
        "JSON in JSON": json.dumps(json.dumps(secret).replace("/", "\\/")).strip('"\\'),
        "\\u": "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in secret),
        "HTML": html.escape(secret).replace("/", "&#x2F;").replace("+", "&#x2B;"),
        "HTML, decimal": secret.replace("/", "&#47;").replace("+", "&#43;"),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "UTF-16": secret.encode("utf-16-le").decode("latin-1"),
        "characters": repr(list(secret)),
        "numbers": str(list(raw)),
    }
    for shift in range(3):
        found[f"base64, {shift} bytes in"] = _base64(raw, shift)
        found[f"base64 for URLs, {shift} bytes in"] = _base64(raw, shift).translate(str.maketrans("+/", "-_"))
    return found


def _base64(raw: bytes, shift: int) -> str:
    """Return the characters that stand for the secret alone when it begins ``shift`` bytes after a group of three."""
    whole = base64.b64encode(bytes(shift) + raw).decode()
    return whole[math.ceil(shift * 8 / 6) : (shift + len(raw)) * 8 // 6]


_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
_PATTERNS = {
    # gitleaks and git-secrets: a secret key near a word that says so
    "secret key by name": re.compile(
        r"(?i)(?:secret|sk|private)[\w.-]{0,20}[\s'\"\\]{0,4}(?:=>|:=|=|:|\|\|)[\s'\"\\]{0,4}"
        r"(?P<value>[A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])"
    ),
    # gitleaks: a value of high entropy behind a word such as token or password
    "value of a secret": re.compile(
        r"(?i)(?:access|auth|api|credential|creds|key|passw(?:or)?d|secret|token)[\w.-]{0,20}[\s'\"\\]{0,4}"
        r"(?:=>|:=|=|:)[\s'\"\\]{0,4}(?P<value>[\w.=/+%-]{20,150})"
    ),
    # trufflehog: forty characters of base64 that stand alone
    "forty characters": re.compile(r"(?<![A-Za-z0-9+/=_-])(?P<value>[A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=_-])"),
    # detect-secrets: quoted strings of high entropy, base64 and hex
    "quoted base64": re.compile(r"(['\"])(?P<value>[A-Za-z0-9+/_=-]{20,})\1"),
    "session token": re.compile(r"(?P<value>(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9/+=_%-]{20,})"),
    "private key": re.compile(r"(?P<value>-----BEGIN[A-Z ]* PRIVATE KEY-----)"),
    "signature": re.compile(r"(?i)signature=(?P<value>[0-9a-f]{64})"),
    "password in a URL": re.compile(r"//[^/\s:@]+:(?P<value>[^/\s:@]+)@"),
}
_LEAST_ENTROPY = {"value of a secret": 3.5, "forty characters": 4.2, "quoted base64": 4.5}


def suspicious(text: str) -> list[str]:
    """Return what looks like a credential to a scanner. Ids of access keys may be shown."""
    return [
        f"{name}: {match['value']}"
        for name, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
        if entropy(match["value"]) >= _LEAST_ENTROPY.get(name, 0.0) and not _KEY_ID.fullmatch(match["value"])
    ]


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
