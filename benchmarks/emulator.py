"""The processor time of a request to the emulator, against a server that sends fixed bytes.

Each time is that of the client, the connection and the server together: all run in this process.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.figures import Figure, at_most, ratio_of_medians
from twokey.aws.isolated import make_client
from twokey.emulator import Emulator
from twokey.emulator.front import Delivery
from twokey.emulator.responses import Response
from twokey.emulator.server import HOST, Server

CALLS = 200
EMPTY_LIST = b"""<ListAccessKeysResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListAccessKeysResult>
<IsTruncated>false</IsTruncated><AccessKeyMetadata/></ListAccessKeysResult></ListAccessKeysResponse>"""


def run(runs: int) -> list[Figure]:
    """Measure both, alternating."""
    fixed = Delivery(Response(200, (("Content-Type", "text/xml"),), EMPTY_LIST))
    server = Server(0, lambda *_: fixed, lambda: "Mon, 01 Jun 2026 00:00:00 GMT")
    server.start()
    try:
        with Emulator() as aws:
            aws.make_user("ci")
            ours = aws.client("iam")
            least = make_client(
                "iam",
                endpoint_url=f"http://{HOST}:{server.port}",
                region=aws.region,
                key_id=aws.admin.access_key_id,
                secret=aws.admin.secret_access_key,
            )
            for client in (ours, least):
                _seconds(client)  # the first calls read service models and connect
            measured = [(_seconds(ours), _seconds(least)) for _ in range(3 * runs)]
    finally:
        server.stop()
    ratio = ratio_of_medians([pair[0] for pair in measured], [pair[1] for pair in measured])
    return [Figure("emulator: ListAccessKeys, CPU", ratio, "a server that sends fixed bytes", at_most(2.5))]


def _seconds(client: Any) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        client.list_access_keys(UserName="ci")
    return time.process_time() - start
