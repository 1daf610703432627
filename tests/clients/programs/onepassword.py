"""onepasswordconnectsdk, with an item of a vault: it is read and written as a whole."""

from __future__ import annotations

from onepasswordconnectsdk.client import new_client
from onepasswordconnectsdk.models import Field, Item, ItemVault

from clients.programs import steps

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
task = steps.task()
client = new_client(task["fake"], task["token"])
task.step("item looks")
vault = client.get_vault_by_title("ops").id
there = client.get_item_by_title("ci", vault)
read = {one.label: one.value for one in there.fields}
titles = [one.title for one in client.get_items(vault)]
task.step("item deletes the pair")
client.delete_item(there.id, vault)
for step, pair in task["pairs"].items():
    task.step(f"item {step}")
    if step == "creates":
        fields = [
            Field(type=kind, label=name, value=value)
            for kind, name, value in zip(("STRING", "CONCEALED"), NAMES, pair, strict=True)
        ]
        about = Item(title="ci", category="API_CREDENTIAL", vault=ItemVault(id=vault), fields=fields)
        made = client.create_item(vault, about)
    else:
        item = client.get_item_by_id(made.id, vault)
        for field, value in zip(item.fields, pair, strict=True):
            field.value = value
        client.update_item(item.id, vault, item)
steps.found(read=read, titles=titles)
