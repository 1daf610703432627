"""A destination to forget, as one run may still be able to see it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.core.errors import TwokeyError

if TYPE_CHECKING:
    from twokey.core.model import MachineUser
    from twokey.destinations.registry import Services
    from twokey.rotation.world import World


def name_of(url: str, user: MachineUser) -> str:
    """Return the name under which the journal may have a URL: with its fields filled in, if it has any."""
    from twokey.fleet.runtime import fill

    with suppress(TwokeyError):
        return fill(url, user)
    return url


def with_candidate(world: World, name: str, services: Services, account: str) -> World:
    """Return the world with the destination to forget, if it can be opened: what it holds is then read like the others.

    A name that the journal made for a URL that meant another thing elsewhere cannot be opened, and neither can a
    destination whose connection is no longer configured.
    """
    from twokey.destinations import identity, registry

    if name.endswith(")"):
        return world
    try:
        candidate = registry.open_destination(name, services)
        meant = identity.identity(candidate, services, account)
    except TwokeyError:
        return world
    if meant in world.identities.values():
        return world  # a destination that is configured, or another URL of one
    return replace(world, destinations=(*world.destinations, candidate), identities={**world.identities, name: meant})
