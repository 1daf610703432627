"""What a rotation of a large fleet on AWS Lambda takes: the time, the price, and what limits it.

``python scripts/at_scale.py [NAME=VALUE ...]`` prints the table of docs/explanation/at-scale.md, for other assumptions
too, such as ``accounts=200 iam_rate=10``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Assumptions:
    """Prices are those of US East (N. Virginia) in USD; counts and CPU are measured on the emulator."""

    accounts: int = 1000
    users: int = 5000  # of each account, all of them due
    users_per_chunk: int = 200
    iam_rate: float = 20.0  # requests per second and account; AWS publishes no figure
    iam_requests: float = 5.0  # per user: ListAccessKeys twice, GetAccessKeyLastUsed, Delete, Create
    users_per_page: int = 1000  # of ListUsers, which each chunk sends
    user_seconds: float = 15.0  # from the beginning of a user to its end: mostly until a new key works everywhere
    concurrency: int = 64  # users of an account at a time
    cpu_seconds: float = 0.02  # per user, on a whole processor
    memory_gb: float = 0.5  # 1.769 GB have one processor
    start_seconds: float = 2.0  # of each invocation: cold start, configuration, role
    accounts_at_a_time: int = 1000  # Lambda's default limit of concurrent executions
    list_cpu_seconds: float = 0.0003  # per user: found, checked against all others
    list_kb: float = 3.0  # of memory per user while they are listed
    list_memory_gb: float = 10.0
    store_requests: float = 12.0  # to Secrets Manager per user
    lambda_gb_second: float = 0.0000133334  # arm64
    lambda_request: float = 0.0000002
    transition: float = 0.000025
    store_request: float = 0.000005  # Secrets Manager
    secret_month: float = 0.40
    s3_put: float = 0.000005
    s3_get: float = 0.0000004


def rows(given: Assumptions) -> list[tuple[str, str]]:
    """Return what a rotation of every user takes."""
    users = given.accounts * given.users
    chunks = given.accounts * -(-given.users // given.users_per_chunk)
    pages = -(-given.users // given.users_per_page) * chunks / users
    processors = min(1.0, given.memory_gb / 1.769)
    limits = {
        "IAM's request rate": (given.iam_requests + pages) / given.iam_rate,
        "users at a time": given.user_seconds / given.concurrency,
        "the processor": given.cpu_seconds / processors,
    }
    limit = max(limits, key=lambda name: limits[name])
    per_account = given.users * limits[limit] + given.start_seconds * chunks / given.accounts
    rounds = -(-given.accounts // given.accounts_at_a_time)
    listing = users * given.list_cpu_seconds
    memory = users * given.list_kb / 1e6
    executions = max(-(-listing // 840), -(-memory // given.list_memory_gb))
    seconds = per_account * given.accounts
    transitions = 4 * chunks + 4 * given.accounts + 4
    compute = seconds * given.memory_gb + listing * given.list_memory_gb
    prices = {
        "Lambda": compute * given.lambda_gb_second + chunks * given.lambda_request,
        "Step Functions": transitions * given.transition,
        "requests to Secrets Manager": users * given.store_requests * given.store_request,
        "S3": chunks * (given.s3_put + 4 * given.s3_get),
    }
    return [
        ("users", f"{users:,}"),
        ("child executions, one for each account", f"{given.accounts:,}"),
        ("chunks, at least one invocation each", f"{chunks:,}"),
        ("limit of an account", f"{limit}: {1 / limits[limit]:.1f} users a second"),
        ("time of one account", f"{per_account / 60:.0f} min"),
        ("time of all, after the listing", f"{rounds * per_account / 60:.0f} min"),
        ("listing, processor time and memory", f"{listing / 60:.0f} min, {memory:.0f} GB"),
        ("executions that the listing has to be divided into", f"{executions:.0f}"),
        ("GB-seconds of Lambda", f"{compute:,.0f}"),
        ("state transitions", f"{transitions:,}"),
        ("requests to Secrets Manager", f"{users * given.store_requests:,.0f}"),
        *((f"price: {name}", f"{price:,.2f} USD") for name, price in prices.items()),
        ("price of one rotation of all users", f"{sum(prices.values()):,.2f} USD"),
        ("for comparison: these secrets for a month", f"{users * given.secret_month:,.0f} USD"),
    ]


def table(given: Assumptions) -> str:
    """Return the rows as a table in Markdown."""
    lines = [f"| {name} | {value} |" for name, value in rows(given)]
    return "\n".join(["| what | figure |", "|---|---|", *lines])


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
    print(table(parsed(sys.argv[1:])))
