"""Write the package-lock.json of each folder of requirements that npm installs from: exact versions and hashes.

npm resolves what package.json names; ``npm ci`` checks the hashes. Prism after 5.14 needs Node.js 24, and
@octokit/request after 10.0.8 needs Node.js 22, which few have. The files name no address of any kind.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

FOLDERS = [Path(__file__).parent.parent / "requirements" / name for name in ("apis", "browser", "clients")]
LOCK = "package-lock.json"
LEFT_OUT = {"resolved", "funding", "deprecated", "license"}


def main() -> None:
    """Lock what each folder names."""
    for folder in FOLDERS:
        write_lock(folder)


def write_lock(target: Path) -> None:
    """Resolve in a folder of its own, so that nothing is installed here."""
    with tempfile.TemporaryDirectory(prefix="twokey-npm-") as name:
        folder = Path(name)
        for file in ("package.json", ".npmrc"):
            shutil.copy(target / file, folder)
        subprocess.run(["npm", "install", "--package-lock-only", "--loglevel=error"], cwd=folder, check=True)
        lock = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    packages = {path: kept(package) for path, package in lock["packages"].items()}
    text = json.dumps({"lockfileVersion": lock["lockfileVersion"], "requires": True, "packages": packages}, indent=2)
    (target / LOCK).write_text(text + "\n", encoding="utf-8")


def kept(package: dict[str, object]) -> dict[str, object]:
    """Return a package's entry without what can hold an address."""
    return {name: value for name, value in package.items() if name not in LEFT_OUT}


if __name__ == "__main__":
    main()
