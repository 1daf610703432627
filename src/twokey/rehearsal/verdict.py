"""What a rehearsal shows: which job fails and why, which rotation is late and why, with what to change. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from twokey.core import commands, durations
from twokey.planning.policy import upwards
from twokey.reports import rehearsal as report
from twokey.reports.rehearsal import day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from twokey.planning.policy import RotationPolicy
    from twokey.rehearsal.actor import Actor, KeyLife, Rotation
    from twokey.rehearsal.jobs import Failed, Jobs
    from twokey.rehearsal.options import Options
    from twokey.rehearsal.play import Played

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Names:
    """What the configuration calls the destinations that something stands in for, by the URL that was played."""

    stand_ins: Mapping[str, str]

    def of(self, url: str) -> str:
        """Return the configuration's URL."""
        return self.stand_ins.get(url, url)


def rehearsal(
    played: Played,
    options: Options,
    stand_ins: Mapping[str, str],
    requests: int,
    *,
    as_found: bool = False,
    notes: Sequence[str] = (),
) -> report.Rehearsal:
    """Return what was shown. ``stand_ins``: for each URL that stands in for another, the other one."""
    names = Names(stand_ins)
    users = [_user(actor, played, options, names) for actor in played.actors]
    weather = Counter(run.weather for user in users for run in user.runs if run.weather)
    return report.Rehearsal(
        days=options.days,
        every=_whole(options.every),
        seed=options.seed,
        faults=options.faults,
        as_found=as_found,
        outage=report.Outage(*map(int, played.outage)) if played.outage else None,
        runs=played.runs,
        missed=played.missed,
        requests=requests,
        users=users,
        rotations=sum(user.rotations for user in users),
        jobs_started=sum(jobs.started for user in users for jobs in user.jobs),
        jobs_failed=sum(jobs.failed for user in users for jobs in user.jobs),
        late=sum(len(user.late) for user in users),
        refused=sum(1 + run.repeated for user in users for run in user.runs if run.outcome == "refused"),
        weather=dict(sorted(weather.items())),
        notes=[*notes, *_notes(users, options, as_found=as_found)],
    )


def _user(actor: Actor, played: Played, options: Options, names: Names) -> report.User:
    policy, end = actor.job.policy, options.length.total_seconds()
    labels = _labels(actor)
    failures = [*_failures(actor, end, names, labels)]
    made = [key for key in actor.keys.values() if key.created >= 0]
    return report.User(
        user=actor.job.user.name,
        path=actor.job.user.path,
        window=_whole(policy.window),
        period=_whole(policy.period),
        grace=_whole(policy.grace),
        destinations=[report.Destination(names.of(url), url in names.stand_ins) for url in actor.held],
        keys=[_key(key, labels[key.id]) for key in actor.keys.values()],
        runs=actor.runs,
        jobs=[_jobs(jobs, actor, end, failures) for jobs in actor.jobs],
        failures=failures,
        late=[late for one in actor.rotations if (late := _late(one, actor, played, options, labels))],
        rotations=actor.committed,
        orphans=sum(key.current_from is None and key.end == "deleted" for key in made),
        oldest_key=int(max((min(key.ended, end) - key.created for key in made), default=0)),
    )


