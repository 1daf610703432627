"""pytfe, with the variables of a workspace and of a variable set."""

from __future__ import annotations

from pytfe import TFEClient, TFEConfig
from pytfe.models import (
    CategoryType,
    VariableCreateOptions,
    VariableSetListOptions,
    VariableSetVariableCreateOptions,
    VariableSetVariableUpdateOptions,
    VariableUpdateOptions,
)

from clients.programs import steps

ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
task = steps.task()
client = TFEClient(TFEConfig(address=task["fake"], token=task["token"]))


def set_id() -> str:
    """Return the id of the set of this name."""
    found = client.variable_sets.list("acme", VariableSetListOptions(query="aws keys"))
    return next(one.id for one in found if one.name == "aws keys")


targets = {
    "workspace": (
        lambda: client.workspaces.read("site", organization="acme").id,
        client.variables,
        (VariableCreateOptions, VariableUpdateOptions),
    ),
    "set": (
        set_id,
        client.variable_set_variables,
        (VariableSetVariableCreateOptions, VariableSetVariableUpdateOptions),
    ),
}
found = {}
for name, (look, variables, (creation, update)) in targets.items():
    task.step(f"{name} looks")
    owner = look()
    listed = {one.key: one for one in variables.list(owner)}
    read = variables.read(owner, listed[ID].id)
    task.step(f"{name} deletes the pair")
    for key in (ID, SECRET):
        variables.delete(owner, listed[key].id)
    made = {}
    for step, pair in task["pairs"].items():
        task.step(f"{name} {step}")
        for key, value in zip((ID, SECRET), pair, strict=True):
            described = {"value": value, "description": task["notes"][step]}
            if step == "creates":
                about = creation(key=key, **described, category=CategoryType.ENV, sensitive=True)
                made[key] = variables.create(owner, about).id
            else:
                variables.update(owner, made[key], update(**described))
    task.step(f"{name} creates a token")
    token = variables.create(owner, creation(key=TOKEN, value="a token", category=CategoryType.ENV))
    task.step(f"{name} deletes the token")
    variables.delete(owner, token.id)
    found[name] = {"listed": len(listed), "read": [read.value, read.sensitive, read.description]}
steps.found(**found)
