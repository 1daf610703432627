"""hvac, with a secret of a KV version 2 mount, after some kinds of login."""

from __future__ import annotations

import hvac

from clients.programs import steps

PATH = "machine-users/ci"
NAMES = ("AccessKeyId", "SecretAccessKey")
task = steps.task()
mount = {"mount_point": task["mount"]}
client = hvac.Client(url=task["fake"])
methods = {
    "approle": client.auth.approle.login,
    "jwt": client.auth.jwt.jwt_login,
    "kubernetes": client.auth.kubernetes.login,
}
for name, login in task["logins"].items():
    task.step(f"{name} logs in")
    methods[name](**login)
kv = client.secrets.kv.v2
task.step("secret looks")
client.sys.get_capabilities([f"{task['mount']}/data/{path}" for path in (PATH, f"{PATH}.twokey-journal")])
found = kv.read_secret_version(path=PATH, raise_on_deleted_version=True, **mount)["data"]
listed = kv.list_secrets(path="machine-users/", **mount)["data"]["keys"]
task.step("secret deletes the pair")
kv.delete_metadata_and_all_versions(path=PATH, **mount)
for version, (step, pair) in enumerate(task["pairs"].items()):
    task.step(f"secret {step}")
    kv.create_or_update_secret(path=PATH, secret=dict(zip(NAMES, pair, strict=True)), cas=version, **mount)
task.step("secret is created once more")
try:
    kv.create_or_update_secret(path=PATH, secret={}, cas=0, **mount)
    refused = False
except hvac.exceptions.InvalidRequest:
    refused = True
steps.found(read=found["data"], version=found["metadata"]["version"], listed=listed, refused=refused)
