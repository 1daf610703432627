"""Files and messages that twokey writes, read by the clients that jobs and receivers have."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from clients.conversation import Recording, needs_node_clients, needs_python_clients
from destinations.hooks.test_webhook import PATH, Receiver
from twokey.aws.clients import Clients
from twokey.destinations.registry import Services, open_destination
from twokey.testing.contract import fresh_credential, opened, pair
from twokey.testing.fakes.webhook import Webhook

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.secret import Credential
    from twokey.testing.server import ReceivedRequest

OWN = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "of the client"}
DIFFICULT = 'two words, $HOME, `date`, "double" quotes and a # in it'


@pytest.mark.parametrize(
    "program",
    [pytest.param("local", marks=needs_python_clients), pytest.param("local.mjs", marks=needs_node_clients)],
)
def test_clients_read_what_twokey_writes(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = fresh_credential()
    files = write_files(tmp_path, credential)
    messages: list[ReceivedRequest] = []

    def kept(request: ReceivedRequest, body: Any) -> Any:
        messages.append(request)
        return body

    with Webhook() as fake:
        monkeypatch.setenv("TEST_WEBHOOK_SECRET", fake.secret)
        recording = Recording(fake, opened=kept)
        opened(Receiver(fake)).deliver(credential)
        message = next(one for one in messages if one.method == "POST")
        found = recording.run(
            program,
            secret=fake.secret,
            body=message.data.decode(),
            headers={name.lower(): value for name, value in message.headers.items()},
            own=json.dumps({"version": 1, "action": "deliver", "key_id": OWN["AccessKeyId"], "credential": OWN}),
            files=files,
        )
        assert (found["read"]["credential"], found["forged"]) == (pair(credential), False)
        assert (found["status"], fake.read("/aws/client")) == (200, OWN)
        assert fake.read(PATH) == pair(credential)
    for file in files:
        for read in (found["files"][file], sourced(file)):
            assert read["AWS_ACCESS_KEY_ID"] == credential.access_key_id
            assert read["AWS_SECRET_ACCESS_KEY"] == credential.reveal()
            assert read["NOTE"] == DIFFICULT
    assert {found["files"][files[1]]["OTHER"], sourced(files[1])["OTHER"]} == {"it stays"}


def write_files(folder: Path, credential: Credential) -> list[str]:
    """Have twokey write a dotenv file, and lines of an existing one."""
    existing = folder / "existing.env"
    existing.write_text("# of the operator\nexport OTHER='it stays'\nAWS_ACCESS_KEY_ID=\"old\"\n", encoding="utf-8")
    existing.chmod(0o600)
    files = [str(folder / "new.env"), str(existing)]
    for file in files:
        url = f"dotenv:{file}?extra.NOTE={quote(DIFFICULT)}"
        open_destination(url, Services(Clients("files"))).deliver(credential)
    return files


def sourced(file: str) -> dict[str, str]:
    """Return what a shell reads."""
    command = ["sh", "-c", f"set -a; . {shlex.quote(file)}; exec env -0"]
    read = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    return dict(one.split("=", 1) for one in read.stdout.split("\0") if one)
