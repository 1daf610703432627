"""What a rotation of a large fleet on AWS Lambda takes: the time, the price, and what limits it.

``python scripts/at_scale.py [NAME=VALUE ...]`` prints the tables of docs/explanation/at-scale.md, for other assumptions
too, such as ``accounts=200 iam_rate=10``: what arithmetic says, and what a simulation of the requests says.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.at_scale_simulation import simulate
else:
    sys.path.insert(0, str(Path(__file__).parent))
    from at_scale_simulation import simulate

SIZES = (200, 500, 1000, 2500)


@dataclass(frozen=True)
class Assumptions:
    """Prices are those of US East (N. Virginia) in USD; counts and CPU are measured on the emulator."""

    accounts: int = 1000
    users: int = 5000  # of each account, all of them due
    users_per_chunk: int = 1000
    iam_rate: float = 20.0  # requests per second and account; AWS publishes no figure
    iam_requests: float = 5.0  # per user: ListAccessKeys twice, GetAccessKeyLastUsed, Delete, Create
    users_per_page: int = 1000  # of ListUsers, which each chunk sends
    user_seconds: float = 15.0  # from the beginning of a user to its end: mostly until a new key works everywhere
    concurrency: int = 64  # users of an account at a time
    cpu_seconds: float = 0.03  # per user, on a whole processor; the benchmark `lambda-chunk` measures it
    memory_gb: float = 1.769  # of the function: one processor; the default of the Terraform module
    start_seconds: float = 2.0  # of an invocation: cold start, configuration, role
    accounts_at_a_time: int = 1000  # Lambda's default limit of concurrent executions
    list_cpu_seconds: float = 0.0003  # per user: found, checked against all others
    list_kb: float = 3.0  # of memory per user while they are listed
    store_requests: float = 12.0  # to Secrets Manager per user
    lambda_gb_second: float = 0.0000133334  # arm64
    lambda_request: float = 0.0000002
    transition: float = 0.000025
    store_request: float = 0.000005  # Secrets Manager
    secret_month: float = 0.40
    s3_put: float = 0.000005
    s3_get: float = 0.0000004
    # For the simulation only. Seconds; those of AWS are assumptions.
    warm_seconds: float = 1.0  # of an invocation in an environment that is used again
    between_seconds: float = 0.1  # from one invocation to the next
    iam_latency: float = 0.1  # median of a request
    store_latency: float = 0.03  # median of a request to the store or to STS
    faults: float = 0.02  # of all requests
    works_from: float = 3.0  # until a created key works, at least
    works_to: float = 15.0  # and at most
    verify_interval: float = 0.5
    deadline: float = 900.0  # of an invocation
    last_begin: float = 240.0  # before it: no user is begun any more


Row = tuple[str, str, str]
"""The name of a figure, what is computed, and what is simulated."""


@dataclass(frozen=True)
class Taken:
    """What a rotation of all users takes on Lambda, besides the listing."""

    account: str
    everything: float
    invocations: int
    billed: float


def rows(given: Assumptions) -> list[Row]:
    """Return what a rotation of every user takes."""
    users = given.accounts * given.users
    limit, each = _limit(given)
    computed, found = _computed(given, each), simulate(given)
    simulated = Taken(
        f"{found.account_p50 / 60:.1f} min; 99 % within {found.account_p99 / 60:.1f} min",
        found.everything,
        found.invocations,
        found.billed,
    )
    listing, memory = users * given.list_cpu_seconds, users * given.list_kb / 1e6
    executions = max(-(-listing // 840), -(-memory // given.memory_gb))
    return [
        _same("users", f"{users:,}"),
        _same("child executions, one for each account", f"{given.accounts:,}"),
        _same("limit of an account", f"{limit}: {1 / each:.1f} users a second"),
        ("invocations for chunks", f"{computed.invocations:,}", f"{simulated.invocations:,}"),
        ("time of one account", computed.account, simulated.account),
        ("time of all, after the listing", f"{computed.everything / 60:.0f} min", f"{found.everything / 60:.0f} min"),
        ("users that failed, for the next execution", "none", f"{found.failed / users:.1%}"),
        ("requests to IAM for each user", f"{given.iam_requests + _pages(given):.2f}", f"{found.iam_requests:.2f}"),
        _same("listing, processor time and memory", f"{listing / 60:.0f} min, {memory:.0f} GB"),
        _same("executions that the listing has to be divided into", f"{executions:.0f}"),
        *_prices(given, computed, simulated),
        _same("requests to Secrets Manager", f"{users * given.store_requests:,.0f}"),
        _same("for comparison: these secrets for a month", f"{users * given.secret_month:,.0f} USD"),
    ]


def _same(name: str, value: str) -> Row:
    return name, value, "the same"


def _chunks(given: Assumptions) -> int:
    return given.accounts * -(-given.users // given.users_per_chunk)


def _pages(given: Assumptions) -> float:
    """Return how many requests of ListUsers there are for each user: every chunk lists its account."""
    return -(-given.users // given.users_per_page) * _chunks(given) / given.accounts / given.users


def _limit(given: Assumptions) -> tuple[str, float]:
    """Return what limits an account, and the seconds that it takes for each user."""
    processors = min(1.0, given.memory_gb / 1.769)
    limits = {
        "IAM's request rate": (given.iam_requests + _pages(given)) / given.iam_rate,
        "users at a time": given.user_seconds / given.concurrency,
        "the processor": given.cpu_seconds / processors,
    }
    limit = max(limits, key=lambda name: limits[name])
    return limit, limits[limit]


def _computed(given: Assumptions, each: float) -> Taken:
    seconds = given.users * each + given.start_seconds * _chunks(given) / given.accounts
    rounds = -(-given.accounts // given.accounts_at_a_time)
    return Taken(f"{seconds / 60:.1f} min", rounds * seconds, _chunks(given), seconds * given.accounts)


def _prices(given: Assumptions, *taken: Taken) -> list[Row]:
    users = given.accounts * given.users
    found = []
    for one in taken:
        compute = (one.billed + users * given.list_cpu_seconds) * given.memory_gb
        transitions = 4 * one.invocations + 4 * given.accounts + 4
        prices = {
            "price: Lambda": compute * given.lambda_gb_second + one.invocations * given.lambda_request,
            "price: Step Functions": transitions * given.transition,
            "price: requests to Secrets Manager": users * given.store_requests * given.store_request,
            "price: S3": one.invocations * (given.s3_put + 4 * given.s3_get),
        }
        counts = {"GB-seconds of Lambda": f"{compute:,.0f}", "state transitions": f"{transitions:,}"}
        total = {"price of one rotation of all users": sum(prices.values())}
        found.append(counts | {name: f"{price:,.2f} USD" for name, price in (prices | total).items()})
    computed, simulated = found
    return [(name, computed[name], simulated[name]) for name in computed]


def table(given: Assumptions) -> str:
    """Return the rows as a table in Markdown."""
    lines = [f"| {name} | {computed} | {simulated} |" for name, computed, simulated in rows(given)]
    return "\n".join(["| what | computed | simulated |", "|---|---|---|", *lines])


def sizes(given: Assumptions) -> str:
    """Return what chunks of other sizes take, by simulation, as a table in Markdown."""
    lines = ["| users of a chunk | invocations | time of one account | GB-seconds of Lambda |", "|---|---|---|---|"]
    for size in SIZES:
        found = simulate(replace(given, users_per_chunk=size))
        seconds = f"{found.billed * given.memory_gb:,.0f}"
        lines.append(f"| {size:,} | {found.invocations:,} | {found.account_p50 / 60:.1f} min | {seconds} |")
    return "\n".join(lines)


def parsed(arguments: list[str]) -> Assumptions:
    """Return the assumptions with the values of the arguments."""
    kinds = {field.name: type(getattr(Assumptions(), field.name)) for field in fields(Assumptions)}
    given: dict[str, float] = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in kinds:
            raise SystemExit(f"{name}: expected one of {', '.join(kinds)}")
        given[name] = kinds[name](value)
    return replace(Assumptions(), **given)  # type: ignore[arg-type]


if __name__ == "__main__":
    chosen = parsed(sys.argv[1:])
    print(f"{table(chosen)}\n\n{sizes(chosen)}")
