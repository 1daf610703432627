"""200 accounts with 2,000 users by the state machine, while 2 % of all calls fail and functions are killed.

moto's Step Functions run it, with the handler in one process, on the strict emulator: the figures are about what
becomes of the users, and about the requests and the CPU of one of them. They are no figures of AWS Lambda.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.children import MeasurementFailed
from benchmarks.figures import Figure, at_most
from twokey.emulator import Emulator

ACCOUNTS, USERS = 200, 10


def run(_runs: int) -> list[Figure]:
    """Run it once disturbed and once more for what did not end well; check every user."""
    try:
        from support import shortcut
        from support.engines import Engine, a_fleet, calm, check, disturb, url_of
        from support.step_functions import StepFunctions  # noqa: F401  its import says what is missing
    except ImportError as error:
        raise MeasurementFailed(f"{error}: make, then try again") from error

    # Without connections, a busy machine does not have to change between two threads for each request.
    shortcut.SHORTCUT.install()
    with Emulator() as aws, tempfile.TemporaryDirectory() as folder:
        os.environ.update(aws.environment())
        engine = Engine(aws, Path(folder), os.environ.__setitem__)
        before = a_fleet(engine, ACCOUNTS, USERS)
        disturb(engine, probability=0.02, killed=0.2, after="error_after")
        aws.clear_requests()
        wall, cpu = time.monotonic(), time.process_time()
        engine.machine.run("disturbed", within=7200)
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        requests, calls, died = aws.count("*"), len(engine.calls("rotate")), engine.machine.died
        calm(engine)
        problems = check(engine, before, "disturbed")
        engine.machine.run("calm", {"resume": url_of("disturbed")}, within=7200)
        check(engine, before, "disturbed", repaired=True)
        left = sum(outcome in ("failed", "refused") for outcome in engine.outcomes("calm").values())
    users = ACCOUNTS * USERS
    how = f"{users} users in {wall:.0f} s, {calls} invocations for {ACCOUNTS} chunks, {died} killed"
    return [
        Figure("users that failed while calls failed, each named", problems, how),
        Figure("users that failed after the resume", left, "none", at_most(0)),
        Figure("requests to AWS per user", requests / users, how),
        Figure("CPU per user with the emulator, ms", 1000 * cpu / users, how),
    ]
