"""Where Terraform finds the AWS provider without a network."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def mirror() -> Path | None:
    """Return the folder that holds the AWS provider, from where such mirrors usually are."""
    shared = [Path(folder, "terraform", "plugins") for folder in ("/usr/share", "/usr/local/share")]
    folders = [Path.home() / ".terraform.d" / "plugins", *shared, *Path("/opt").glob("*/")]
    return next((folder for folder in folders if any(folder.glob("*/hashicorp/aws/*"))), None)
