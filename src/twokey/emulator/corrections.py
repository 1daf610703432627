"""Operations that moto answers, with its answer put right where a whole family is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from twokey.emulator.answers import ServiceError, error_answer
from twokey.emulator.policies import ensure_managed_policy
from twokey.emulator.wire import Dialect

from .services.paging import page

if TYPE_CHECKING:
    from twokey.emulator.answers import Answer
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World


_NOT_IMITATED = frozenset({"sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"})


def check_imitated(call: Call) -> None:
    """Refuse what moto would grant without checking anything; HTTP 501 is what no SDK repeats."""
    if call.name in _NOT_IMITATED:
        raise ServiceError("NotImitated", f"The emulator does not imitate {call.operation}.", 501)


def ask_moto(world: World, call: Call, caller: Caller) -> Answer:
    """moto's answer with AWS's paging (IAM), HTTP status (JSON services) and error codes for the record."""
    if call.service == "iam":
        ensure_managed_policy(caller.account, str(call.params.get("PolicyArn", "")))
        if call.operation.startswith("List"):
            return _iam_list(world, call, caller)
    answer = world.moto.ask(call, caller.account, _smaller_page(world, call))
    if answer.error_code == "NotImplemented":
        return error_answer(call, ServiceError("NotImitated", answer.body.decode(), 501))
    return _described(call, answer)


_JSON_PAGES = {"secretsmanager:ListSecrets": 100, "ssm:GetParametersByPath": 10, "ssm:DescribeParameters": 50}


def _smaller_page(world: World, call: Call) -> bytes | None:
    """The body with a page size that the emulator allows; None where nothing has to change."""
    default = _JSON_PAGES.get(call.name)
    if default is None:
        return None
    size = min(int(call.params.get("MaxResults", default)), world.page_size)
    return json.dumps({**call.params, "MaxResults": size}).encode()


def _described(call: Call, answer: Answer) -> Answer:
    if answer.status < 400:
        return answer
    if call.dialect is Dialect.JSON:
        return _json_error(call, answer)
    found = re.search(rb"<Code>([^<]+)</Code>", answer.body)
    return dataclasses.replace(answer, error_code=found[1].decode() if found else None)


def _json_error(call: Call, answer: Answer) -> Answer:
    """JSON 1.1 services answer every error of the client with 400, where moto has 404 for some."""
    try:
        found: dict[str, Any] = json.loads(answer.body)
    except ValueError:
        found = {"__type": "InternalFailure", "message": answer.body.decode(errors="replace")}
    code = str(found.get("__type", "")).rsplit("#", 1)[-1]
    message = str(found.get("message") or found.get("Message") or "")
    status = 400 if answer.status < 500 else answer.status
    return error_answer(call, ServiceError(code, " ".join(message.split()), status))


def _iam_list(world: World, call: Call, caller: Caller) -> Answer:
    """Ask moto for everything and cut the page out of its answer: it pages some lists and others not."""
    fields = {k: v for k, v in call.params.items() if k not in ("Marker", "MaxItems")}
    everything = world.moto.ask(call, caller.account, urlencode({**fields, "MaxItems": 1000}).encode())
    if everything.status != 200:
        return _described(call, everything)
    space = re.search(rb'xmlns="([^"]+)"', everything.body)
    name = space[1].decode() if space else ""
    ET.register_namespace("", name)
    root = ET.fromstring(everything.body)  # noqa: S314 - moto's own answer
    result = root.find(f"{{{name}}}{call.operation}Result")
    if result is not None:
        _cut(world, call, result, f"{{{name}}}")
    return dataclasses.replace(everything, body=ET.tostring(root))


def _cut(world: World, call: Call, result: ET.Element, space: str) -> None:
    lists = [child for child in result if child.find(f"{space}member") is not None]
    if len(lists) != 1:
        return
    members = sorted((_sort_key(member), number, member) for number, member in enumerate(lists[0]))
    chosen, about = page(world, call, [(key, member) for key, _, member in members])
    lists[0][:] = chosen
    for tag in ("IsTruncated", "Marker"):
        for old in result.findall(space + tag):
            result.remove(old)
    ET.SubElement(result, f"{space}IsTruncated").text = str(about["IsTruncated"]).lower()
    if about["Marker"]:
        ET.SubElement(result, f"{space}Marker").text = about["Marker"]


def _sort_key(member: ET.Element) -> str:
    """The first text of a list's member: a name, or the name inside it."""
    return "|".join(text.strip() for text in member.itertext() if text.strip())
