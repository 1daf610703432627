"""``on_leak: revoke``: what ``twokey watch`` does about leaked keys of the machine users of the configuration."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from twokey.core.decoding import decoder
from twokey.core.errors import TwokeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.reports.documents import RevokeEntry


def revoke(key_ids: Sequence[str], config: str) -> tuple[list[RevokeEntry], int]:
    """Revoke keys as ``twokey revoke KEY_ID ... --yes`` does; return how it ended, and the exit code.

    What that command prints on stderr is printed. Never raises a ``TwokeyError``: what was found is printed, too.
    """
    from twokey.cli import terminal
    from twokey.cli.revoke import command
    from twokey.reports.documents import RevokeDocument

    printed = StringIO()
    context = command.make_context("revoke", ["--yes", "--json", "--config", config, *key_ids])
    try:
        with redirect_stdout(printed), context:
            code = int(command.invoke(context))
    except TwokeyError as error:
        terminal.show_error(error)
        code = int(error.exit_code)
    if not printed.getvalue():
        return [], code
    return decoder(RevokeDocument).decode(printed.getvalue()).results, code
