"""``make model``: let Spin search the protocol, and the protocol without each of its rules; or without one, in full."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from promela import spin
from promela.rules import INVARIANTS, PROTOCOL, RULES


def main() -> int:
    """Run Spin; return 1 unless the protocol holds and each rule is needed, 2 if a tool is missing."""
    parser = argparse.ArgumentParser(prog="make model", description=__doc__)
    parser.add_argument("--without", choices=RULES, metavar="RULE", help=f"one of: {', '.join(RULES)}")
    asked = parser.parse_args()
    if spin.missing():
        print(f"Not installed: {spin.missing()}. On Debian: apt-get install spin gcc", file=sys.stderr)
        return 2
    if asked.without:
        return 0 if _without(asked.without) else 1
    held = [_protocol(name) for name in PROTOCOL]
    broken = [_without(name) for name in RULES]
    return 0 if all(held) and all(broken) else 1


def _search(options: tuple[str, ...], *, shortest: bool) -> spin.Verdict:
    with tempfile.TemporaryDirectory(prefix="twokey-model-") as folder:
        return spin.search(Path(folder), "rotation", options, shortest=shortest)


def _protocol(name: str) -> bool:
    began = time.monotonic()
    verdict = _search(PROTOCOL[name], shortest=False)
    said = "no invariant breaks" if verdict.complete else f"NOT PROVED {verdict.broken}\n{verdict.printed}"
    print(f"{name}: {verdict.states:,} states, {said}, {time.monotonic() - began:.0f} s.", flush=True)
    if verdict.steps:
        print(spin.table(verdict.steps))
    return verdict.complete


def _without(name: str) -> bool:
    rule = RULES[name]
    verdict = _search((f"WITHOUT_{name}", *rule.options), shortest=True)
    said = INVARIANTS.get(verdict.broken, "Nothing was found.")
    print(f"\nwithout {name}: {verdict.broken or 'nothing'} breaks. {said}\n\n{spin.table(verdict.steps)}", flush=True)
    return verdict.broken == rule.broken


if __name__ == "__main__":
    sys.exit(main())
