"""Templates of CloudFormation as an account would have them: the functions that ours use, filled in."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
_ABSENT = object()


class _Loader(yaml.SafeLoader):
    """Reads the short forms of functions as their long forms."""


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


@cache
def _document(file: Path) -> dict[str, Any]:
    """Read a template once, however many accounts it is for: nothing changes what was read."""
    found: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    return found


class Template:
    """A template, with parameters, in an account."""

    def __init__(self, file: Path, account: str, region: str, partition: str = "aws", **parameters: str) -> None:
        self.document = _document(file)
        declared: dict[str, Any] = self.document["Parameters"]
        assert parameters.keys() <= declared.keys()
        chosen = {name: parameters.get(name, one.get("Default")) for name, one in declared.items()}
        for name, value in chosen.items():
            assert value is not None, f"{name} has no default"
            assert self.accepts(name, value), (name, value)
        own = {"AccountId": account, "Region": region, "Partition": partition, "URLSuffix": SUFFIXES[partition]}
        self._values: Mapping[str, Any] = {**chosen, **{f"AWS::{name}": value for name, value in own.items()}}

    def accepts(self, name: str, value: str) -> bool:
        """Whether CloudFormation takes this value of a parameter."""
        one = self.document["Parameters"][name]
        pattern, values = one.get("AllowedPattern"), one.get("AllowedValues")
        return (values is None or value in values) and (pattern is None or bool(re.fullmatch(pattern, value)))

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of a resource, filled in."""
        found: dict[str, Any] = self._filled(self.document["Resources"][name]["Properties"])
        return found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(self._filled, value) if one is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return _ABSENT if argument == "AWS::NoValue" else self._values.get(argument, {"Ref": argument})
            if name == "Fn::Sub":
                return re.sub(r"\$\{([\w:]+)\}", lambda match: str(self._values[match[1]]), argument)
            if name == "Fn::If":
                condition, yes, no = argument
                return self._filled(yes if self._holds({"Condition": condition}) else no)
        return {key: found for key, one in value.items() if (found := self._filled(one)) is not _ABSENT}

    def _holds(self, condition: Any) -> bool:
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self._holds(self.document["Conditions"][argument])
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(map(self._holds, argument))
        assert name == "Fn::Equals"
        one, other = map(self._filled, argument)
        return bool(one == other)
