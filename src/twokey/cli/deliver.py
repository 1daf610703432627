"""``twokey deliver``: bring CURRENT to its destinations, once more where it is there already."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from twokey.cli.options import MOST, SELECTION, Flags, asked, options, picks, settings
from twokey.cli.over_users import ACTING, act
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.fleet.roster import Job
    from twokey.rotation.look import Decide


@click.command("deliver")
@options(SELECTION, (MOST,), ACTING)
def command(*, no_wait: bool, verbose: bool, **given: Any) -> int:
    """Bring CURRENT to its destinations; no key is created or removed.

    For a pipeline that is new, a token that was repaired, a secret that was rolled back. Destinations that show
    CURRENT are left alone; those that cannot tell what they hold are written again. With twokey.yaml, --to picks among
    its destinations, or adds one.
    """
    flags = Flags(**given)
    wanted = settings(flags, may_pick=True)
    urls = picks(flags)
    if not urls and not any(selection.deliver for selection in wanted.selections):
        raise UsageError(
            "Nothing says where to deliver to.",
            remedy="Give --to, such as --to ssm:/machine-users/{user}, or deliver: in twokey.yaml.",
        )
    nothing = asked(force=False, ignore_last_use=False, retire=())
    return act(
        flags,
        wanted,
        nothing,
        wait=not no_wait,
        verbose=verbose,
        also=urls,
        narrow=lambda session, roster: session.pick(wanted, roster, urls),
        decide=_decide,
    )


def _decide(job: Job) -> Decide:
    from twokey.planning.redelivery import deliver_plan

    return partial(deliver_plan, chosen=job.chosen)
