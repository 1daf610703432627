"""Write what a release consists of to dist: wheel, source, SBOM (CycloneDX 1.6), and SHA256SUMS of them.

The SBOM names what is deployed: the libraries of ``requirements/runtime.txt`` with their hashes. cyclonedx-py writes
it; the graph of dependencies and the licences, which a list of requirements does not have, come from the installed
packages. Packages of Lambda that lie in dist already are in SHA256SUMS too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "runtime.txt"
TOOLS = ROOT / ".venv-deploy" / "bin"
DATED = {"SOURCE_DATE_EPOCH": "1577836800"}
"""No file has the time of its build (reproducible-builds.org, "SOURCE_DATE_EPOCH")."""
EXTRAS = ("gcp", "github-app")
"""The extras that runtime.txt was locked with."""
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f"The SBOM is not valid: {error}" if error else 0)
"""


def main() -> None:
    """Build all of them."""
    dist = ROOT / "dist"
    version = metadata.version("twokey")
    for old in dist.glob("twokey-*"):
        if not old.name.startswith(f"twokey-{version}-lambda-"):
            old.unlink()
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(dist))
    (dist / f"twokey-{version}.cdx.json").write_text(sbom(), encoding="utf-8")
    names = sorted(file for file in dist.glob("twokey-*") if file.is_file())
    (dist / "SHA256SUMS").write_text(sums(names), encoding="utf-8")
    print((dist / "SHA256SUMS").read_text(encoding="utf-8"), end="")


def sums(files: list[Path]) -> str:
    """Return the lines that ``sha256sum --check`` reads."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)


def sbom() -> str:
    """Return the SBOM, which is compared with the schema of CycloneDX."""
    text = _run(
        *(str(TOOLS / "cyclonedx-py"), "requirements", str(LOCK), "--pyproject", str(ROOT / "pyproject.toml")),
        *("--output-reproducible", "--of", "JSON", "--sv", "1.6", "--no-validate"),
    )
    found = completed(json.loads(text))
    written = json.dumps(found, indent=2, sort_keys=True) + "\n"
    _run(str(TOOLS / "python"), "-c", _VALIDATE, given=written)
    return written


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """Add the version, the licences and the graph to an SBOM of requirements."""
    root = document["metadata"]["component"]
    root |= {"version": metadata.version("twokey"), "purl": f"pkg:pypi/twokey@{metadata.version('twokey')}"}
    known = {canonicalize_name(one["name"]): one for one in document["components"]}
    for one in known.values():
        one["bom-ref"] = one["purl"]
        del one["description"]  # the line of the file with all hashes
        license_of = metadata.metadata(one["name"]).get("License-Expression")
        if license_of:
            one["licenses"] = [{"expression": license_of}]
    graph = [{"ref": root["bom-ref"], "dependsOn": _needed("twokey", known, EXTRAS)}]
    graph += [{"ref": one["bom-ref"], "dependsOn": _needed(name, known)} for name, one in known.items()]
    return {**document, "dependencies": sorted(graph, key=lambda one: str(one["ref"]))}


def _needed(name: str, known: dict[str, Any], extras: tuple[str, ...] = ()) -> list[str]:
    """Return what a package needs, of the known components."""
    found = set()
    for text in metadata.requires(name) or ():
        one = Requirement(text)
        of_extra = one.marker is not None and "extra ==" in str(one.marker)
        wanted = not of_extra or any(re.search(rf'extra == "{extra}"', str(one.marker)) for extra in extras)
        if wanted and canonicalize_name(one.name) in known:
            found.add(known[canonicalize_name(one.name)]["bom-ref"])
    return sorted(found)


def _run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **DATED}, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
