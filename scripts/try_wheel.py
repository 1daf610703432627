"""Builds the wheel, installs it into an empty environment, and runs its commands there, as a user would.

Needs the package index that pip is set up for: the runtime dependencies come from there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
EMPTY_AUDIT = """{"version": 1, "account": "123456789012", "generated": "2026-11-29T08:30:00Z",
"report_generated": null, "complete": true, "users": [], "keys": [], "findings": [], "summary": {}, "warnings": []}"""


def run(*command: str | Path) -> str:
    """Run a command and return what it printed on stdout; end with its error if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, run."""
    with tempfile.TemporaryDirectory(prefix="twokey-wheel-") as folder:
        home = Path(folder)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home / "dist")
        (wheel,) = (home / "dist").glob("*.whl")
        venv.create(home / "env", with_pip=True)
        tools = home / "env" / "bin"
        run(tools / "pip", "install", "--quiet", wheel)
        assert "rotate" in run(tools / "twokey", "--help")
        run(tools / "iam-credential-rotation", "--help")
        run(
            tools / "python",
            "-c",
            "import twokey.rotation.rotate, twokey.aws.iam, twokey.config, twokey.destinations.registry",
        )
        refused = subprocess.run([str(tools / "twokey"), "demo"], capture_output=True, text=True, check=False)
        assert "with the extra `emulator`" in refused.stderr, refused.stderr
        run(tools / "pip", "install", "--quiet", f"{wheel}[emulator]")
        assert "Summary" in run(tools / "twokey", "demo")
        (home / "audit.json").write_text(EMPTY_AUDIT, encoding="utf-8")
        assert "</html>" in run(tools / "twokey", "report", home / "audit.json")
        print(f"{wheel.name}: installs, says --help, names its extra, and plays the demo with it.")


if __name__ == "__main__":
    main()
