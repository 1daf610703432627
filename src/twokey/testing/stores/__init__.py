"""The contract of a store, as tests that every store passes.

A module of tests names a class ``Test…(StoreContract)``, or ``(ConditionalContract)`` where the service has conditional
writes, and gives it the fixtures ``backend`` and ``services``.
"""

from twokey.testing.contract import SECRET, assert_silent, fresh_credential, fresh_name, outcome, pair
from twokey.testing.stores.named_values import NamedValuesStoreContract
from twokey.testing.stores.one_text import OneTextContract
from twokey.testing.stores.store import ConditionalContract, StoreContract
from twokey.testing.stores.values import (
    AT,
    FULL,
    OTHERS,
    UNMANAGED_TEXTS,
    NamedValuesBackend,
    StoreBackend,
    with_option,
)

__all__ = [
    "AT",
    "FULL",
    "OTHERS",
    "SECRET",
    "UNMANAGED_TEXTS",
    "ConditionalContract",
    "NamedValuesBackend",
    "NamedValuesStoreContract",
    "OneTextContract",
    "StoreBackend",
    "StoreContract",
    "assert_silent",
    "fresh_credential",
    "fresh_name",
    "outcome",
    "pair",
    "with_option",
]
