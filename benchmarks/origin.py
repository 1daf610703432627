"""The original tool, iam-credential-rotation 0.2.2 from PyPI, in an environment of its own.

It refuses more than 20 users, by a constant, and reads only the first page of users, which holds 100. A wrapper raises
the constant and requests a larger page; it changes nothing else.
"""

from __future__ import annotations

from benchmarks.environments import Environment

ENVIRONMENT = Environment("origin")
WRAPPER = """\
import boto3
import utils
from iam_credential_rotation import cli

utils.MAX_SVC_ACCOUNTS = 1000
boto3.setup_default_session()
boto3.DEFAULT_SESSION.events.register(
    "before-parameter-build.iam.ListUsers", lambda params, **_: params.setdefault("MaxItems", 1000)
)
cli(prog_name="iam-credential-rotation")
"""


def command() -> list[str]:
    """Return the command that runs it, and install it on demand; raises ``MeasurementFailed`` if that fails."""
    ENVIRONMENT.install()
    wrapper = ENVIRONMENT.folder / "unlimited.py"
    wrapper.write_text(WRAPPER)
    return [str(ENVIRONMENT.python), str(wrapper)]
