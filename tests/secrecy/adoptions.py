"""Every way in which a takeover can end, set up on the emulator: at least one case for each of its reasons."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from secrecy.outcomes import QUICK, STORE, WRITE
from support.rig import DAY
from twokey.core.reasons import Reason
from twokey.emulator import KeyPair, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from secrecy.outcomes import Stage

FILE = "copies/{user}.json"


@dataclass(frozen=True)
class Invocation:
    """The options of a case, and what is piped in."""

    options: tuple[str, ...] = ()
    stdin: str = ""


@dataclass(frozen=True)
class Adoption:
    """``prepare`` prepares the stage for the user ``ci`` and returns the invocation of the command."""

    outcome: str
    reason: Reason
    prepare: Callable[[Stage], Invocation]
    name: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.outcome, self.reason, self.name)))


def text(pair: KeyPair, *, printed: bool = False) -> str:
    """Return a pair as a file holds it, or as the AWS CLI prints it."""
    members = {"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key}
    return json.dumps({"AccessKey": {"UserName": "ci", "Status": "Active", **members}} if printed else members)


def configured(stage: Stage) -> tuple[str, ...]:
    """Write a configuration file with a store and a file as destination; return the options that name it."""
    file = stage.folder / "twokey.yaml"
    (stage.folder / "copies").mkdir(exist_ok=True)
    entry = f"users: [ci]\n    store: {STORE}\n    deliver: ['file:{stage.folder}/{FILE}']"
    file.write_text(f"version: 1\nsettle: 0s\n{QUICK}\nmachine_users:\n  - {entry}\n")
    return ("--config", str(file))


def _keys(stage: Stage, number: int = 2) -> list[KeyPair]:
    return stage.rig.aws.make_user("ci", path="/machine-users/", keys=number, ages=(40 * DAY, 16 * DAY))


def _copied(stage: Stage, pair: KeyPair) -> None:
    copy = stage.folder / "copies" / "ci.json"
    copy.write_text(text(pair))
    copy.chmod(0o600)


def from_destination(stage: Stage) -> Invocation:
    _copied(stage, _keys(stage)[1])
    return Invocation()


def from_stdin(stage: Stage) -> Invocation:
    return Invocation(("--stdin",), text(_keys(stage)[1], printed=True))


def from_file(stage: Stage) -> Invocation:
    other = stage.folder / "existing.json"
    other.write_text(text(_keys(stage)[1]))
    return Invocation(("--from", f"file:{other}"))


def managed(stage: Stage) -> Invocation:
    _keys(stage, 0)
    stage.rig.rotate()
    return Invocation()


def differing(stage: Stage) -> Invocation:
    older, newer = _keys(stage)
    stage.rig.fill(newer)
    return Invocation(("--stdin",), text(older))


def unlisted(stage: Stage) -> Invocation:
    _keys(stage)
    (other,) = stage.rig.aws.make_user("other", keys=1)
    return Invocation(("--stdin",), text(other))


def inactive(stage: Stage) -> Invocation:
    _, newer = _keys(stage)
    iam = stage.rig.aws.client("iam")
    iam.update_access_key(UserName="ci", AccessKeyId=newer.access_key_id, Status="Inactive")
    return Invocation(("--stdin",), text(newer))


def mixed_up(stage: Stage) -> Invocation:
    """The id of one key with the secret of the other."""
    older, newer = _keys(stage)
    return Invocation(("--stdin",), text(KeyPair(newer.access_key_id, older.secret_access_key)))


def swapped(stage: Stage) -> Invocation:
    """The secret is in the position of the id."""
    newer = _keys(stage)[1]
    _copied(stage, KeyPair(newer.secret_access_key, newer.access_key_id))
    return Invocation()


def in_doubt(stage: Stage) -> Invocation:
    from_destination(stage)
    stage.rig.fill(KeyPair("AKIAGONEGONEGONEGONE", "-"))
    stage.rig.aws.weather.add(Rule(WRITE, effect="error_before", status=500, nth=3, times=None))
    return Invocation(("--stdin",), (stage.folder / "copies" / "ci.json").read_text())


ADOPTIONS = (
    Adoption("adopted", Reason.EXISTING_KEY, from_destination, "from a destination"),
    Adoption("adopted", Reason.EXISTING_KEY, from_stdin, "from standard input"),
    Adoption("adopted", Reason.EXISTING_KEY, from_file, "from a file"),
    Adoption("nothing", Reason.MANAGED, managed),
    Adoption("refused", Reason.DESTINATIONS_DIFFER, differing),
    Adoption("refused", Reason.NOT_LISTED, unlisted),
    Adoption("refused", Reason.INACTIVE, inactive),
    Adoption("refused", Reason.UNVERIFIED, mixed_up),
    Adoption("refused", Reason.CANNOT_ATTRIBUTE, swapped, "swapped"),
    Adoption("failed", Reason.ERROR, in_doubt),
)
