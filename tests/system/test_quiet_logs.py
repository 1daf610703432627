"""What botocore logs about twokey's requests is in no log; what it logs for other code is as it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from twokey.aws.clients import Clients
from twokey.aws.iam import Iam
from twokey.system import quiet_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig

LIBRARIES = ("botocore", "urllib3")


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)

    @property
    def libraries(self) -> set[str]:
        """The libraries that logged at DEBUG."""
        found = {record.name.partition(".")[0] for record in self.heard if record.levelno <= logging.DEBUG}
        return found & {*LIBRARIES}


@pytest.fixture
def log(rig: Rig) -> Iterator[Listener]:
    """Everything that any library logs, for a program that has switched on all of it."""
    root, listener = logging.getLogger(), Listener()
    level, disabled = root.level, root.manager.disable
    logging.disable(logging.NOTSET)
    root.setLevel(logging.DEBUG)
    root.addHandler(listener)
    yield listener
    root.removeHandler(listener)
    root.setLevel(level)
    logging.disable(disabled)


def loggers() -> set[str]:
    known = logging.getLogger().manager.loggerDict.items()
    return {name for name, one in known if isinstance(one, logging.Logger) and name.partition(".")[0] in LIBRARIES}


def test_no_request_of_twokey_is_logged_and_every_other_one_is(rig: Rig, log: Listener) -> None:
    rig.settled()
    client = rig.aws.client("iam")
    log.heard.clear()
    clients = Clients("run")
    assert Iam(clients).user("ci").name == "ci"
    clients.own_key()
    assert log.libraries == set()
    before = loggers()
    rig.rotate()
    assert log.libraries == set()
    assert loggers() == before, "a logger that came later would have no filter"
    client.get_user(UserName="ci")
    assert log.libraries >= {"botocore"}


def test_warnings_are_logged_whoever_causes_them(log: Listener) -> None:
    logger = logging.getLogger("botocore.credentials")
    quiet_logs.hide("botocore")
    quiet_logs.hide("botocore")
    assert len([one for one in logger.filters if isinstance(one, quiet_logs._NotOfTwokey)]) == 1
    calls = {"__name__": "twokey.somewhere", "logger": logger}
    exec("logger.debug('a body')\nlogger.warning('an end')", calls)
    assert [record.getMessage() for record in log.heard] == ["an end"]


def test_a_library_can_be_silenced_for_twokey_alone(log: Listener) -> None:
    logger = logging.getLogger("apprise")
    quiet_logs.hide("apprise", above=logging.CRITICAL)
    exec("logger.critical('a URL')", {"__name__": "twokey.somewhere", "logger": logger})
    logger.warning("of the program")
    assert [record.getMessage() for record in log.heard] == ["of the program"]
