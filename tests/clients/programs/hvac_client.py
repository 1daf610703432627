"""hvac, with a secret of a KV version 2 mount, after three kinds of login."""

from __future__ import annotations

import hvac

from clients.programs import steps

PATH = "machine-users/ci"
NAMES = ("AccessKeyId", "SecretAccessKey")
task = steps.task()
client = hvac.Client(url=task["fake"])
task.step("approle logs in")
client.auth.approle.login(role_id="twokey", secret_id="the-secret-id")
task.step("jwt logs in")
client.auth.jwt.jwt_login(role="twokey", jwt="ey.jwt")
task.step("kubernetes logs in")
client.auth.kubernetes.login(role="twokey", jwt="ey.pod")
kv = client.secrets.kv.v2
task.step("secret looks")
client.sys.get_capabilities([f"secret/data/{PATH}", f"secret/data/{PATH}.twokey-journal"])
found = kv.read_secret_version(path=PATH, raise_on_deleted_version=True)["data"]
listed = kv.list_secrets(path="machine-users/")["data"]["keys"]
task.step("secret deletes the pair")
kv.delete_metadata_and_all_versions(path=PATH)
for version, (step, pair) in enumerate(task["pairs"].items()):
    task.step(f"secret {step}")
    kv.create_or_update_secret(path=PATH, secret=dict(zip(NAMES, pair, strict=True)), cas=version)
task.step("secret is created once more")
try:
    kv.create_or_update_secret(path=PATH, secret={}, cas=0)
    refused = False
except hvac.exceptions.InvalidRequest:
    refused = True
steps.found(read=found["data"], version=found["metadata"]["version"], listed=listed, refused=refused)