def _labels(actor: Actor) -> dict[str, str]:
    """Give each key a letter, in the order of their creation; after Z comes A2."""
    ordered = sorted(actor.keys.values(), key=lambda key: key.created)
    rounds = [("" if index < 26 else str(index // 26 + 1)) for index in range(len(ordered))]
    return {key.id: LETTERS[index % 26] + rounds[index] for index, key in enumerate(ordered)}


def _key(key: KeyLife, label: str) -> report.Key:
    ended = None if key.end is None else int(key.ended)
    return report.Key(key.id, label, int(key.created), _int(key.current_from), _int(key.current_until), ended, key.end)


def _jobs(jobs: Jobs, actor: Actor, end: float, failures: Sequence[report.Failure]) -> report.Jobs:
    return report.Jobs(
        jobs.kind.name,
        _whole(jobs.kind.length),
        _whole(jobs.kind.every),
        sum(jobs.started(held, end) for held in actor.held.values()),
        sum(one.count for one in failures if one.job == jobs.kind.name),
    )


def _failures(actor: Actor, end: float, names: Names, labels: Mapping[str, str]) -> Iterator[report.Failure]:
    ends = {key.id: key.ended for key in actor.keys.values()}
    for jobs in actor.jobs:
        for url, held in actor.held.items():
            for one in jobs.failed(held, ends, end):
                yield _failure(one, jobs, actor, names.of(url), labels[one.key])


def _failure(failed: Failed, jobs: Jobs, actor: Actor, destination: str, label: str) -> report.Failure:
    key = actor.keys[failed.key]
    until = failed.started + jobs.length
    how = "deleted" if key.end == "deleted" else "made Inactive"
    since = key.current_until
    held = f", {durations.show(_time(failed.ended - since))} after it had become LAST" if since is not None else ""
    return report.Failure(
        job=jobs.kind.name,
        destination=destination,
        key=failed.key,
        count=failed.count,
        started=int(failed.started),
        needed_until=int(until),
        failed_at=int(failed.ended),
        message=f"The first of them started on {day(failed.started)}, read key {label} from {destination} and needed "
        f"it until {day(until)}. The key was {how} on {day(failed.ended)}{held}.",
        remedy=remedy(jobs.kind.length, actor.job.policy),
    )


def remedy(length: timedelta, policy: RotationPolicy) -> str:
    """Return how a policy has to change for jobs of a length, with the arithmetic."""
    needs, grace = durations.exact(length), durations.exact(policy.grace)
    if length <= policy.grace:
        return (
            f"LAST works for at least {grace} after a rotation (grace), which is enough for a job of {needs}: find "
            "out what removed the key earlier."
        )
    longest = policy.period - policy.slack - policy.soak
    if length <= longest:
        return (
            f"LAST works for at least {grace} after a rotation (grace), and the job needs {needs}: set grace to at "
            f"least {needs}, which the window of {durations.exact(policy.window)} allows."
        )
    window = upwards((length + policy.soak) * 48 / 23)
    soak = f" less the soak of {durations.exact(policy.soak)}" if policy.soak else ""
    return (
        f"LAST works for at least {grace} after a rotation (grace), and the job needs {needs}. Grace is at most 23/48 "
        f"of the window{soak}, so set the window to at least {durations.exact(window)}, or let the job read its key "
        "again (twokey exec)."
    )


def _late(
    rotation: Rotation, actor: Actor, played: Played, options: Options, labels: Mapping[str, str]
) -> report.Late | None:
    policy, end = actor.job.policy, options.length.total_seconds()
    done = rotation.done if rotation.done is not None else end
    begun = rotation.begun if rotation.begun is not None else end
    if begun <= rotation.due + policy.slack.total_seconds():
        return None
    message, advice = _why_late(rotation, done, actor, played, options)
    return report.Late(
        due=int(rotation.due),
        done=_int(rotation.done),
        late_by=int(done - rotation.due),
        message=_with_labels(message, labels),
        remedy=advice,
    )


def _with_labels(message: str, labels: Mapping[str, str]) -> str:
    """Return a message with the letters of keys in place of their ids: those are the emulator's."""
    for key_id, label in labels.items():
        message = message.replace(commands.trace_command(key_id), "twokey trace").replace(key_id, f"key {label}")
    return message


def _why_late(rotation: Rotation, done: float, actor: Actor, played: Played, options: Options) -> tuple[str, str]:
    policy = actor.job.policy
    outage = played.outage
    if outage and outage[0] < done and outage[1] > rotation.due:
        message = (
            f"No run took place from {day(outage[0])} to {day(outage[1])}. Access keys do not expire: no job lost its "
            "key, however long an outage lasts."
        )
        if oldest := _oldest_at(done, actor):
            message += (
                f" The oldest key that worked reached {durations.show(_time(oldest))}; the window is "
                f"{durations.exact(policy.window)}."
            )
        return message, "Let a monitor alert you when no run takes place (heartbeat, or twokey status --check)."
    refused = [run for run in rotation.runs if run.outcome == "refused" and run.weather is None]
    if refused and refused[-1].reason == "in_use":
        longest = max((jobs.kind.length for jobs in actor.jobs), default=timedelta(0))
        window = window_for(longest, policy)
        advice = (
            f"Jobs of {durations.exact(longest)} use LAST for that long after a rotation, and it must then be unused "
            f"for {durations.exact(policy.idle)} (idle) within the {durations.exact(policy.period - policy.slack)} "
            f"until the next rotation is due: set the window to at least {durations.exact(window)}."
        )
        return f"It was refused: {refused[-1].message}", advice
    if refused:
        return f"It was refused: {refused[-1].message}", "Do what the message says: no later run decides otherwise."
    met = Counter(run.weather or run.outcome for run in rotation.runs if run.outcome in ("refused", "failed", "killed"))
    every = options.every
    if met:
        what = ", ".join(f"{kind} ({count})" for kind, count in met.items())
        advice = f"Run more often, such as every {durations.show(every / 2)}: that leaves room for more failed runs."
        return f"Its runs met {what}. Each later run continued, and no key in use was lost.", advice
    message = f"Runs take place every {durations.exact(every)}, and a rotation is late after its slack."
    return message, f"Run at least every {durations.show(policy.slack)}, the slack."


def _oldest_at(moment: float, actor: Actor) -> float:
    """Return the age that the oldest key of the rehearsal had reached; 0 where there was none yet."""
    made = [key for key in actor.keys.values() if 0 <= key.created < moment]
    return max((min(moment, key.ended) - key.created for key in made), default=0.0)


def window_for(length: timedelta, policy: RotationPolicy) -> timedelta:
    """Return the shortest window in which jobs of a length delay no rotation: grown until their uses are over."""
    if policy.requested_idle is not None:
        return upwards((length + policy.requested_idle) * 48 / 23)
    # The period less its slack (23/24) less idle (1/15) is 107/120 of the period, and so 107/240 of the window.
    return upwards(length * 240 / 107)


def _notes(users: Sequence[report.User], options: Options, *, as_found: bool) -> Iterator[str]:
    stand_ins = list(dict.fromkeys(one.url for user in users for one in user.destinations if one.stand_in))
    if stand_ins:
        yield (
            f"A secret on the emulator stood in for {', '.join(stand_ins)}: the limits of that service, and what it "
            "does not reveal, were not played. Neither were hooks, locks and alerts."
        )
    if as_found:
        yield (
            "The users began with the ages of their keys. Of two keys, the store was taken to hold the newer one that "
            "is Active: no store was read. The IDs are those of the emulator."
        )
    if options.jobs:
        yield (
            "A job reads its key once, from each destination, when it starts, and uses it again when it ends: the "
            "worst case, since IAM shows no use in between."
        )
    for user in users:
        for jobs in user.jobs:
            if jobs.length > user.grace and jobs.started and not jobs.failed:
                yield (
                    f"{user.user}: a job of {jobs.job} is longer than the grace of "
                    f"{durations.show(_time(user.grace))}. None failed here, but one that reads its key right before a "
                    "rotation may."
                )


def _time(seconds: float) -> timedelta:
    return timedelta(seconds=int(seconds))


def _whole(duration: timedelta) -> int:
    return int(duration.total_seconds())


def _int(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
