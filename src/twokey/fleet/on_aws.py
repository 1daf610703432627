"""Whether jobs run where AWS gives them a role: on this machine, or in a cluster of EKS.

Sources: "Amazon EKS cluster endpoint" and "Create or update a kubeconfig file" (Amazon EKS User Guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core.errors import BadCredentials, TwokeyError
from twokey.jobs import instance
from twokey.system import environment

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.destinations.registry import Services

LOCAL = frozenset({"file", "credentials-file", "dotenv", "json"})
_EKS = re.compile(r"\.eks\.amazonaws\.com|\.eks\.[\w-]+\.api\.aws|arn:[\w-]+:eks:")


def service_here(clients: Clients) -> str:
    """Return the service of AWS that this runs in, and whose role the AWS SDKs find; empty for none."""
    try:
        return service_that_provides(clients)
    except BadCredentials:
        return ""


def service_that_provides(clients: Clients) -> str:
    """Return the same for what needs credentials anyway; raises ``CredentialsUnavailable`` where there are none."""
    if here := instance.service(environment.variable):
        return here
    return "EC2" if clients.own_source() == instance.OF_EC2 else ""


def service_of(url: str, services: Services) -> str:
    """Return the service of AWS that has a role for jobs which read a destination; empty where none is known."""
    from twokey.destinations import registry

    scheme = url.partition(":")[0]
    if scheme in LOCAL:
        return service_here(services.clients)
    kind = registry.kind_of(scheme) if scheme == "kubernetes" else None
    if kind is None or kind.resolve is None:
        return ""
    try:
        where = kind.resolve(registry.parse(url), services, "").where
    except TwokeyError:
        # The cluster cannot be told from here.
        return ""
    return "EKS" if _EKS.search(where) else ""
