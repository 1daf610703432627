"""Kinds of other packages: found by their entry points; whatever is wrong with one is a usage error that names it."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from docs import pages
from support import forked
from twokey.core.errors import Ambiguous, UsageError
from twokey.destinations import plug_ins
from twokey.destinations.address import Address
from twokey.destinations.kind import AwsScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twokey.destinations.kind import Kind
    from twokey.emulator import Emulator

GOOD = """
from twokey.destinations.api import Kind

def check(address): address.allow(())
def open_locker(address, context): raise AssertionError
KIND = Kind(scheme="locker", check=check, open=open_locker)
"""
ENTRY = "locker = locker_kind"


def install(site: Path, module: str, *entries: str, package: str = "twokey-locker") -> None:
    """Put a package where Python finds it, as an installer would."""
    site.mkdir(exist_ok=True)
    (site / "locker_kind.py").write_text(textwrap.dedent(module))
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[twokey.destinations]", *entries, ""]))


ILLEGAL = "ssm:/not a name/{user}"
"""It ends each run, before anything is called: settings are checked in their order."""


def twokey(site: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command in that directory, where Python finds packages; return its exit code and what it prints."""
    with forked.start(*arguments, cwd=site, env=os.environ) as run:
        out, err = run.communicate(300)
        return run.wait(), out, err


def refusal(site: Path, url: str = "locker:{user}") -> str:
    """Return the error of a command that delivers to this URL and then to an illegal one, and so is a usage error."""
    code, out, err = twokey(site, "plan", "ci", "--store", "file:{user}.json", "--to", url, "--to", ILLEGAL)
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("module", "entry"),
    [
        (GOOD, ENTRY),
        (GOOD, "locker = locker_kind:KIND"),
        (GOOD.replace("KIND = ", "MINE = ") + "KINDS = (MINE,)\n", ENTRY),
    ],
)
def test_an_entry_point_names_a_kind_or_a_module(tmp_path: Path, module: str, entry: str) -> None:
    install(tmp_path, module, entry)
    assert "/not a name/" in refusal(tmp_path)
    assert "there is no option 'x' here" in refusal(tmp_path, "locker:{user}?x=1")
    assert "did you mean locker" in refusal(tmp_path, "lokcer:{user}")


