"""`twokey watch --scan` on 100 MB of source files against detect-secrets, and on their Git history against Git alone.

detect-secrets runs once, for it takes minutes: its one plugin for keys of AWS, without verification, on as many cores
as there are. twokey also asks the emulated account whose each key is. Both must find the planted keys in the same
files, or nothing is measured. The files are those of Python's own library, repeated, each with a line of its own, so
that Git stores each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.children import (
    Cost,
    MeasurementFailed,
    alternate,
    clean_environment,
    cpus,
    measure,
    medians,
    memories,
    script,
    walls,
)
from benchmarks.cloud import Cloud
from benchmarks.environments import Environment
from benchmarks.figures import Figure, at_most, ratio_of_medians

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIZE = 100_000_000
PLANTED = 10
DETECT_SECRETS = Environment("detect-secrets")
PLUGIN = "AWSKeyDetector"
OBJECTS = ("cat-file", "--batch-all-objects", "--batch", "--buffer", "--unordered")


def run(runs: int) -> list[Figure]:
    """Measure both. A tool that cannot be installed or run becomes a line of the table."""
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "files")
        planted = _fill(files, cloud.make_users([f"machine-{number:02d}" for number in range(PLANTED)]))
        figures = _against_detect_secrets(runs, files, planted, cloud.environment)
        repository = _repository(Path(folder, "repository.git"), files)
        return [*figures, *_against_git(runs, repository, cloud.environment)]


def _fill(folder: Path, pairs: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Write the files, some of them with a key; return the names of those."""
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    texts = [source.read_bytes() for source in sources]
    written = number = 0
    while written < SIZE:
        text = b"# %d\n" % number + texts[number % len(texts)]
        file = folder / f"{number // 200:03d}" / f"{number:05d}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        written += len(text)
        number += 1
    names = set()
    for index, pair in enumerate(pairs.values()):
        file = folder / f"{index:03d}" / f"{index * 200:05d}.py"
        text = file.read_bytes()
        secret = f'\nKEY = "{pair["AccessKeyId"]}"\nSECRET = "{pair["SecretAccessKey"]}"\n'
        file.write_bytes(text + secret.encode() + text)
        names.add(file.name)
    return names


def _against_detect_secrets(runs: int, files: Path, planted: set[str], environment: Mapping[str, str]) -> list[Figure]:
    name = f"watch --scan of {SIZE // 1_000_000} MB"

    def ours() -> Cost:
        cost = measure([script("twokey"), "watch", "--scan", str(files), "--json"], environment)
        _same(
            "twokey",
            {Path(at["path"]).name for one in json.loads(cost.output)["findings"] for at in one["locations"]},
            planted,
        )
        return cost

    def theirs() -> Cost:
        program = DETECT_SECRETS.script("detect-secrets")
        plugins = measure([program, "scan", "--list-all-plugins"]).output.split()
        others = [word for plugin in plugins if plugin != PLUGIN for word in ("--disable-plugin", plugin)]
        cores = str(os.cpu_count() or 1)
        command = [program, "--cores", cores, "scan", "--all-files", "--no-verify", *others, str(files)]
        # It finds nothing outside its working directory.
        cost = measure(command, cwd=files)
        _same("detect-secrets", {Path(file).name for file in json.loads(cost.output)["results"]}, planted)
        return cost

    try:
        own, other = [ours() for _ in range(runs)], [theirs()]
    except MeasurementFailed as error:
        return [Figure(f"{name}, wall", None, f"detect-secrets: {error}", at_most(1))]
    against = f"detect-secrets ({medians(other)}): {medians(own)}"
    memory = f"detect-secrets ({max(memories(other)) / 1e6:.0f} MB): {max(memories(own)) / 1e6:.0f} MB"
    return [
        Figure(f"{name}, wall", ratio_of_medians(walls(own), walls(other)), against, at_most(1)),
        Figure("the same, CPU", ratio_of_medians(cpus(own), cpus(other)), against, at_most(1)),
        Figure("the same, memory", ratio_of_medians(memories(own), memories(other)), memory),
    ]


def _against_git(runs: int, repository: Path, environment: Mapping[str, str]) -> list[Figure]:
    def ours() -> Cost:
        cost = measure([script("twokey"), "watch", "--scan", str(repository), "--json"], environment)
        if len(json.loads(cost.output)["findings"]) != PLANTED:
            raise MeasurementFailed("twokey did not find the planted keys in the history.")
        return cost

    def theirs() -> Cost:
        command = f"git -C {repository} {' '.join(OBJECTS)} > /dev/null"
        return measure(["sh", "-c", command], clean_environment())

    own, other = alternate(runs, ours, theirs)
    against = f"git cat-file, which prints it all ({medians(other)}): {medians(own)}"
    ratio = ratio_of_medians(walls(own), walls(other))
    return [Figure("watch --scan of its history, wall", ratio, against)]


def _repository(repository: Path, files: Path) -> Path:
    """Commit the files, and return the repository, whose objects are in one pack."""
    git = ["git", f"--git-dir={repository}", f"--work-tree={files}"]
    identity = ["-c", "user.name=B", "-c", "user.email=b@example.com"]
    steps: list[Sequence[str]] = [
        ["git", "init", "--quiet", "--bare", str(repository)],
        [*git, "add", "--all"],
        [*git, *identity, "commit", "--quiet", "--message", "Everything"],
        [*git, "gc", "--quiet"],
    ]
    for step in steps:
        try:
            subprocess.run(step, check=True, capture_output=True, env=clean_environment())
        except (OSError, subprocess.CalledProcessError) as error:
            raise MeasurementFailed(f"Git could not make the repository: {error}") from None
    return repository


def _same(name: str, found: set[str], planted: set[str]) -> None:
    """Raise ``MeasurementFailed`` unless a program found the planted keys."""
    if found != planted:
        raise MeasurementFailed(f"{name} found keys in {len(found)} files; {len(planted)} have one.")
