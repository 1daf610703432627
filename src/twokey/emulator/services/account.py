"""The regions of an account ("ListRegions", AWS Account Management API Reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.emulator import partition
from twokey.emulator.paging import json_page
from twokey.emulator.responses import Response, json_response

if TYPE_CHECKING:
    from twokey.emulator.identity import Caller
    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

_BY_DEFAULT = ("us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-west-1", "ap-southeast-2")
"""Some of the regions that every account of the oldest partition has."""
_PAGE = 50


def list_regions(world: World, call: Call, caller: Caller) -> Response:  # noqa: ARG001 - one signature for all
    """ListRegions: some regions, of which those that the weather disables are not enabled."""
    names = _BY_DEFAULT if partition.current() == "aws" else (partition.home(),)
    disabled = world.weather.disabled_regions
    regions: list[dict[str, Any]] = [
        {"RegionName": name, "RegionOptStatus": "DISABLED" if name in disabled else "ENABLED_BY_DEFAULT"}
        for name in sorted({*names, *disabled})
    ]
    wanted = call.params.get("RegionOptStatusContains")
    chosen = [one for one in regions if not wanted or one["RegionOptStatus"] in wanted]
    page, more = json_page(world, call, chosen, _PAGE)
    return json_response({"Regions": page, **more})


OPERATIONS = {"account:ListRegions": list_regions}
