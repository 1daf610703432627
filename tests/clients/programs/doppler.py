"""doppler-sdk, with the secrets of a config."""

from __future__ import annotations

from dopplersdk import DopplerSDK
from dopplersdk.models.SecretsUpdateRequest import SecretsUpdateRequest, SecretsUpdateRequestChangeRequests

from clients.programs import steps

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
WHERE = {"project": "site", "config": "prd"}
task = steps.task()
doppler = DopplerSDK(access_token=task["token"])
doppler.set_base_url(task["fake"])
secrets = doppler.secrets


def change(changes) -> None:
    """Send changes that have to be made together."""
    about = [SecretsUpdateRequestChangeRequests(**one) for one in changes]
    secrets.update(SecretsUpdateRequest(**WHERE, change_requests=about))


task.step("config looks")
secrets.list(**WHERE, secrets=",".join(task["looked_for"]))
names = secrets.names(**WHERE).names
read = {name: secrets.get(name, WHERE["config"], WHERE["project"]).value["computed"] for name in NAMES}
task.step("config deletes the pair")
for name in NAMES:
    secrets.delete(name, WHERE["config"], WHERE["project"])
before = (None, None)
for step, pair in task["pairs"].items():
    task.step(f"config {step}")
    if step == "creates":
        about = {"originalName": None, "visibility": "masked"}
        change([{"name": name, "value": value, **about} for name, value in zip(NAMES, pair, strict=True)])
    else:
        values = zip(NAMES, pair, before, strict=True)
        change(
            [{"name": name, "originalName": name, "value": value, "originalValue": old} for name, value, old in values]
        )
    before = pair
steps.found(names=names, read=read)
