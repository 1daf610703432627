"""The package of AWS Lambda for the Python that runs the tests, from the libraries that are installed beside them."""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
OWN = "python{}.{}".format(*sys.version_info)
"""The runtime of the Python that runs the tests."""


def script() -> Any:
    """Return the module that builds the package."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("lambda_package")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def package() -> tuple[bytes, str]:
    """Return a package and its runtime: ours, or the one of ``make lambda`` that ``TWOKEY_LAMBDA_PACKAGE`` names.

    Ours has what ``make lambda`` puts into one, but is not compiled, and hardly compressed: that takes seconds.
    """
    building = script()
    if built := os.environ.get("TWOKEY_LAMBDA_PACKAGE"):
        return Path(built).read_bytes(), f"python{building.PYTHON}"
    files = {name: file for name, file in _installed(building) if not building.LEFT_OUT.search(name)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in building.only_used_services(files, building.services()).items():
            archive.write(file, name)
    return stream.getvalue(), OWN


def _installed(building: Any) -> Iterator[tuple[str, Path]]:
    yield from ((file.relative_to(SOURCE).as_posix(), file) for file in SOURCE.glob("twokey/**/*") if file.is_file())
    locked = re.findall(r"^([\w-]+)==", building.LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    for library in locked:
        if library.replace("-", "_") not in building.OF_THE_TERMINAL:
            files = metadata.distribution(library).files or ()
            yield from ((file.as_posix(), Path(file.locate())) for file in files if ".." not in file.parts)
