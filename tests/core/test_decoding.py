"""Typed JSON is read by many threads at once: hundreds of users, and destinations, are read at the same time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import twokey

AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
from twokey.core.journal import Journal
text = (
    '{"current": "K", "committed": "2026-05-16T00:00:00Z", "lease": {"run": "r", "host": "h", "process": 1,'
    ' "start": "1", "until": "2026-05-16T00:00:00Z"}, "delivered": {"x": {"key": "K", "at": "2026-05-16T00:00:00Z"}}}'
)
barrier = threading.Barrier(16)
def read():
    barrier.wait()
    Journal.decode(text)
threads = [threading.Thread(target=read) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
BUILT_IN = re.compile(r"type=(dict\[|str\)|msgspec\.Raw)")


def test_the_first_journals_can_be_read_by_many_threads_at_once() -> None:
    """Without the lock, about every fifth of these processes dies of a segmentation fault."""
    for _ in range(12):
        assert subprocess.run([sys.executable, "-c", AT_ONCE], check=False, timeout=300).returncode == 0


def test_no_other_module_reads_a_type_of_its_own_without_the_lock() -> None:
    folder = Path(twokey.__file__).parent
    for file in folder.rglob("*.py"):
        for call in re.findall(r"msgspec\.json\.decode\(.*", file.read_text(encoding="utf-8")):
            assert "type=" not in call or BUILT_IN.search(call), f"{file.name}: {call}: use twokey.core.decoding"
