"""pycircleci, with the variables of a context. Those of a project it writes through an older API."""

from __future__ import annotations

from pycircleci.api import Api

from clients.programs import steps

ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
task = steps.task()
circleci = Api(token=task["token"], url=f"{task['fake']}/api")
task.step("context looks")
contexts = {one["name"]: one["id"] for one in circleci.get_contexts("acme", vcs_type="gh", paginate=True)}
context = contexts["deploy"]
listed = {one["variable"]: one["updated_at"] for one in circleci.get_context_envvars(context, paginate=True)}
task.step("context deletes the pair")
for name in listed:
    circleci.delete_context_envvar(context, name)
for step, pair in task["pairs"].items():
    task.step(f"context {step}")
    for name, value in zip((ID, SECRET), pair, strict=True):
        circleci.add_context_envvar(context, name, value)
task.step("context creates a token")
circleci.add_context_envvar(context, TOKEN, "a token")
task.step("context deletes the token")
circleci.delete_context_envvar(context, TOKEN)
steps.found(listed=listed)
