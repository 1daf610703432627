"""``twokey rotate``: rotate what is due."""

from __future__ import annotations

from typing import Any

import click

from twokey.cli.options import ASKED, SELECTION, Flags, asked, options, settings
from twokey.cli.over_users import ACTING, act


@click.command("rotate")
@options(SELECTION, ASKED, ACTING)
def command(
    *, force: bool, ignore_last_use: bool, retire: tuple[str, ...], no_wait: bool, verbose: bool, **given: Any
) -> int:
    """Rotate what is due; safe to run as often as you like.

    A rotation removes LAST, creates a key, proves that it works, writes it to the store and delivers it everywhere.
    Without --store, twokey.yaml says which users there are and where their keys are kept.
    """
    flags = Flags(**given)
    wishes = asked(force=force, ignore_last_use=ignore_last_use, retire=retire)
    return act(flags, settings(flags), wishes, wait=not no_wait, verbose=verbose)
