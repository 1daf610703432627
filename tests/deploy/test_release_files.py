"""The files of a release: what an SBOM says, and that checksums can be checked."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from twokey import __version__

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".venv-deploy" / "bin" / "cyclonedx-py"


@pytest.fixture(scope="module")
def release() -> Any:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("release_files")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.skipif(not TOOL.exists(), reason="cyclonedx-py is not installed (make deploy-tools)")
def test_the_sbom_names_each_locked_library_with_its_hashes_and_who_needs_it(release: Any) -> None:
    document = json.loads(release.sbom())
    root = document["metadata"]["component"]
    assert (root["name"], root["version"]) == ("twokey", __version__)
    hashes = {
        one["purl"]: [found["content"] for reference in one["externalReferences"] for found in reference["hashes"]]
        for one in document["components"]
    }
    lock = release.LOCK.read_text(encoding="utf-8")
    assert len(hashes) == lock.count("==")
    assert sum(map(len, hashes.values())) == lock.count("--hash=sha256:")
    needs = {one["ref"]: one["dependsOn"] for one in document["dependencies"]}
    reached: set[str] = set()
    open_ends = [root["bom-ref"]]
    while open_ends:
        found = set(needs[open_ends.pop()]) - reached
        reached |= found
        open_ends += found
    assert reached == set(hashes), "no library is there without a reason"
    assert str(ROOT) not in json.dumps(document)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_checksums_can_be_checked(release: Any, tmp_path: Path) -> None:
    for name in ("twokey-1.whl", "twokey-1.tar.gz"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "SHA256SUMS").write_text(release.sums(sorted(tmp_path.glob("twokey-*"))), encoding="utf-8")
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "twokey-1.whl").write_text("changed", encoding="utf-8")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 1
