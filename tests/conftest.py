"""What all tests share."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite(
    "twokey.testing.contract", "twokey.testing.stores", "clients.conversation", "clients.variables"
)

from hypothesis import settings  # noqa: E402
from hypothesis.internal.conjecture import providers  # noqa: E402

from support import processes, shortcut, shortcut_to_fakes  # noqa: E402
from support.botocore_costs import spare_them  # noqa: E402
from support.order import ordered  # noqa: E402
from support.patience import be_patient  # noqa: E402
from support.rig import Rig  # noqa: E402
from support.warm_up import warm_up  # noqa: E402
from twokey.emulator import Emulator  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("quick", settings.get_profile("same"), max_examples=10)
settings.register_profile("explore", max_examples=50_000, deadline=None, print_blob=True)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "same")
settings.load_profile(PROFILE)
if PROFILE != "explore":
    # Hypothesis also draws constants that it finds in the modules of ours that are imported by then. What a test meets
    # would depend on which others ran before it in the same process, derandomized or not.
    pytest.MonkeyPatch().setattr(providers, "is_local_module_file", lambda _path: False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests run in several processes."""
    processes.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare this process, and so the ones that it starts."""
    # A shell has its background jobs ignore SIGINT, and nohup SIGHUP, and a process inherits that from the one that
    # starts it. Here they have to reach the tests that send them to themselves or to a process of theirs.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _forget_the_aws_of_this_machine()
    spare_them()
    be_patient()
    shortcut.SHORTCUT.install()
    shortcut_to_fakes.SHORTCUT_TO_FAKES.install()
    if processes.number(config):
        config.pluginmanager.register(processes.Processes(warm_up))
    gc.disable()


def _forget_the_aws_of_this_machine() -> None:
    """Keep the credentials, profiles and endpoints of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("AWS_") and name != "AWS_CA_BUNDLE":
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the tests of a connection's two ends have connections."""
    shortcut.SHORTCUT.open = not item.nodeid.startswith(shortcut.ON_CONNECTIONS)
    shortcut_to_fakes.SHORTCUT_TO_FAKES.open = not item.nodeid.startswith(shortcut_to_fakes.ON_CONNECTIONS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each process begin with some of the tests that take long."""
    items[:] = ordered(items, processes.number(config) or 1)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from looking at all tests, and at what they import, again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """An emulator, and twokey's own environment pointing at it."""
    with Emulator() as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        yield Rig(aws)
