"""azure-devops, with the variables of a group: it is read and written as a whole."""

from __future__ import annotations

from azure.devops.connection import Connection
from azure.devops.v7_1.task_agent.models import VariableGroupParameters, VariableValue
from msrest.authentication import BasicAuthentication

from clients.programs import steps

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
task = steps.task()
connection = Connection(base_url=f"{task['fake']}/acme", creds=BasicAuthentication("", task["token"]))
agent = connection.clients_v7_1.get_task_agent_client()


def look():
    """Return the group of this name, with the projects that share it."""
    listed = agent.get_variable_groups("web shop", group_name="aws keys")
    return agent.get_variable_group("web shop", listed[0].id)


def write(group, variables) -> None:
    """Write the group with other variables."""
    about = VariableGroupParameters(
        name=group.name,
        description=group.description,
        type=group.type,
        variable_group_project_references=group.variable_group_project_references,
        variables=variables,
    )
    agent.update_variable_group(about, group.id)


task.step("group looks")
group = look()
listed = {name: [one.value, one.is_secret] for name, one in group.variables.items()}
task.step("group deletes the pair")
write(group, {name: one for name, one in group.variables.items() if name not in (*NAMES, "DB_PASSWORD")})
for step, pair in task["pairs"].items():
    task.step(f"group {step}")
    group = look()
    values = {name: VariableValue(value=value, is_secret=True) for name, value in zip(NAMES, pair, strict=True)}
    write(group, {**group.variables, **values})
    if step == "creates":
        task.step("group creates a token")
        group = look()
        others = {name: VariableValue(value="a token", is_secret=True) for name in ("AWS_SESSION_TOKEN", "DB_PASSWORD")}
        write(group, {**group.variables, **others})
task.step("group deletes the token")
group = look()
write(group, {name: one for name, one in group.variables.items() if name != "AWS_SESSION_TOKEN"})
steps.found(listed=listed)
