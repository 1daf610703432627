"""The contract of ``twokey.core.destination``, as tests that every destination of a service passes.

A module of tests names a class ``Test…(DestinationContract)`` and gives it a fixture ``backend``: the destination's
URL, its connection and its fake, as the tests see them. ``docs/how-to/write-a-destination.md`` shows a whole one.
"""

from twokey.testing.contract.backends import (
    ACCOUNT,
    SECRET,
    Backend,
    BackendView,
    Hurried,
    assert_silent,
    fresh_credential,
    fresh_name,
    in_variables,
    opened,
    outcome,
    pair,
    services_of,
)
from twokey.testing.contract.destination import DestinationContract
from twokey.testing.contract.every_destination import EveryDestinationContract
from twokey.testing.contract.named_values import NamedValuesContract

__all__ = [
    "ACCOUNT",
    "SECRET",
    "Backend",
    "BackendView",
    "DestinationContract",
    "EveryDestinationContract",
    "Hurried",
    "NamedValuesContract",
    "assert_silent",
    "fresh_credential",
    "fresh_name",
    "in_variables",
    "opened",
    "outcome",
    "pair",
    "services_of",
]
