"""Where Terraform finds the AWS provider without a network, and one process of it for several commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ADDRESS = re.compile(r"TF_REATTACH_PROVIDERS='(.*)'")
_PROXY = Path(__file__).with_name("terraform_proxy.cjs")
_MODULES = Path(__file__).parents[2] / "deploy" / "terraform"


@cache
def mirror() -> Path | None:
    """Return the folder that holds the AWS provider, from where such mirrors usually are."""
    shared = [Path(folder, "terraform", "plugins") for folder in ("/usr/share", "/usr/local/share")]
    folders = [Path.home() / ".terraform.d" / "plugins", *shared, *Path("/opt").glob("*/")]
    return next((folder for folder in folders if any(folder.glob("*/hashicorp/aws/*"))), None)


@contextmanager
def attached(folder: Path, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start the AWS provider with these variables; give Terraform's variable that lets its commands use it.

    Each command starts a provider two or three times otherwise, which is more than half of what it costs, and ``init``
    reads the whole program for a checksum ("Running and attaching Terraform" in the page about debugging providers,
    Terraform's documentation). Without an unpacked provider, there is no variable, and commands start their own.
    """
    program = next((mirror() or folder).glob("*/hashicorp/aws/*/*/terraform-provider-aws*"), None)
    if program is None:
        yield {}
        return
    with NamedTemporaryFile(dir=folder, delete=False) as file:
        printed = Path(file.name)
        provider = subprocess.Popen(
            [program, "-debug"], cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        with _spared(_address(provider, printed), folder) as address:
            yield {"TF_REATTACH_PROVIDERS": address}
    finally:
        provider.terminate()
        provider.wait()


@contextmanager
def _spared(address: str, folder: Path) -> Iterator[str]:
    """Give the address of a proxy that spares commands what each repeats, most of their time; it needs Node.js."""
    node = shutil.which("node")
    if node is None:
        yield address
        return
    attachment = json.loads(address)
    (plugin,) = attachment.values()
    words = [node, _PROXY, plugin["Addr"]["String"], folder, _MODULES]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout
        try:
            plugin["Addr"] = {"Network": "tcp", "String": f"127.0.0.1:{proxy.stdout.readline().strip()}"}
            yield json.dumps(attachment)
        finally:
            proxy.terminate()


def _address(provider: subprocess.Popen[bytes], printed: Path) -> str:
    while True:
        text = printed.read_text(encoding="utf-8")
        address = _ADDRESS.search(text)
        if address:
            return address[1]
        assert provider.poll() is None, text
        time.sleep(0.05)
