"""An AWS emulator that is strict where AWS is strict: a front over moto, in this process, on the loopback address.

    with Emulator() as aws:
        aws.make_user("ci")
        aws.weather.propagation = 5.0
        aws.client("iam").list_users()

moto and flask are imported when an Emulator starts. They come with the extra `emulator`: from a checkout,
`pip install '.[emulator]'`.
"""

from __future__ import annotations

from twokey.emulator.emulator import Emulator
from twokey.emulator.values import EmulatorError, KeyPair, Request
from twokey.emulator.weather import Rule, Weather

__all__ = ["Emulator", "EmulatorError", "KeyPair", "Request", "Rule", "Weather"]
