"""Faults and delays, between the client and AWS and inside AWS, repeatable by seed."""

from __future__ import annotations

import fnmatch
import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.emulator.clock import Clock

EFFECTS = frozenset(
    {
        "lost_response",
        "reset",
        "error_before",
        "error_after",
        "throttle",
        "truncated",
        "html",
        "hold_before",
        "hold_after",
        "delay",
    }
)


@dataclass
class Rule:
    """A fault or delay that applies to some requests.

    `operation` is a pattern such as `iam:CreateAccessKey`, `iam:*` or `*`; `target` one for the named user or secret,
    `account` one for the account whose credentials sign the request.
    The rule applies from the `nth` matching request on, `times` times (None: without end);
    with `probability` it applies to each of those requests by chance.
    `status`, `code` and `message` belong to the error effects, `status` also to `html`;
    `seconds` is the length of `delay`.
    """

    operation: str
    nth: int = 1
    times: int | None = 1
    probability: float | None = None
    effect: str = "lost_response"
    status: int = 500
    code: str = "InternalFailure"
    message: str = "The request processing has failed because of an unknown error, exception or failure."
    seconds: float = 0.0
    target: str = "*"
    account: str = "*"
    hits: int = field(default=0, compare=False)
    seen: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown effect: the rule would never apply."""
        if self.effect not in EFFECTS:
            raise ValueError(f"unknown effect {self.effect!r}; expected one of {', '.join(sorted(EFFECTS))}")

    def matches(self, name: str, target: str | None, account: str | None, chance: Callable[[], float]) -> bool:
        """Count a matching request, and say whether the rule applies to it."""
        patterns = ((name, self.operation), (target or "", self.target), (account or "", self.account))
        if not all(fnmatch.fnmatchcase(value, pattern) for value, pattern in patterns):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.hits >= self.times):
            return False
        if self.probability is not None and chance() >= self.probability:
            return False
        self.hits += 1
        return True


@dataclass
class Bucket:
    """A token bucket: `rate` requests per second, `burst` at once."""

    rate: float
    burst: float
    tokens: float = field(default=-1.0, compare=False)
    filled: float = field(default=0.0, compare=False)

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        if self.tokens < 0:
            self.tokens, self.filled = self.burst, now
        self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Weather:
    """The faults and delays, which may change at any time; times are in seconds of the emulator's clock.

    `propagation`: a new or reactivated key does not authenticate yet.
    `region_lag`: additional propagation in single regions.
    `disabled_regions`: regions that the account has not enabled, or of another partition: no key authenticates there.
    `ACCOUNT/REGION` is a region that only this account has not enabled.
    `flicker`: after propagation, for the same time again, each use of a key fails with this probability.
    `deletion_lag`: a deleted or deactivated key still authenticates.
    `list_lag`: ListAccessKeys shows creations and deletions after this delay.
    `last_used_lag`: GetAccessKeyLastUsed does not show more recent uses.
    `report_delay`: a credential report is complete after this delay.
    `trail_delay`: CloudTrail's event history shows an event after this delay.
    `latency`: added to every request, in real seconds.
    """

    def __init__(self, clock: Clock, seed: int) -> None:
        """Start without faults or delays."""
        self._clock = clock
        self._seed = seed
        self._lock = threading.Lock()
        self._gate = threading.Condition()
        self._generation = 0
        self._held = 0
        self._reset()

    def _reset(self) -> None:
        self.propagation = 0.0
        self.region_lag: dict[str, float] = {}
        self.disabled_regions: set[str] = set()
        self.flicker = 0.0
        self.deletion_lag = 0.0
        self.list_lag = 0.0
        self.last_used_lag = 0.0
        self.report_delay = 0.0
        self.trail_delay = 0.0
        self.latency = 0.0
        self.rules: list[Rule] = []
        self._limits: dict[str, Bucket] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable weather, no secret

    @property
    def skew(self) -> float:
        """How many seconds AWS's clock is ahead of the real one (negative: behind)."""
        return self._clock.skew

    @skew.setter
    def skew(self, seconds: float) -> None:
        self._clock.skew = seconds

    def clear(self) -> None:
        """Remove all faults, delays and skew. Held requests continue; the time stays advanced."""
        with self._lock:
            self._reset()
        self._clock.skew = 0.0
        self.release()

    def add(self, rule: Rule) -> Rule:
        """Add a rule and return it: its `hits` can be read later."""
        with self._lock:
            self.rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Remove a rule, if it is there."""
        with self._lock:
            self.rules = [other for other in self.rules if other is not rule]

    def throttle(self, service: str, rate: float, burst: float | None = None) -> None:
        """Limit a service (or a pattern) to `rate` requests per second and account, `burst` at once."""
        with self._lock:
            self._limits[service] = Bucket(rate, rate if burst is None else burst)
            self._buckets.clear()

    @property
    def limits(self) -> dict[str, dict[str, float]]:
        """The limits that `throttle` set."""
        return {name: {"rate": limit.rate, "burst": limit.burst} for name, limit in self._limits.items()}

    def admits(self, account: str | None, service: str) -> bool:
        """Take a token of that account and service; False if there is none and the request is throttled."""
        with self._lock:
            limit = next((b for name, b in self._limits.items() if fnmatch.fnmatchcase(service, name)), None)
            if limit is None or account is None:
                return True
            bucket = self._buckets.setdefault((account, service), Bucket(limit.rate, limit.burst))
            return bucket.take(self._clock.seconds())

    def matching(self, name: str, target: str | None, account: str | None) -> list[Rule]:
        """The rules that apply to this request, in the order in which they were added."""
        with self._lock:
            return [rule for rule in self.rules if rule.matches(name, target, account, self._random.random)]

    def hold(self, disconnected: Callable[[], bool]) -> None:
        """Hold the calling request until `release`, or until its client has disconnected."""
        with self._gate:
            generation = self._generation
            self._held += 1
            self._gate.notify_all()
            try:
                while self._generation == generation and not disconnected():
                    self._gate.wait(0.02)
            finally:
                self._held -= 1
                self._gate.notify_all()

    def release(self) -> None:
        """Let every held request continue."""
        with self._gate:
            self._generation += 1
            self._gate.notify_all()

    def wait_until_held(self, timeout: float = 5.0, count: int = 1) -> None:
        """Return as soon as `count` requests are held. Raises TimeoutError after `timeout` real seconds."""
        deadline = time.monotonic() + timeout
        with self._gate:
            for _ in itertools.count():
                if self._held >= count:
                    return
                if not self._gate.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise TimeoutError(f"{self._held} of {count} requests are held after {timeout:g} s")

    def to_dict(self) -> dict[str, Any]:
        """All settings, as the control endpoint returns them."""
        return {
            "propagation": self.propagation,
            "region_lag": dict(self.region_lag),
            "disabled_regions": sorted(self.disabled_regions),
            "flicker": self.flicker,
            "deletion_lag": self.deletion_lag,
            "list_lag": self.list_lag,
            "last_used_lag": self.last_used_lag,
            "report_delay": self.report_delay,
            "trail_delay": self.trail_delay,
            "latency": self.latency,
            "skew": self.skew,
            "throttle": self.limits,
            "rules": [vars(rule) for rule in self.rules],
        }