@pytest.mark.parametrize(
    ("module", "entry", "why"),
    [
        (
            GOOD.replace("check=check", "chekc=check"),
            ENTRY,
            "InvalidKind: Kind: the field `chekc` is unknown; did you mean check?",
        ),
        (GOOD.replace("check=check, ", ""), ENTRY, "InvalidKind: Kind: the field `check` is missing."),
        (
            GOOD.replace("check=check", 'check="check"'),
            ENTRY,
            "InvalidKind: Kind: the field `check` has the type str; expected callable.",
        ),
        (GOOD.replace("KIND =", "NAMING ="), ENTRY, "locker_kind has neither KIND nor KINDS."),
        (GOOD.replace("KIND = Kind(", "KIND = dict("), ENTRY, "expected KIND to be a Kind, and KINDS a tuple of Kind."),
        (GOOD + "KINDS = [KIND]\n", ENTRY, "expected KIND to be a Kind, and KINDS a tuple of Kind."),
        (
            GOOD.replace('"locker"', '"safe"'),
            ENTRY,
            "its Kind has the scheme safe; expected locker, the name of the entry",
        ),
        ("import nothing_like_it\n", ENTRY, "ModuleNotFoundError: No module named 'nothing_like_it'."),
        ("raise RuntimeError('boom')\n", ENTRY, "RuntimeError at <module>, line 1 of locker_kind.py."),
        ("def (\n", ENTRY, "SyntaxError"),
        (GOOD, "locker = no_such_module", "ModuleNotFoundError: No module named 'no_such_module'."),
        (GOOD, "locker = locker_kind:NONE", "AttributeError"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_its_entry_point(
    tmp_path: Path, module: str, entry: str, why: str
) -> None:
    install(tmp_path, module, entry)
    error = refusal(tmp_path).replace("\n", " ")
    assert f"The destination {entry} of the package twokey-locker cannot be used: " in error
    assert why in error
    assert "twokey-locker" in error.partition("cannot be used")[2]


def test_the_text_of_what_its_import_raises_is_not_shown(tmp_path: Path) -> None:
    """It may hold anything, even the secret that the package has read from a file."""
    install(tmp_path, "raise ValueError('hunter2')\n", ENTRY)
    assert "hunter2" not in refusal(tmp_path)


def test_a_scheme_of_twokeys_own_is_not_replaced(tmp_path: Path) -> None:
    install(tmp_path, GOOD, "ssm = locker_kind", ENTRY)
    error = refusal(tmp_path).replace("\n", " ")
    assert (
        "ssm = locker_kind of the package twokey-locker cannot be used: the scheme ssm is one of twokey's own." in error
    )
    assert "/not a name/" in refusal(tmp_path, "ssm:/{user}")


def test_two_packages_do_not_share_a_scheme(tmp_path: Path) -> None:
    install(tmp_path, GOOD, ENTRY)
    install(tmp_path, GOOD, ENTRY, package="other-locker")
    error = refusal(tmp_path).replace("\n", " ")
    assert "the scheme locker is also added by locker = locker_kind of the package" in error
    assert "twokey-locker" in error
    assert "other-locker" in error
    assert "Uninstall one of them." in error


SOUND = """
from twokey.destinations.api import CannotTell, Hidden, Kind, Receipt, Resolved, Traits

class Locker:
    traits = Traits(atomic=True, conditional=False, confirms="nothing")
    def __init__(self, url): self.name = url
    def held(self): return CannotTell()
    def deliver(self, credential): return Receipt(credential.access_key_id, written=True)
    def preflight(self): pass

def check(address): address.allow(())
def open_locker(address, context): return Locker(address.url)
def resolve(address, context, account): return Resolved(address.rest, "here")
KIND = Kind(scheme="locker", check=check, open=open_locker, resolve=resolve)
"""
"""A kind without a connection, whose destinations do not show which key they hold."""
STORE = (
    SOUND.replace("check=check,", "check=check, store=True,")
    .replace("CannotTell,", "CannotTell, Journal, NotHeld, Record,")
    .replace(
        "def check(address)",
        """
class Locker(Locker):
    def load(self): return Record(NotHeld(), Journal())
    def credential(self): return None
    def room_for(self, journal): pass
    def save_journal(self, journal, revision): raise AssertionError
    def put(self, credential, revision): raise AssertionError
    def fence(self, revision): raise AssertionError

def check(address)""".lstrip(),
    )
)
"""A store that can be read and not written: enough to be planned for."""


@pytest.fixture
def aws(emulator: Emulator, administrator: Callable[[str], Any]) -> Iterator[Emulator]:
    """An account with one user without a key: a rotation creates one at once."""
    emulator.make_user("ci", keys=0)
    yield emulator
    iam = administrator("iam")
    for key_id, *_ in emulator.keys("ci"):
        iam.delete_access_key(UserName="ci", AccessKeyId=key_id)
    iam.delete_user(UserName="ci")


def run(site: Path, aws: Emulator, *arguments: str) -> tuple[int, str]:
    """Run a command against that account; return its exit code and all that it prints, as one line."""
    with forked.start(*arguments, cwd=site, env={**os.environ, **aws.environment()}) as command:
        out, err = command.communicate(300)
        assert "Traceback" not in err
        return command.wait(), re.sub(r"\s+", " ", out + err).strip()


def rotated(site: Path, aws: Emulator, module: str, *, store: bool = False, command: str = "rotate") -> tuple[int, str]:
    install(site, module, ENTRY)
    where = ("--store", "locker:{user}") if store else ("--store", "file:{user}.json", "--to", "locker:{user}")
    return run(site, aws, command, "ci", *where)


def test_a_sound_one_is_delivered_to(tmp_path: Path, aws: Emulator) -> None:
    code, printed = rotated(tmp_path, aws, SOUND)
    assert (code, len(aws.keys("ci"))) == (0, 1), printed
    assert printed.startswith("ci: rotated (no_key).")


def test_a_sound_store_is_planned_for(tmp_path: Path, aws: Emulator) -> None:
    code, printed = rotated(tmp_path, aws, STORE, store=True, command="plan")
    assert (code, printed.startswith("ci: will be rotated (no_key).")) == (0, True), printed


UNUSABLE = "The destination locker = locker_kind of the package twokey-locker cannot be used: "
UPDATE = "Update or uninstall twokey-locker, or report this to its author."

MISFITS = [
    # fields of the values that a destination is described by
    ('confirms="nothing"', 'confirms="nothin"', "Traits: the field `confirms` is 'nothin'; expected one of value,"),
    ("atomic=True", "atomc=True", "Traits: the field `atomc` is unknown; did you mean atomic?"),
    ("atomic=True", 'atomic="yes"', "Traits: the field `atomic` has the type str; expected bool."),
    ("atomic=True, ", "", "Traits: the field `atomic` is missing."),
    # what the functions of the kind take
    ("def check(address): address.allow(())", "def check(): pass", "`check` takes (); expected (address)."),
    ("def check(address)", "def check(one, two)", "`check` takes (one, two); expected (address)."),
    ("open_locker(address, context)", "open_locker(address)", "`open` takes (address); expected (address, context)."),
    (
        "resolve(address, context, account)",
        "resolve(address)",
        "`resolve` takes (address); expected (address, context, account).",
    ),
    # what they raise
    ("address.allow(())", "address.alow(())", "`check` raised AttributeError at check, line 11 of locker_kind.py."),
    ("return Locker(address.url)", "return {}[address.url]", "`open` raised KeyError at open_locker, line 12 of"),
    ('Resolved(address.rest, "here")', "1 / 0", "`resolve` raised ZeroDivisionError at resolve, line 13 of"),
    (
        "self.name = url",
        'self.traits = Traits(atomic=True, conditional=False, confirms="")',
        "`open`: Traits: the field `confirms` is ''; expected one of value, last4, timestamp, nothing.",
    ),
    # what they return
    ("return Locker(address.url)", "Locker(address.url)", "`open` returned None; expected a destination."),
    (
        'return Resolved(address.rest, "here")',
        "return address.rest",
        "`resolve` returned a value of the type str; expected Resolved.",
    ),
    (
        '(address.rest, "here")',
        "(address.rest, None)",
        "`resolve`: Resolved: the field `where` has the type NoneType; expected str.",
    ),
    # the members of the destination
    ("def deliver(", "def delivr(", "its destination has no `deliver` but a `delivr`; did you mean `deliver`?"),
    ("def preflight(", "def preflite(", "its destination has no `preflight` but a `preflite`; did you mean"),
    ("def held(", "def hold(", "its destination has no `held` but a `hold`; did you mean `held`?"),
    ("traits = ", "trait = ", "its destination has no `traits` but a `trait`; did you mean `traits`?"),
    ("self.name = url", "self.nme = url", "its destination has no `name` but a `nme`; did you mean `name`?"),
    ("def preflight(self): pass", "", "its destination has no `preflight`."),
    (
        "def preflight(self): pass",
        "preflight = 1",
        "`preflight` of its destination has the type int; expected a method.",
    ),
    (
        "def deliver(self, credential)",
        "def deliver(self)",
        "`deliver` of its destination takes (); expected (credential).",
    ),
    ("def held(self)", "def held(self, key)", "`held` of its destination takes (key); expected ()."),
    (
        "self.name = url",
        "self.name = 'locker'",
        "`name` of its destination is 'locker'; expected 'locker:ci', the URL.",
    ),
    ("self.name = url", "self.name = None", "`name` of its destination has the type NoneType; expected a string."),
    (
        'traits = Traits(atomic=True, conditional=False, confirms="nothing")',
        "traits = {}",
        "has the type dict; expected Traits.",
    ),
    (
        "self.name = url",
        "self.name, self.value_names = url, [1]",
        "`value_names` of its destination has the type list; expected a tuple of str",
    ),
    (
        "self.name = url",
        "self.name, self.other_members = url, (1,)",
        "`other_members` of its destination holds a value of the type int; expected a tuple of str",
    ),
]


@pytest.mark.parametrize(
    ("right", "wrong", "why"), MISFITS, ids=[wrong or f"no {right}" for right, wrong, _ in MISFITS]
)
def test_one_that_does_not_fit_is_refused_before_a_key_is_created(
    tmp_path: Path, aws: Emulator, right: str, wrong: str, why: str
) -> None:
    assert SOUND.count(right) == 1
    code, printed = rotated(tmp_path, aws, SOUND.replace(right, wrong))
    assert (code, aws.keys("ci"), [*tmp_path.glob("*.json")]) == (2, [], []), printed
    assert UNUSABLE in printed
    assert why in printed
    assert printed.endswith(UPDATE)


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        *(
            (f"def {name}(", f"def {name}s(", f"its store has no `{name}` but a `{name}s`; did you mean `{name}`?")
            for name in ("load", "credential", "room_for", "save_journal", "put", "fence", "deliver")
        ),
        ("def put(self, credential, revision)", "def put(self, credential)", "`put` of its store takes (credential);"),
        (
            "check=check,",
            "check=check, check_store=lambda: None,",
            "`check_store` takes (); expected (address).",
        ),
        (
            "check=check,",
            "check=check, check_store=lambda address: address.opts,",
            "`check_store` raised AttributeError at <lambda>, line ",
        ),
    ],
)
def test_a_store_that_does_not_fit_is_refused_before_a_key_is_created(
    tmp_path: Path, aws: Emulator, right: str, wrong: str, why: str
) -> None:
    assert STORE.count(right) <= 2
    code, printed = rotated(tmp_path, aws, STORE.replace(right, wrong), store=True)
    assert (code, aws.keys("ci")) == (2, []), printed
    assert UNUSABLE in printed
    assert why in printed
    assert printed.endswith(UPDATE)


def test_of_an_exception_the_type_and_the_line_are_shown_and_not_the_text(tmp_path: Path, aws: Emulator) -> None:
    module = SOUND.replace("return Locker(address.url)", "raise ValueError('a secret')")
    _, printed = rotated(tmp_path, aws, module)
    assert "`open` raised ValueError at open_locker, line 12 of locker_kind.py." in printed
    assert "a secret" not in printed


def test_an_error_of_twokeys_own_is_what_it_is(tmp_path: Path, aws: Emulator) -> None:
    module = SOUND.replace("return Locker(address.url)", "raise address.error('Locker is closed.')")
    code, printed = rotated(tmp_path, aws, module)
    assert (code, printed) == (2, "Error: 'locker:ci': Locker is closed.")


CONNECTED = """
from twokey.destinations.api import ConnectionKind, Kind, Settings

def check(address): pass
def connect(settings, context): raise KeyError("a secret")
def open_locker(address, context): return context.connection(address, CONNECTION)
CONNECTION = ConnectionKind(name="locker", settings=Settings, connect=connect)
KIND = Kind(scheme="locker", check=check, open=open_locker, connection=CONNECTION)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        ("", "", "`connect` raised KeyError at connect, line 5 of locker_kind.py."),
        ("(settings, context)", "(settings)", "`connect` takes (settings); expected (settings, context)."),
    ],
)
def test_a_connection_that_cannot_be_made_is_the_packages_error(
    tmp_path: Path, aws: Emulator, right: str, wrong: str, why: str
) -> None:
    code, printed = rotated(tmp_path, aws, CONNECTED.replace(right, wrong))
    assert (code, aws.keys("ci")) == (2, []), printed
    assert UNUSABLE + why in printed
    assert "a secret" not in printed


IN_AWS = """
from twokey.destinations.api import Kind

def check(address): pass
def open_locker(address, context): raise AssertionError
def resources(address, scope, store): return {"locker": (scope.arn("locker", address.rest),)}
def read_secret(address, context): return "a token"
KIND = Kind(scheme="locker", check=check, open=open_locker, resources=resources, read_secret=read_secret)
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Kind]:
    """Load the kind of a module in this process."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(text: str) -> Kind:
        (tmp_path / "locker_kind.py").write_text(text)
        monkeypatch.delitem(sys.modules, "locker_kind", raising=False)
        try:
            return plug_ins.load(EntryPoint("locker", "locker_kind", plug_ins.GROUP))
        finally:
            sys.modules.pop("locker_kind", None)

    return load


ADDRESS = Address("locker:ci", "locker", "ci")
SCOPE = AwsScope("aws", "eu-west-1", "123456789012")
NO_CONTEXT: Any = None


class TestWhatAFunctionReturns:
    def test_is_passed_on(self, loaded: Callable[[str], Kind]) -> None:
        kind = loaded(IN_AWS)
        assert kind.resources
        assert kind.read_secret
        assert kind.resources(ADDRESS, SCOPE, False) == {"locker": (SCOPE.arn("locker", "ci"),)}
        secret = kind.read_secret(ADDRESS, NO_CONTEXT)
        assert (secret, repr(secret)) == ("a token", "(hidden)")

    @pytest.mark.parametrize(
        ("wrong", "what"),
        [
            ("None", "None"),
            ("()", "a value of the type tuple"),
            ('{"locker": "arn"}', "a value of the type dict"),
            ('{"locker": (1,)}', "a value of the type dict"),
        ],
    )
    def test_is_refused_where_it_is_no_mapping_of_arns(
        self, loaded: Callable[[str], Kind], wrong: str, what: str
    ) -> None:
        kind = loaded(IN_AWS.replace('{"locker": (scope.arn("locker", address.rest),)}', wrong))
        assert kind.resources
        with pytest.raises(UsageError) as refused:
            kind.resources(ADDRESS, SCOPE, False)
        assert refused.value.message == (
            "The destination locker = locker_kind cannot be used: "
            f"`resources` returned {what}; expected a mapping of tuples of ARNs."
        )
        assert refused.value.remedy == "Update or uninstall the package, or report this to its author."

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ("return 1", "has a bug (`read_secret` returned a value of the type int; expected Hidden)."),
            ("pass", "has a bug (`read_secret` returned None; expected Hidden)."),
            ("raise KeyError('a secret')", "has a bug, or received what it does not expect (KeyError at read_secret,"),
        ],
    )
    def test_is_a_failed_read_where_it_is_no_secret(self, loaded: Callable[[str], Kind], wrong: str, why: str) -> None:
        kind = loaded(IN_AWS.replace('return "a token"', wrong))
        assert kind.read_secret
        with pytest.raises(Ambiguous) as failed:
            kind.read_secret(ADDRESS, NO_CONTEXT)
        assert f"locker:ci: the code that reads or writes it {why}" in failed.value.message
        assert "a secret" not in str(failed.value)
        assert failed.value.state == ""

    def test_is_an_error_of_twokeys_own_where_it_raises_one(self, loaded: Callable[[str], Kind]) -> None:
        kind = loaded(IN_AWS.replace('return "a token"', "raise address.error('It is closed.')"))
        assert kind.read_secret
        with pytest.raises(UsageError, match=r"^'locker:ci': It is closed"):
            kind.read_secret(ADDRESS, NO_CONTEXT)

    @pytest.mark.parametrize(
        ("right", "wrong", "why"),
        [
            ("(address, scope, store)", "(address, scope)", "`resources` takes (address, scope); expected"),
            ("read_secret(address, context)", "read_secret()", "`read_secret` takes (); expected (address, context)."),
            ("scheme=", "load_many=check, scheme=", "`load_many` takes (address); expected (addresses, context)."),
        ],
    )
    def test_does_not_count_where_it_takes_other_arguments(
        self, loaded: Callable[[str], Kind], right: str, wrong: str, why: str
    ) -> None:
        with pytest.raises(UsageError) as refused:
            loaded(IN_AWS.replace(right, wrong))
        assert why in refused.value.message

    @pytest.mark.parametrize("open_locker", ["print", "lambda *some: None", "lambda address, context, more=1: None"])
    def test_counts_where_it_can_be_called_or_does_not_say(
        self, loaded: Callable[[str], Kind], open_locker: str
    ) -> None:
        assert loaded(IN_AWS.replace("open=open_locker", f"open={open_locker}")).scheme == "locker"


NOT_A_HOLDING = [
    ("return CannotTell()", "pass", "`held` returned None; expected Held, NotHeld or CannotTell"),
    (
        "return CannotTell()",
        "return 'AKIA'",
        "`held` returned a value of the type str; expected Held, NotHeld or CannotTell",
    ),
    (
        "return CannotTell()",
        "return CannotTell(stamp=1)",
        "CannotTell: the field `stamp` has the type int; expected str",
    ),
    ("return CannotTell()", "return Held(None)", "Held: the field `key_id` has the type NoneType; expected str"),
]


@pytest.mark.parametrize("command", ["plan", "status"])
@pytest.mark.parametrize(("right", "wrong", "why"), NOT_A_HOLDING)
def test_what_is_no_holding_is_named_with_its_destination_and_means_that_nothing_is_known(
    tmp_path: Path, aws: Emulator, command: str, right: str, wrong: str, why: str
) -> None:
    module = SOUND.replace("CannotTell,", "CannotTell, Held,").replace(right, wrong)
    _, printed = rotated(tmp_path, aws, module, command=command)
    assert f"locker:ci: the code that reads or writes it has a bug ({why})." in printed
    assert "efect in twokey" not in printed


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("pass", "`deliver` returned None; expected Receipt"),
        ("return Receipt(None, written=True)", "Receipt: the field `key_id` has the type NoneType; expected str"),
        (
            "return Receipt(credential.access_key_id, written=1)",
            "Receipt: the field `written` has the type int; expected bool",
        ),
        ("return Receipt(credential.access_key_id)", "Receipt: the field `written` is missing"),
        (
            "return Receipt(credential.access_key_id, writen=True)",
            "Receipt: the field `writen` is unknown; did you mean written?",
        ),
    ],
)
def test_what_is_no_receipt_is_a_failed_delivery(tmp_path: Path, aws: Emulator, wrong: str, why: str) -> None:
    module = SOUND.replace("return Receipt(credential.access_key_id, written=True)", wrong)
    code, printed = rotated(tmp_path, aws, module)
    assert (code, "ci: failed (delivery_failed)" in printed) == (1, True), printed
    assert f"locker:ci: the code that reads or writes it has a bug ({why})." in printed


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("pass", "`load` returned None; expected Record"),
        (
            "return Record(None, Journal())",
            "Record: the field `holding` has the type NoneType; expected Held, NotHeld or CannotTell",
        ),
        (
            "return Record(NotHeld(), None)",
            "Record: the field `journal` has the type NoneType; expected Journal",
        ),
    ],
)
def test_what_is_no_record_refuses_the_user(tmp_path: Path, aws: Emulator, wrong: str, why: str) -> None:
    module = STORE.replace("return Record(NotHeld(), Journal())", wrong)
    code, printed = rotated(tmp_path, aws, module, store=True)
    assert (code, aws.keys("ci")) == (3, []), printed
    assert f"locker:ci: the code that reads or writes it has a bug ({why})." in printed


BROKEN = "raise RuntimeError('boom')\n"
CONNECTIONS = """
version: 1
machine_users:
  - users: [ci]
    store: file:{user}.json
connections:
  NAME: {url: 'http://not encrypted'}
"""


@pytest.mark.parametrize(
    ("name", "expected"), [("gitlab", "`gitlab` has no `token`"), ("locker", "RuntimeError at <module>, line 1 of ")]
)
def test_one_that_cannot_be_used_does_not_get_in_the_way_of_other_connections(
    tmp_path: Path, name: str, expected: str
) -> None:
    install(tmp_path, BROKEN, ENTRY)
    (tmp_path / "twokey.yaml").write_text(CONNECTIONS.replace("NAME", name))
    code, _, err = twokey(tmp_path, "plan")
    assert code == 2
    assert expected in err.replace("\n", " ")


def test_the_page_for_authors_imports_the_facade_and_the_contract_only() -> None:
    text = (pages.DOCS / "how-to" / "write-a-destination.md").read_text(encoding="utf-8")
    imported = set(re.findall(r"^\s*(?:from|import) (twokey[\w.]*)", text, re.MULTILINE))
    assert imported == {"twokey.destinations.api", "twokey.testing.contract", "twokey.testing.server"}
