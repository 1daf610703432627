"""``make model``: let Spin search the protocol, and the protocol without each of its rules; or without one, in full."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from promela import spin
from promela.rules import INVARIANTS, NAIVE, PROTOCOL, RULES


def main() -> int:
    """Run Spin; return 1 unless the protocol holds and each rule is needed, 2 if a tool is missing."""
    parser = argparse.ArgumentParser(prog="make model", description=__doc__)
    parser.add_argument("--without", choices=RULES, metavar="RULE", help=f"one of: {', '.join(RULES)}")
    asked = parser.parse_args()
    if spin.missing():
        print(f"Not installed: {spin.missing()}. On Debian: apt-get install spin gcc tcc", file=sys.stderr)
        return 2
    if asked.without:
        return 0 if _without(asked.without) else 1
    as_expected = [_protocol(name) for name in PROTOCOL]
    as_expected += [_without(name) for name in RULES]
    as_expected += [_naive(name) for name in NAIVE]
    return 0 if all(as_expected) else 1


def _search(model: str, options: tuple[str, ...], *, shortest: bool) -> spin.Verdict:
    with tempfile.TemporaryDirectory(prefix="twokey-model-") as folder:
        return spin.search(Path(folder), model, options, shortest=shortest)


def _protocol(name: str) -> bool:
    began = time.monotonic()
    verdict = _search(PROTOCOL[name].model, PROTOCOL[name].options, shortest=False)
    said = "no invariant breaks" if verdict.complete else f"NOT PROVED {verdict.broken}\n{verdict.printed}"
    print(f"{name}: {verdict.states:,} states, {said}, {time.monotonic() - began:.0f} s.", flush=True)
    if verdict.steps:
        print(spin.table(verdict.steps, PROTOCOL[name].model))
    return verdict.complete


def _without(name: str) -> bool:
    model = RULES[name].model
    verdict = _search(model, (f"WITHOUT_{name}", *RULES[name].options), shortest=True)
    return _counterexample(f"without {name}", verdict, RULES[name].broken, model)


def _naive(name: str) -> bool:
    verdict = _search("naive", NAIVE[name].options, shortest=True)
    return _counterexample(f"the naive rotation: {name}", verdict, NAIVE[name].broken)


def _counterexample(title: str, verdict: spin.Verdict, expected: str, model: str = "naive") -> bool:
    said = f"{verdict.broken} is broken. {INVARIANTS[verdict.broken]}" if verdict.broken else "Nothing was found."
    print(f"\n{title}\n\n{spin.table(verdict.steps, model)}\n\n{said}", flush=True)
    return verdict.broken == expected


if __name__ == "__main__":
    sys.exit(main())
