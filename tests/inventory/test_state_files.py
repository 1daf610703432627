"""Keys are found in every form of Terraform's files, and no secret is kept of them."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from twokey.core.errors import UsageError
from twokey.inventory import state_files
from twokey.inventory.state_files import StateKey

KEY, OTHER = "AKIAQLJXKJ3B7ABCDEF2", "AKIAQLJXKJ3B7ABCDEF3"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ATTRIBUTES = {"id": KEY, "user": "ci", "secret": SECRET, "status": "Active", "ses_smtp_password_v4": "BPx"}


def resource(kind: str = "aws_iam_access_key", name: str = "machine", mode: str = "managed", **instance: Any) -> Any:
    """Return a resource of a state with one instance."""
    return {"mode": mode, "type": kind, "name": name, "instances": [{"attributes": ATTRIBUTES, **instance}]}


def state(*resources: Any, **members: Any) -> bytes:
    return json.dumps({"version": 4, "resources": resources, "outputs": {}, **members}).encode()


def shown(**members: Any) -> bytes:
    """Return what ``show -json`` prints."""
    return json.dumps({"format_version": "1.2", **members}).encode()


def node(address: str, **values: Any) -> dict[str, Any]:
    return {"address": address, "type": address.split(".")[-2], "values": {**ATTRIBUTES, **values}}


def only(content: bytes) -> StateKey:
    [found] = state_files.find("a.tfstate", content)
    return found


FOUND = {
    "a state": (state(resource()), "aws_iam_access_key.machine"),
    "an instance of for_each": (state(resource(index_key="c.i")), 'aws_iam_access_key.machine["c.i"]'),
    "an instance of count": (state(resource(index_key=1)), "aws_iam_access_key.machine[1]"),
    "a module": (
        state({**resource(), "module": 'module.users["a"]'}),
        'module.users["a"].aws_iam_access_key.machine',
    ),
    "a data source": (state(resource("http", mode="data")), "data.http.machine"),
    "an output of a state": (state(outputs={"key": {"value": f"{KEY} {SECRET}"}}), "output.key"),
    "a state as JSON": (
        shown(values={"root_module": {"child_modules": [{"resources": [node("module.a.aws_iam_access_key.x")]}]}}),
        "module.a.aws_iam_access_key.x",
    ),
    "a plan": (
        shown(
            resource_changes=[
                {"address": "aws_iam_access_key.x", "type": "aws_iam_access_key", "change": {"before": ATTRIBUTES}}
            ]
        ),
        "aws_iam_access_key.x",
    ),
    "a plan's prior state": (
        shown(prior_state={"values": {"root_module": {"resources": [node("aws_iam_access_key.x")]}}}),
        "aws_iam_access_key.x",
    ),
    "an output of a plan": (shown(planned_values={"outputs": {"k": {"value": [KEY, SECRET]}}}), "output.k"),
    "a variable of a plan": (shown(variables={"k": {"value": {"id": KEY, "secret": "short"}}}), "var.k"),
    "a provider of a plan": (
        shown(
            configuration={
                "provider_config": {
                    "aws": {
                        "expressions": {
                            "access_key": {"constant_value": KEY},
                            "secret_key": {"constant_value": SECRET},
                        }
                    }
                }
            }
        ),
        "provider.aws",
    ),
    "an older state": (json.dumps({"version": 3, "modules": [{"resources": {"x": ATTRIBUTES}}]}).encode(), ""),
}


@pytest.mark.parametrize("what", FOUND)
def test_a_key_and_that_its_secret_is_there_are_found_in(what: str) -> None:
    content, address = FOUND[what]
    found = only(content)
    assert (found.key_id, found.address, found.secret) == (KEY, address, True)
    assert SECRET not in repr(found)


def test_a_saved_plan_has_a_state_in_it() -> None:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("tfplan", b"\x00\x01")
        archive.writestr("tfstate", state(resource()))
    assert only(saved.getvalue()).address == "aws_iam_access_key.machine"


def test_a_key_is_named_once_however_often_it_is_there() -> None:
    address = "aws_iam_access_key.x"
    change = {"address": address, "type": "aws_iam_access_key", "change": {"before": ATTRIBUTES, "after": ATTRIBUTES}}
    module = {"resources": [node(address)]}
    content = shown(planned_values={"root_module": module}, resource_changes=[change], values={"root_module": module})
    assert only(content).user == "ci"


def test_an_encrypted_secret_is_none() -> None:
    attributes = {**ATTRIBUTES, "secret": None, "ses_smtp_password_v4": None, "encrypted_secret": "wcBMA" * 20}
    found = only(state(resource(attributes=attributes)))
    assert (found.secret, found.managed) == (False, True)


def test_a_digest_is_no_secret() -> None:
    attributes = {"id": KEY, "fingerprint": "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"}
    assert not only(state(resource(attributes=attributes))).secret


def test_keys_inside_of_text_are_found() -> None:
    """Such as the value of a secret, which is JSON itself."""
    text = json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET})
    version = resource("aws_secretsmanager_secret_version", attributes={"secret_string": text})
    found = only(state(version))
    assert (found.secret, found.managed, found.in_state) == (True, False, True)


def test_the_same_secret_elsewhere_is_that_of_the_key() -> None:
    outputs = {"secret": {"value": SECRET}, "other": {"value": SECRET.swapcase()}}
    found = state_files.find("a", state(resource(), outputs=outputs))
    assert [(one.address, one.key_id) for one in found] == [
        ("aws_iam_access_key.machine", KEY),
        ("output.secret", KEY),
    ]


def test_what_has_no_key_is_not_named() -> None:
    bucket = resource("aws_s3_bucket", attributes={"id": "AKIA", "arn": f"x{KEY}y", "tags": {"secret": SECRET}})
    assert state_files.find("a", state(bucket)) == []


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ('module.a["x.y"].aws_iam_access_key.b["c]"]', "module.a.aws_iam_access_key.b"),
        ("aws_iam_access_key.b[0]", "aws_iam_access_key.b"),
    ],
)
def test_a_removed_block_names_the_resource_without_instances(address: str, named: str) -> None:
    found = StateKey("f", address, KEY)
    assert (found.resource, found.managed) == (named, True)


@pytest.mark.parametrize("content", [b"", b"resource {}", b"[]", b'{"a": 1}', b"PK\x03\x04broken", b'"' * 10])
def test_what_is_no_state_is_refused_without_its_content(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"x\.tf is neither a state nor a plan"):
        state_files.find("x.tf", content)


def test_an_encrypted_state_is_refused_with_the_way_to_print_it() -> None:
    with pytest.raises(UsageError, match="is encrypted") as caught:
        state_files.find("x.tfstate", json.dumps({"encrypted_data": "…", "encryption_version": "v0"}).encode())
    assert "tofu show -json" in caught.value.remedy
