"""Operations that moto implements, with its responses corrected where a whole group of them differs from AWS's."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from twokey.emulator.paging import page
from twokey.emulator.policies import ensure_managed_policy
from twokey.emulator.responses import ServiceError, error_response
from twokey.emulator.wire import Dialect

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.responses import Response
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


_NOT_IMPLEMENTED = frozenset({"sts:AssumeRoleWithSAML"})


def check_implemented(call: Call) -> None:
    """Refuse what moto would grant without any check; no SDK retries HTTP 501."""
    if call.name in _NOT_IMPLEMENTED:
        raise ServiceError("NotImplemented", f"The emulator does not implement {call.operation}.", 501)


def forward_to_moto(world: World, call: Call, caller: Caller) -> Response:
    """moto's response, with AWS's paging (IAM), HTTP status (JSON services), and the error code for the record."""
    if call.service == "iam":
        ensure_managed_policy(caller.account, str(call.params.get("PolicyArn", "")))
    if call.service == "iam" and call.operation.startswith("List"):
        response = _iam_list(world, call, caller)
    else:
        response = world.moto.forward(call, caller.account, _smaller_page(world, call))
    if response.error_code == "NotImplemented":
        return error_response(call, ServiceError("NotImplemented", response.body.decode(), 501))
    return _with_error_code(call, response)


_JSON_PAGES = {"secretsmanager:ListSecrets": 100, "ssm:GetParametersByPath": 10, "ssm:DescribeParameters": 50}


def _smaller_page(world: World, call: Call) -> bytes | None:
    """The body with a page size that the emulator allows; None for an operation without pages."""
    default = _JSON_PAGES.get(call.name)
    if default is None:
        return None
    size = min(int(call.params.get("MaxResults", default)), world.page_size)
    return json.dumps({**call.params, "MaxResults": size}).encode()


def _with_error_code(call: Call, response: Response) -> Response:
    if response.status < 400:
        return response
    if call.dialect is Dialect.JSON:
        return _json_error(call, response)
    match = re.search(rb"<Code>([^<]+)</Code>", response.body)
    return dataclasses.replace(response, error_code=match[1].decode() if match else None)


def _json_error(call: Call, response: Response) -> Response:
    """The error with status 400, as JSON 1.1 services return every client error; moto has 404 for some."""
    try:
        error: dict[str, Any] = json.loads(response.body)
    except ValueError:
        error = {"__type": "InternalFailure", "message": response.body.decode(errors="replace")}
    code = str(error.get("__type", "")).rsplit("#", 1)[-1]
    message = str(error.get("message") or error.get("Message") or "")
    status = 400 if response.status < 500 else response.status
    return error_response(call, ServiceError(code, " ".join(message.split()), status))


def _iam_list(world: World, call: Call, caller: Caller) -> Response:
    """Request the whole list from moto and cut the page out of its response: moto pages some lists only."""
    params = {k: v for k, v in call.params.items() if k not in ("Marker", "MaxItems")}
    everything = world.moto.forward(call, caller.account, urlencode({**params, "MaxItems": 1000}).encode())
    if everything.status != 200:
        return everything
    space = re.search(rb'xmlns="([^"]+)"', everything.body)
    name = space[1].decode() if space else ""
    ET.register_namespace("", name)
    root = ET.fromstring(everything.body)  # noqa: S314 - moto's own response
    result = root.find(f"{{{name}}}{call.operation}Result")
    if result is not None:
        _cut(world, call, result, f"{{{name}}}")
    return dataclasses.replace(everything, body=ET.tostring(root))


def _cut(world: World, call: Call, result: ET.Element, space: str) -> None:
    lists = [child for child in result if child.find(f"{space}member") is not None]
    if len(lists) != 1:
        return
    members = sorted((_sort_key(member), number, member) for number, member in enumerate(lists[0]))
    chosen, fields = page(world, call, [(key, member) for key, _, member in members])
    lists[0][:] = chosen
    for tag in ("IsTruncated", "Marker"):
        for old in result.findall(space + tag):
            result.remove(old)
    ET.SubElement(result, f"{space}IsTruncated").text = str(fields["IsTruncated"]).lower()
    if fields["Marker"]:
        ET.SubElement(result, f"{space}Marker").text = fields["Marker"]


def _sort_key(member: ET.Element) -> str:
    """The text of a list's member, which begins with a name."""
    return "|".join(text.strip() for text in member.itertext() if text.strip())
