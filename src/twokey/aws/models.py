"""The models of AWS services, from which botocore makes its clients: loaded quickly, and once for the whole process.

botocore's own loader opens the directories of all 400 services to find one, and decodes JSON with a function in Python
for each object. Together, that takes as long as an AssumeRole.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader, instance_cache


class _Files(JSONFileLoader):
    """Reads files of JSON, which may be compressed."""

    def load_file(self, file_path: str) -> Any:
        """Return the content of a file, which is named without its ending; None if there is no such file."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            name = f"{file_path}{ending}"
            if Path(name).is_file():
                with opened(name, "rb") as stream:
                    return json.loads(stream.read())
        return None


class _Models(Loader):
    """Knows the services by the names of their directories."""

    FILE_LOADER_CLASS = _Files

    @instance_cache
    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002  the base class names it
        """Return the names of all services."""
        return sorted({one.name for path in map(Path, self.search_paths) if path.is_dir() for one in path.iterdir()})


@cache
def models(search_path: str | None) -> Loader:
    """Return the models of a search path (``AWS_DATA_PATH``), and of botocore itself; all sessions share them."""
    found = [os.path.expandvars(path) for path in search_path.split(os.pathsep)] if search_path else []
    return _Models([str(Path(path).expanduser()) for path in found])
