"""The state of one emulated AWS, shared by everything that handles requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.emulator.trail import Trail

if TYPE_CHECKING:
    from twokey.emulator.clock import Clock
    from twokey.emulator.identity import Sessions
    from twokey.emulator.keyring import Keyring
    from twokey.emulator.moto_side import Moto
    from twokey.emulator.weather import Bucket, Weather


@dataclass
class World:
    """Clock, keys, sessions, weather and moto; `lock` is held while a request reads or changes them.

    `page_size` is the maximum size of one page of a list, whatever the request asks for;
    `key_quota` is the number of access keys that CreateAccessKey allows for each user;
    `issuer_keys` has the URL of the keys (JWKS) of OIDC issuers that cannot be asked for it.
    """

    clock: Clock
    weather: Weather
    keyring: Keyring
    sessions: Sessions
    moto: Moto
    page_size: int = 1000
    key_quota: int = 2
    reports: dict[str, tuple[float, str]] = field(default_factory=dict)
    """The credential report of each account: when it was begun, and its text."""
    issuer_keys: dict[str, str] = field(default_factory=dict)
    trail: Trail = field(default_factory=Trail)
    """What CloudTrail recorded."""
    lookups: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    """The limit of LookupEvents, for each account and region."""
    lock: threading.RLock = field(default_factory=threading.RLock)
