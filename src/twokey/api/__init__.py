"""The commands ``plan``, ``rotate``, ``status`` and ``audit`` as functions, for programs, notebooks and AWS Lambda.

    from twokey import api

    configuration = api.load("twokey.yaml")
    for entry in api.rotate(configuration).results:
        print(entry.user, entry.outcome, entry.message)

Each function does what the command of its name does, and returns the object that the command prints with ``--json``.
Its keywords are the command's options. Credentials and region come from where the AWS SDKs look.

Nothing here changes the state of the process: no logging, signal handler, excepthook, limit, umask, environment
variable or warnings filter. So every function may be called by any thread, and by several at a time.
"""

from twokey.api.configuration import Configuration, load, parse
from twokey.api.functions import audit, plan, rotate, status
from twokey.api.over_users import Interrupted
from twokey.core.errors import (
    AuditLogFailed,
    BadCredentials,
    Failed,
    Refused,
    ServiceError,
    TwokeyError,
    UsageError,
)
from twokey.core.reasons import Outcome, Reason
from twokey.reports.audit import Audit
from twokey.reports.documents import (
    PlanDocument,
    PlanEntry,
    ResultEntry,
    ResultsDocument,
    StatusDocument,
    StatusEntry,
    encode,
)

__all__ = [
    "Audit",
    "AuditLogFailed",
    "BadCredentials",
    "Configuration",
    "Failed",
    "Interrupted",
    "Outcome",
    "PlanDocument",
    "PlanEntry",
    "Reason",
    "Refused",
    "ResultEntry",
    "ResultsDocument",
    "ServiceError",
    "StatusDocument",
    "StatusEntry",
    "TwokeyError",
    "UsageError",
    "audit",
    "encode",
    "load",
    "parse",
    "plan",
    "rotate",
    "status",
]
