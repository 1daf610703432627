"""azure-keyvault-secrets, with a secret of a vault, after each kind of login that azure-identity has in common."""

from __future__ import annotations

import os

from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.keyvault.secrets import SecretClient

from clients.programs import steps

SCOPE = "https://vault.azure.net/.default"
task = steps.task()
of_a_tenant = {"authority": task["fake"], "disable_instance_discovery": True, "tenant_id": task["tenant"]}
logins = {
    "secret": lambda: ClientSecretCredential(
        client_id=task["client"], client_secret=task["client_secret"], **of_a_tenant
    ),
    "federated": lambda: WorkloadIdentityCredential(
        client_id=task["client"], token_file_path=task["token_file"], **of_a_tenant
    ),
    "metadata": ManagedIdentityCredential,
    "app service": ManagedIdentityCredential,
}
for name, login in logins.items():
    task.step(f"{name} logs in")
    os.environ.update(task["variables"].get(name, {}))
    credential = login()
    credential.get_token(SCOPE)

vault = SecretClient(task["fake"], credential, verify_challenge_resource=False)
NAME = task["name"]
task.step("secret looks")
read = vault.get_secret(NAME)
listed = [one.name for one in vault.list_properties_of_secrets()]
task.step("secret deletes the pair")
vault.begin_delete_secret(NAME, _polling_interval=0).wait()
vault.purge_deleted_secret(NAME)
for step, text in task["texts"].items():
    task.step(f"secret {step}")
    vault.set_secret(NAME, text, content_type="application/json", tags={"twokey": task["notes"][step]})
steps.found(read=[read.value, read.properties.content_type, read.properties.tags], listed=listed)
