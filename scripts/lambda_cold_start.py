"""Measure the cold start of a Lambda package: what a fresh interpreter takes until the handler has listed users.

The package is unpacked, as Lambda does. The interpreter has nothing else on its path; AWS is the emulator, in this
process. What is printed is processor time, beside that of the interpreter alone: other programs change it least.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

from twokey.emulator import Emulator

LISTED = """
from types import SimpleNamespace
from twokey.serverless.handler import handle
context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)
found = handle({"do": "list", "bucket": "results", "execution": "cold", "input": {}}, context)
assert found["users"] == 3, found
"""
CONFIGURATION = """version: 1
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
"""
TIMES = 9


def main() -> None:
    """Measure the package that is named, with the interpreter that is named."""
    if len(sys.argv) != 3:
        sys.exit("usage: lambda_cold_start.py PACKAGE.zip python3.N (the package must be built for this machine)")
    package, python = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="twokey-cold-") as name, Emulator() as aws:
        folder = Path(name)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder / "task")
        for path in (folder / "task").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)  # as in Lambda: nothing is compiled here
        aws.client("s3").create_bucket(
            Bucket="results", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        for user in ("ci", "deploy", "site"):
            aws.make_user(user, keys=1)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "task"), **aws.environment()}
        environment["TWOKEY_CONFIG"] = CONFIGURATION

        def taken(code: str) -> float:
            command = [python, "-S", "-B", "-c", code]
            return statistics.median(_seconds(command, environment) for _ in range(TIMES))

        empty, whole = taken("pass"), taken(LISTED)
        imported = taken(
            "import twokey.serverless.handler, twokey.serverless.listing, twokey.aws.iam, botocore.session"
        )
    print(f"{Path(package).name}: {empty:.2f} s interpreter, {imported:.2f} s imports, {whole:.2f} s users listed")


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    process = os.posix_spawnp(command[0], command, environment)
    _, status, used = os.wait4(process, 0)
    if status:
        sys.exit("The package does not work: see the error above.")
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
