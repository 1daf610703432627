"""Whether this machine has a role of its own in AWS, by the variables that AWS sets.

Sources: "Defined runtime environment variables" (AWS Lambda Developer Guide), "Amazon ECS task IAM role" (Amazon ECS
Developer Guide), "IAM roles for service accounts" and "EKS Pod Identity" (Amazon EKS User Guide).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_POD_IDENTITY = ("169.254.170.23", "fd00:ec2::23")
_OF_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
OF_EC2 = "iam-role"
"""botocore's name for the credentials of an EC2 instance."""


def service(variable: Callable[[str], str]) -> str:
    """Return the service of AWS that this runs in and that provides a role; empty if there is none. Nothing is called.

    EC2 sets no variable.
    """
    if variable("AWS_LAMBDA_FUNCTION_NAME"):
        return "Lambda"
    if variable("AWS_WEB_IDENTITY_TOKEN_FILE") and variable("AWS_ROLE_ARN"):
        return "EKS"
    if variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return "ECS"
    host = urlsplit(variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")).hostname or ""
    if host in _POD_IDENTITY:
        return "EKS"
    return "ECS" if host and host not in _OF_THIS_MACHINE else ""
