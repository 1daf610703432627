"""The alerts of a run, where they are configured. Without any, nothing of it is imported."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twokey.alerts.decision import Alert, Ended
    from twokey.config.settings import Settings
    from twokey.core.errors import TwokeyError
    from twokey.core.model import UserKey
    from twokey.fleet.listed_keys import ListsKeys
    from twokey.fleet.roster import Job
    from twokey.fleet.run import Run
    from twokey.fleet.runtime import Runtime
    from twokey.planning.policy import RotationPolicy
    from twokey.rotation.results import Result
    from twokey.rotation.world import World


class Alerting:
    """Follows a run of ``command``, and tells the receivers afterwards; or does nothing.

    ``announce`` gets each failure: none of them changes how the run ends. ``whole``: the run rotates what is due of the
    whole configuration. The heartbeat stands for such a run only: its monitor has to notice if none takes place.
    ``runtime``: the edge that the receivers are reached by, where there is one already.
    """

    def __init__(
        self,
        settings: Settings,
        command: str,
        announce: Callable[[str], None],
        *,
        whole: bool = True,
        runtime: Runtime | None = None,
    ) -> None:
        self._whole = whole
        self._settings, self._command, self._announce = settings, command, announce
        self._lists: dict[UserKey, tuple[RotationPolicy, ListsKeys]] = {}
        self._lock = threading.Lock()
        self._results: Sequence[Result] = ()
        self._runtime = runtime

    def watch(self, run: Run, job: Job, world: World) -> World:
        """Return the world of one user's rotation, which remembers the keys that it lists."""
        if self._settings.alerts is None:
            return world
        from twokey.fleet.listed_keys import ListsKeys

        lists = ListsKeys(world.iam)
        with self._lock:
            self._runtime = run.runtime
            self._lists[job.user.key] = (job.policy, lists)
        return replace(world, iam=lists)

    def ended(self, results: Sequence[Result]) -> None:
        """Take the results of the run."""
        self._results = results

    def tell(self) -> None:
        """Tell what the run did."""
        if self._settings.alerts is None:
            return
        from twokey.alerts import decision

        good = self._whole and not any(one.outcome in decision.PROBLEMS for one in self._results)
        self._send(self._opened(), self.found(self._results), good=good)

    def found(self, results: Sequence[Result]) -> Sequence[Alert]:
        """Return what there is to tell about results; nothing where no alerts are configured."""
        if self._settings.alerts is None:
            return ()
        from twokey.alerts import decision

        return decision.alerts(
            map(self._of, results),
            self._opened().clients.clock.now(),
            self._settings.alerts.window_within,
            self._settings.schedule,
        )

    def summarise(self, found: Sequence[Alert], *, good: bool) -> None:
        """Tell what the parts of a run have found."""
        if self._settings.alerts is not None:
            self._send(self._opened(), found, good=self._whole and good)

    def failed(self, error: TwokeyError) -> None:
        """Tell that an error ended the run before it came to any user."""
        if self._settings.alerts is None:
            return
        from twokey.alerts import decision

        self._send(self._opened(), [decision.of_failed_run(self._command, str(error))], good=False)

    def leaked(self, found: Sequence[Alert]) -> None:
        """Tell which keys are leaked, or that it is not known."""
        if self._settings.alerts is not None and found:
            self._send(self._opened(), found, good=False)

    def _of(self, result: Result) -> Ended:
        from twokey.alerts.decision import Ended

        if result.user.key not in self._lists:
            return Ended(result)
        policy, lists = self._lists[result.user.key]
        return Ended(result, lists.listed, policy)

    def _opened(self) -> Runtime:
        from twokey.fleet.runtime import Runtime

        return self._runtime or Runtime(self._settings)

    def _send(self, runtime: Runtime, found: Sequence[Alert], *, good: bool) -> None:
        from twokey.alerts.sending import Notifier

        assert self._settings.alerts is not None
        for failure in Notifier(self._settings.alerts, runtime.services).tell(self._command, found, good=good):
            self._announce(failure)
