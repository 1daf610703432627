"""api4jenkins, with a credential of Jenkins itself and one of a folder's domain."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from api4jenkins import Jenkins
from api4jenkins.credential import Credentials

from clients.programs import steps

task = steps.task()
jenkins = Jenkins(task["fake"], auth=("twokey", task["token"]))
targets = {
    "system": (lambda: jenkins.credentials.global_domain, task["elements"]["system"]),
    "folder": (
        lambda: Credentials(jenkins, f"{task['fake']}/job/shop/credentials/store/folder/").get("production"),
        task["elements"]["folder"],
    ),
}
found = {}
for name, (look, (element, id_name, secret_name)) in targets.items():
    task.step(f"{name} looks")
    domain = look()
    domain.api_json(tree="credentials[id,description]")
    read = domain.get("ci").configure()
    task.step(f"{name} deletes the pair")
    domain.get("ci").delete()
    for step, (key_id, secret) in task["pairs"].items():
        document = ET.Element(element)
        values = {"scope": "GLOBAL", "id": "ci", "description": task["notes"][step]}
        for member, value in {**values, id_name: key_id, secret_name: secret}.items():
            ET.SubElement(document, member).text = value
        xml = ET.tostring(document, "unicode")
        task.step(f"{name} {step}")
        if step == "creates":
            domain.create(xml)
        else:
            domain.get("ci").configure(xml)
    found[name] = read
steps.found(**found)
