"""Build the package of AWS Lambda: ``twokey-VERSION-lambda-ARCHITECTURE.zip``, the same bytes at each build.

The libraries are the wheels that ``requirements/runtime.txt`` names with their hashes. Of botocore's descriptions of
400 services, only those that twokey calls are taken: they are most of its size. Each module is compiled, because a
function cannot write what Python compiles, and would compile everything again at each cold start.
Source: "Working with .zip file archives for Python Lambda functions" (AWS Lambda Developer Guide).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements" / "runtime.txt"
LIMIT = 20_000_000
PYTHON = "3.13"
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""The architectures as Lambda and as wheels name them."""
GLIBC = range(17, 35)
"""Amazon Linux 2023, on which the runtimes from Python 3.12 on run, has glibc 2.34."""
LEFT_OUT = re.compile(
    r"(?:^|/)(?:tests?|__pycache__|include)/|\.(?:pyi|h|c|pyx|pxd|typed)$|\.dist-info/RECORD$|\.data/(?:scripts|headers)/"
    r"|^bin/|^twokey/(?:cli|drop_in|emulator|testing)/"
)
"""What no function reads. Licences and metadata stay."""
OF_THE_TERMINAL = ("click", "markdown_it_py", "mdurl", "pygments", "rich")
"""Libraries that only the command line imports."""
_CALLS = re.compile(r"^(?:Sender|client|create_client)$")
_MAY_CALL = re.compile(rb"\b(?:Sender|client|create_client)\b")


class BuildError(Exception):
    """What keeps the package from being built."""


def main() -> None:
    """Build what the arguments name; with ``--check``, twice."""
    parser = argparse.ArgumentParser(prog="make lambda ARGS=…", description=__doc__)
    parser.add_argument("--arch", choices=MACHINES, action="append", help="default: both")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER", help="default: dist")
    parser.add_argument("--python", default=PYTHON, metavar="3.N", help=f"the runtime; default: {PYTHON}")
    parser.add_argument("--check", action="store_true", help="build each twice, and compare")
    chosen = parser.parse_args()
    try:
        for arch in chosen.arch or MACHINES:
            print(_built(arch, chosen.python, chosen.out, check=chosen.check))
    except BuildError as error:
        sys.exit(str(error))


def _built(arch: str, python: str, folder: Path, *, check: bool) -> str:
    content = build(arch, python)
    if check and build(arch, python) != content:
        raise BuildError(f"Two builds for {arch} differ. Nothing was written.")
    if len(content) > LIMIT:
        raise BuildError(f"The package for {arch} has {len(content)} bytes, more than {LIMIT}. Nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"twokey-{_version()}-lambda-{arch}.zip"
    file.write_bytes(content)
    same = ", the same twice" if check else ""
    return f"{hashlib.sha256(content).hexdigest()}  {file.name}  ({len(content) / 1e6:.1f} MB, Python {python}{same})"


def build(arch: str, python: str) -> bytes:
    """Return the package for an architecture and a version of Python."""
    with tempfile.TemporaryDirectory(prefix="twokey-lambda-") as name:
        folder = Path(name)
        wheels = [own_wheel(folder / "own"), *download(folder / "wheels", arch, python)]
        files: dict[str, bytes] = {}
        for wheel in sorted(wheels):
            if not wheel.name.lower().startswith(tuple(f"{name}-" for name in OF_THE_TERMINAL)):
                files |= content_of(wheel)
        files = only_used_services(files, services())
        return packed(files | compiled(files, python, folder / "compiled"))


def own_wheel(folder: Path) -> Path:
    """Build twokey's own wheel."""
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def download(folder: Path, arch: str, python: str) -> list[Path]:
    """Download the locked wheels for an architecture; pip compares their hashes."""
    machine = MACHINES[arch]
    platforms = [f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC))]
    _run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"),
        *(f"--platform={one}" for one in platforms),
        *("--implementation=cp", f"--python-version={python}", f"--dest={folder}", f"--requirement={LOCK}"),
    )
    return list(folder.glob("*.whl"))


def content_of(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel as they are installed, without what no function reads."""
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith("/") and not LEFT_OUT.search(name):
                found[re.sub(r"^[^/]+\.data/(?:purelib|platlib)/", "", name)] = archive.read(name)
    return found


def services(source: Path = ROOT / "src" / "twokey") -> frozenset[str]:
    """Return the AWS services that twokey calls, by botocore's names, as its code names them.

    A service whose name is computed cannot be found. Functions of ``aws`` that are given one may pass it on.
    """
    found: set[str] = set()
    for file in sorted(source.rglob("*.py")):
        where = file.relative_to(source)
        if where.parts[0] in ("emulator", "testing") or where.as_posix() in ("aws/sending.py", "aws/isolated.py"):
            continue
        text = file.read_bytes()
        if not _MAY_CALL.search(text):  # to parse every file takes seconds
            continue
        calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        for call in calls:
            found |= _named_service(call, where)
    return frozenset(found)


def _named_service(call: ast.Call, where: Path) -> set[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if not _CALLS.match(name):
        return set()
    service = call.args[1 if name == "Sender" else 0] if call.args else None
    if where.parts[0] == "aws" and service is not None and ast.unparse(service) in ("service", "self._service"):
        return set()
    if not isinstance(service, ast.Constant) or not isinstance(service.value, str):
        raise BuildError(
            f"{where}:{call.lineno}: the name of the AWS service is not a plain text, so nothing knows "
            "which description of botocore it needs. Write it out there."
        )
    return {service.value}


def only_used_services(files: Mapping[str, bytes], used: Iterable[str]) -> dict[str, bytes]:
    """Leave out botocore's descriptions of other services; raises ``BuildError`` where it lacks one that is used."""
    data = "botocore/data/"
    kept = tuple(f"{data}{name}/" for name in used)
    for folder in kept:
        if not any(name.startswith(folder) for name in files):
            raise BuildError(f"botocore describes no service {folder.removeprefix(data)[:-1]!r}.")
    return {
        name: content
        for name, content in files.items()
        if not name.startswith(data) or name.count("/") == 2 or name.startswith(kept)
    }


def compiled(files: Mapping[str, bytes], python: str, folder: Path) -> dict[str, bytes]:
    """Return what Python compiles the modules to: by hash, since no time of a file means anything, and unchecked."""
    program = shutil.which(f"python{python}")
    if program is None:
        raise BuildError(
            f"python{python} is needed to compile for that runtime, and is not on the PATH. Install it, or choose "
            "another runtime, such as: make lambda ARGS='--python 3.12'"
        )
    for name, content in files.items():
        if name.endswith(".py"):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    _run(
        *(program, "-P", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", "/var/task", str(folder)),
    )
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.pyc")}


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of the files, which depends on nothing but them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return stream.getvalue()


def _run(*command: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315532800"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _version() -> str:
    text = (ROOT / "src" / "twokey" / "__init__.py").read_text(encoding="utf-8")
    return re.findall(r'__version__ = "(.+)"', text)[0]


if __name__ == "__main__":
    main()
