"""google-cloud-secret-manager over REST, with a secret of a project."""

from __future__ import annotations

from google.api_core.client_options import ClientOptions
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.oauth2.credentials import Credentials

from clients.programs import steps

task = steps.task()
client = SecretManagerServiceClient(
    credentials=Credentials(task["token"]),
    transport="rest",
    client_options=ClientOptions(api_endpoint=task["fake"]),
)
project = f"projects/{task['project']}"
name = f"{project}/secrets/{task['name']}"
task.step("secret looks")
client.test_iam_permissions(request={"resource": name, "permissions": task["permissions"]})
there = client.get_secret(name=name)
read = client.access_secret_version(name=f"{name}/versions/latest").payload.data.decode()
listed = [one.name for one in client.list_secrets(parent=project)]
versions = [one.name.rpartition("/")[2] for one in client.list_secret_versions(parent=name)]
task.step("secret deletes the pair")
client.delete_secret(name=name)
for step, text in task["texts"].items():
    task.step(f"secret {step}")
    if step == "creates":
        about = {"replication": {"automatic": {}}, "annotations": task["annotations"][step]}
        client.create_secret(parent=project, secret_id=task["name"], secret=about)
    client.add_secret_version(parent=name, payload={"data": text.encode()})
task.step("secret journals")
about = {"name": name, "etag": client.get_secret(name=name).etag, "annotations": task["annotations"]["journals"]}
client.update_secret(secret=about, update_mask="annotations")
steps.found(read=read, listed=listed, versions=versions, annotations=dict(there.annotations))
