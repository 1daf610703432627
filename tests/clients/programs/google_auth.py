"""google-auth, with files of credentials, and with the metadata server of the machine."""

from __future__ import annotations

from google.auth import compute_engine, identity_pool
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from clients.programs import steps

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
task = steps.task()
readers = {
    "service account": service_account.Credentials.from_service_account_file,
    "external account": identity_pool.Credentials.from_file,
    "impersonation": identity_pool.Credentials.from_file,
}
for name, file in task["files"].items():
    task.step(name)
    readers[name](file, scopes=SCOPES).refresh(Request())
task.step("metadata")
compute_engine.Credentials(scopes=SCOPES).refresh(Request())
steps.found()
