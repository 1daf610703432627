"""atlassian-python-api, with the variables of a repository and of a deployment environment."""

from __future__ import annotations

from atlassian.bitbucket import Cloud

from clients.programs import steps

ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
task = steps.task()
repositories = Cloud(url=task["fake"], token=task["token"]).repositories


def production():
    """Return the variables of the environment of this name."""
    found = repositories.get("acme", "api").deployment_environments.each()
    return next(one for one in found if one.name == "Production").deployment_environment_variables


targets = {
    "repository": (lambda: repositories.get("acme", "site").repository_variables, {}),
    "environment": (production, {"pagelen": 100}),
}
found = {}
for name, (look, paging) in targets.items():
    task.step(f"{name} looks")
    variables = look()
    listed = {one.key: [one.value, one.secured] for one in variables.each(**paging)}
    task.step(f"{name} deletes the pair")
    for one in variables.each():
        one.delete()
    for step, pair in task["pairs"].items():
        for key, value in zip((ID, SECRET), pair, strict=True):
            if step == "creates":
                task.step(f"{name} {step}")
                variables.create(key, value, secured=True)
            else:
                task.step(f"{name} looks")
                there = next(one for one in variables.each() if one.key == key)
                task.step(f"{name} {step}")
                there.update(key=key, value=value, secured=True)
    task.step(f"{name} creates a token")
    made = variables.create(TOKEN, "a token", secured=False)
    task.step(f"{name} deletes the token")
    made.delete()
    found[name] = {"listed": listed}
steps.found(**found)
