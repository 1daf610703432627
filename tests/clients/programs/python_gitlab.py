"""python-gitlab, with the variables of a project, a group, one environment of a project, and the instance."""

from __future__ import annotations

import gitlab

from clients.programs import steps

ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
task = steps.task()
server = gitlab.Gitlab(task["fake"], private_token=task["token"])
found = {}
for name, (owners, path, scope) in task["targets"].items():
    task.step(f"{name} looks")
    server.personal_access_tokens.get("self")
    of_instance = owners == "admin"
    about = {"with_projects": "false"} if owners == "groups" else {}
    variables = (server if of_instance else getattr(server, owners).get(path, **about)).variables
    which = {} if of_instance else {"filter": {"environment_scope": scope}}
    every = variables.list(get_all=True, per_page=1)
    listed = {one.key: one.value for one in every if of_instance or one.environment_scope == scope}
    read = variables.get(ID, **which)
    task.step(f"{name} deletes the pair")
    for key in listed:
        variables.delete(key, **which)
    settings = {"variable_type": "env_var", "protected": False, "raw": True}
    settings |= {} if of_instance else {"environment_scope": scope}
    for step, pair in task["pairs"].items():
        task.step(f"{name} {step}")
        for key, value in zip((ID, SECRET), pair, strict=True):
            described = {"value": value, "description": task["notes"][step]}
            if step == "creates":
                variables.create({"key": key, **described, **settings, "masked": True})
            else:
                variables.update(key, described, **which)
    task.step(f"{name} creates a token")
    variables.create({"key": TOKEN, "value": "a token", **settings})
    task.step(f"{name} deletes the token")
    variables.delete(TOKEN, **which)
    found[name] = {"listed": listed, "read": [read.value, read.description, read.masked]}
steps.found(**found)
