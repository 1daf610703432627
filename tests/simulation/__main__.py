"""``make prove``: enumerate every fault at every step; print what was found; or repeat one history by its id."""

from __future__ import annotations

import argparse
import sys

from simulation.prove import Proof, parse, prove, prove_pipelines, prove_revocations, table
from simulation.runners import race, race_revocations
from simulation.states import HASTE, LAGGING, LOCKED, THROTTLED, UNCONDITIONAL
from simulation.world import MORE_FAULTS


def main() -> int:
    """Run the proof; return 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--faults", type=int, default=3, help="most faults in a history")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--schedules", type=int, default=20_000, help="schedules of two and three runners")
    parser.add_argument("--repeat", metavar="ID", help="play one history again and print it as a table")
    arguments = parser.parse_args()
    if arguments.repeat:
        print(table(*parse(arguments.repeat)))
        return 0
    broken = _show(
        prove(arguments.faults, arguments.workers), f"with up to {arguments.faults} faults", arguments.workers
    )
    broken += _show(
        prove_pipelines(arguments.workers), "of 1, 4 and 20 pipelines with up to 2, 2 and 1 faults", arguments.workers
    )
    broken += _show(
        prove_revocations(arguments.workers, arguments.faults),
        f"of leaked keys with up to {arguments.faults} faults",
        arguments.workers,
    )
    for weather in (HASTE, UNCONDITIONAL, LOCKED, THROTTLED, LAGGING):
        proof = prove(arguments.faults - 1, arguments.workers, weather, MORE_FAULTS)
        broken += _show(proof, f"with up to {arguments.faults - 1} faults{weather}", arguments.workers)
    races = {
        "two and three runners": race(arguments.schedules, arguments.workers),
        "revocations beside a rotation": race_revocations(arguments.schedules, arguments.workers),
    }
    for what, raced in races.items():
        violations = len(raced.violations)
        print(f"{raced.histories:,} schedules of {what}: {violations} violations, {raced.seconds:.0f} s.")
        for found, violated in raced.violations[:5]:
            print(f"  {found}: {violated}")
        broken += violations
    return 1 if broken else 0


def _show(proof: Proof, what: str, workers: int) -> int:
    """Print what an enumeration found; return the number of violations."""
    print(
        f"{proof.histories:,} histories {what}: {len(proof.violations)} violations, "
        f"{proof.seconds:.0f} s on {workers} processes.",
        flush=True,
    )
    for found, broken in proof.violations[:5]:
        print(f"  {broken}\n    repeat it: make prove ARGS='--repeat \"{found}\"'")
    if proof.violations:
        print(table(*parse(proof.violations[0][0])))
    return len(proof.violations)


if __name__ == "__main__":
    sys.exit(main())
