"""What `twokey exec` and `twokey credential-process` add to a job, against the one call that they cannot do without.

The base is a script that does the least: it starts the interpreter, imports botocore, and calls AssumeRole once with a
key from its environment. A user's script would import boto3, which is botocore and more, so it would take longer. The
base is botocore as it is installed; nothing in it is slowed down. twokey can be faster than it, although it imports a
command line and reads a store besides, because it finds the model of a service by a shorter way and looks for garbage
rarely. Compare the ratios of CPU time on a machine that does other work meanwhile.

The AWS CLI's `configure export-credentials` prints a key, too; Debian's version 2 of it cannot be pointed at an
emulator, so it is compared without a role.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.children import Cost, MeasurementFailed, alternate, cpus, measure, medians, script, walls
from benchmarks.cloud import Cloud
from benchmarks.figures import Figure, at_most, ratio_of_medians
from twokey.aws.isolated import make_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BARE = """
import sys, botocore.session
client = botocore.session.Session().create_client("sts")
print(client.assume_role(RoleArn=sys.argv[1], RoleSessionName="bare")["Credentials"]["AccessKeyId"])
"""
TIMES = 5
KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def run(runs: int) -> list[Figure]:
    """Measure all three, alternating."""
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        environment = cloud.environment
        arn = _role(environment)
        store = _store(Path(folder), environment)
        job = {name: value for name, value in environment.items() if name not in KEY}
        bare = partial(measure, [sys.executable, "-c", BARE, arn], environment)
        credentials = ["--store", store, "--role", arn]
        executed = partial(measure, [script("twokey"), "exec", *credentials, "--", "true"], job)
        processed = partial(measure, [script("twokey"), "credential-process", *credentials], job)
        key = partial(measure, [script("twokey"), "credential-process", "--store", store], job)
        exported = _exported(Path(folder), environment)
        alternate(1, bare, executed, processed)
        bases, execs, processes = alternate(runs * TIMES, bare, executed, processed)
        figures = [*_compared("twokey exec, a role", execs, bases), *_compared("credential-process", processes, bases)]
        return [*figures, *_against_cli(key, exported, runs)]


def _compared(name: str, ours: Sequence[Cost], bases: Sequence[Cost]) -> list[Figure]:
    against = f"a bare AssumeRole: {medians(bases)}"
    return [
        Figure(f"{name}, wall", ratio_of_medians(walls(ours), walls(bases)), against, at_most(1.2)),
        Figure(f"{name}, CPU", ratio_of_medians(cpus(ours), cpus(bases)), against, at_most(1.2)),
    ]


def _against_cli(key: partial[Cost], exported: partial[Cost] | None, runs: int) -> list[Figure]:
    name = "credential-process, the key itself, wall"
    if exported is None:
        return [Figure(name, None, "the AWS CLI v2 is not installed")]
    alternate(1, key, exported)
    ours, theirs = alternate(runs * TIMES, key, exported)
    against = f"aws configure export-credentials: {medians(theirs)}"
    return [Figure(name, ratio_of_medians(walls(ours), walls(theirs)), against, at_most(0.5))]


def _role(environment: Mapping[str, str]) -> str:
    iam = make_client(
        "iam",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region=environment["AWS_REGION"],
        key_id=environment["AWS_ACCESS_KEY_ID"],
        secret=environment["AWS_SECRET_ACCESS_KEY"],
    )
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return str(iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=document)["Role"]["Arn"])


def _store(folder: Path, environment: Mapping[str, str]) -> str:
    """Write the key to a file: what another store costs depends on its service."""
    file = folder / "ci.json"
    pair = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY"}
    file.write_text(json.dumps({name: environment[variable] for name, variable in pair.items()}))
    file.chmod(0o600)
    return f"file:{file}"


def _exported(folder: Path, environment: Mapping[str, str]) -> partial[Cost] | None:
    """Return the AWS CLI's command, if one is installed that has it: version 1 does not."""
    file = folder / "credentials"
    file.write_text(
        "[ci]\n" + "".join(f"{name.lower()} = {environment[name]}\n" for name in KEY),
    )
    variables = {name: value for name, value in environment.items() if name not in KEY}
    variables |= {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ci"}
    for cli in filter(os.path.exists, (shutil.which("aws") or "", "/usr/bin/aws", "/usr/local/bin/aws")):
        words = [cli, "configure", "export-credentials", "--format", "process"]
        try:
            measure(words, variables)
        except MeasurementFailed:
            continue
        return partial(measure, words, variables)
    return None
