"""All that a package needs to add a kind of destination, and all that it may rely on.

Import from this module only; the modules behind it may change. ``twokey.testing`` has the contract suite and what fakes
of services are made of. ``docs/how-to/write-a-destination.md`` builds a whole package.

* What a kind is: ``Kind``, ``ConnectionKind``, ``Permission``, ``Use``, ``phrase``.
* What its functions get: ``Address``, ``DestinationContext``, ``Claims``, ``AwsScope``, ``ConnectionContext``,
  ``Clock``, ``Settings``, ``Source``.
* What they return, besides a destination: ``Resolved``, ``Resources``; ``LoadMany`` is the type of ``load_many``.
* What it implements: ``Destination`` or ``Store``, or on top of them ``NamedValues`` or ``ServiceStore``.
* What these return: ``Receipt``, ``Traits``, ``Held``, ``NotHeld``, ``CannotTell``, ``Shown``, ``Stored``, ``Journal``,
  ``Record``.
* Secrets: ``Credential``, ``Hidden``, ``RenewableToken``, ``Grant``. They do not show themselves.
* Formats of the stored value: ``formats``, above all ``formats.format_of``, ``formats.OPTIONS`` and the naming rules
  ``formats.ENVIRONMENT`` and ``formats.MEMBERS``.
* Requests: ``Http``, ``Request``, ``Response``, ``Limit``, ``paging``.
* Errors: those of ``twokey.core.errors``. A destination raises no others.
"""

from twokey.core.destination import Destination, Receipt, Store, Traits
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    Failed,
    NotFound,
    ServiceError,
    ServiceRejected,
    Throttled,
    TwokeyError,
    Unreachable,
    UsageError,
)
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, Holding, NotHeld, Record
from twokey.core.ports import Clock
from twokey.core.secret import Credential, Hidden
from twokey.destinations.address import Address
from twokey.destinations.ci.named_values import NamedValues, Shown
from twokey.destinations.claims import Claims
from twokey.destinations.connections import ConnectionContext, Settings
from twokey.destinations.formats import options as formats
from twokey.destinations.formats.notes import beside, note_of
from twokey.destinations.kind import (
    AwsScope,
    ConnectionKind,
    DestinationContext,
    InvalidKind,
    Kind,
    LoadMany,
    Permission,
    Resolved,
    Resources,
    Use,
    WritesNamedMembers,
    WritesNamedValues,
    phrase,
)
from twokey.destinations.sources import Source
from twokey.destinations.stores.service_store import ServiceStore, Stored
from twokey.http import paging
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit
from twokey.http.renewable_token import Grant, RenewableToken

__all__ = [
    "AccessDenied",
    "Address",
    "Ambiguous",
    "AwsScope",
    "BadCredentials",
    "CannotTell",
    "Claims",
    "Clock",
    "Conflict",
    "ConnectionContext",
    "ConnectionKind",
    "Credential",
    "Destination",
    "DestinationContext",
    "Failed",
    "Grant",
    "Held",
    "Hidden",
    "Holding",
    "Http",
    "InvalidKind",
    "Journal",
    "Kind",
    "Limit",
    "LoadMany",
    "NamedValues",
    "NotFound",
    "NotHeld",
    "Permission",
    "Receipt",
    "Record",
    "RenewableToken",
    "Request",
    "Resolved",
    "Resources",
    "Response",
    "ServiceError",
    "ServiceRejected",
    "ServiceStore",
    "Settings",
    "Shown",
    "Source",
    "Store",
    "Stored",
    "Throttled",
    "Traits",
    "TwokeyError",
    "Unreachable",
    "UsageError",
    "Use",
    "WritesNamedMembers",
    "WritesNamedValues",
    "beside",
    "formats",
    "note_of",
    "paging",
    "phrase",
]
