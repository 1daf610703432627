"""Observes one machine user in each of many accounts, and prints the cost: the process that ``accounts`` runs.

It reads ``{"mode": …, "user": …, "accounts": [{"account", "access_key_id", "secret_access_key"}]}`` from stdin. The
first account is observed before anything is measured, so that the clients exist and the modules are imported.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twokey.aws.clients import Clients, signing_as
from twokey.aws.iam import Iam
from twokey.aws.models import models
from twokey.core.model import MachineUser
from twokey.destinations import registry
from twokey.rotation.observe import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STORE = "secretsmanager:machine-users/{user}"


def main() -> None:
    """Measure what stdin requests, and print it as JSON."""
    order: dict[str, Any] = json.load(sys.stdin)
    look = _naive(order["user"]) if order["mode"] == "naive" else _shared(order["user"])
    first, *rest = order["accounts"]
    look(first)
    measured = _traced(look, rest) if order["mode"] == "traced" else _measured(look, rest)
    sys.stdout.write(json.dumps(measured))


def _measured(look: Callable[[dict[str, str]], None], accounts: Sequence[dict[str, str]]) -> dict[str, float]:
    before, cpu = _resident(), time.process_time()
    for account in accounts:
        look(account)
    return {
        "count": len(accounts),
        "cpu": time.process_time() - cpu,
        "rss_first": before,
        "rss_last": _resident(),
    }


def _traced(look: Callable[[dict[str, str]], None], accounts: Sequence[dict[str, str]]) -> dict[str, float]:
    """Return how much more memory Python uses afterwards. A few accounts come first, for what is cached once."""
    tracemalloc.start()
    for account in accounts[:10]:
        look(account)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for account in accounts:
        look(account)
    gc.collect()
    return {"traced": float(tracemalloc.get_traced_memory()[0] - before)}


def _shared(user: str) -> Callable[[dict[str, str]], None]:
    """The way of twokey: one set of clients; the signer is selected for each account, and its pace is learned."""
    clients = Clients("benchmark")
    edges: list[Iam] = []

    def look(account: dict[str, str]) -> None:
        edges.append(Iam(clients))
        with signing_as(account["access_key_id"], account["secret_access_key"]):
            _observe(user, account["account"], edges[-1], clients)

    return look


def _naive(user: str) -> Callable[[dict[str, str]], None]:
    """The naive way: a session and clients for each account, kept for the whole run.

    As with botocore alone, each session reads the models of the services itself; twokey's sessions share them.
    """
    kept: list[Clients] = []

    def look(account: dict[str, str]) -> None:
        os.environ["AWS_ACCESS_KEY_ID"] = account["access_key_id"]
        os.environ["AWS_SECRET_ACCESS_KEY"] = account["secret_access_key"]
        models.cache_clear()
        kept.append(Clients("benchmark"))
        _observe(user, account["account"], Iam(kept[-1]), kept[-1])

    return look


def _observe(name: str, account: str, iam: Iam, clients: Clients) -> None:
    user = MachineUser(name, "/admin/", "", account, f"arn:aws:iam::{account}:user/admin/{name}")
    store = registry.open_store(STORE.format(user=name), registry.Services(clients))
    if not observe(user, iam, store, ()).keys:
        raise RuntimeError(f"account {account} has no user {name}")


def _resident() -> int:
    """Return this process's resident memory in bytes (proc_pid_statm(5), second field, in pages)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
