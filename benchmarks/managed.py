"""`twokey audit` of users that twokey rotates: besides the credential report, it reads a journal for each.

As many users as in ``audit``, at the same latency, with their stores in a service that returns several of them with one
request (Parameter Store), and in one that returns one journal (Secrets Manager). A rotation of this many users would
take hours, so the stores are filled as a rotation of the day before leaves them.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.children import MeasurementFailed, measure, medians, script
from benchmarks.cloud import PATH, Cloud
from benchmarks.figures import Figure, at_most
from twokey.core.journal import Journal
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.stores.secretsmanager import version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.children import Cost

DAY = 86400.0
STORES = {
    "Parameter Store": ("ssm:/machine-users/{user}", "ssm"),
    "Secrets Manager": ("secretsmanager:machine-users/{user}", "secretsmanager"),
}


def run(count: int, calls: Cost, weather: Mapping[str, object]) -> list[Figure]:
    """Measure both stores; ``calls`` is what as many users cost with calls for each."""
    return [figure for name in STORES for figure in _measured(name, count, calls, weather)]


def _measured(name: str, count: int, calls: Cost, weather: Mapping[str, object]) -> list[Figure]:
    url, service = STORES[name]
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        Path(folder, "twokey.yaml").write_text(f'version: 1\nmachine_users: [{{path: {PATH}, store: "{url}"}}]\n')
        fill(cloud, name, count)
        cloud.client("iam").generate_credential_report()
        cloud.weather(**weather)
        cloud.clear_requests()
        cost = measure([script("twokey"), "audit", "--json"], cloud.environment, cwd=Path(folder))
        counted = Counter(one.name.partition(":")[0] for one in cloud.requests())
    roles = Counter(one["role"] for one in json.loads(cost.output)["keys"])
    if (roles["current"], roles["last"]) != (count, count):
        raise MeasurementFailed(f"twokey does not know the roles of the keys that it rotated: {roles}.")
    against = f"a call per user ({calls.requests:,} requests, {calls.wall:.0f} s): {medians([cost])}"
    requests = sum(counted.values())
    few = service == "ssm"
    return [
        Figure(
            f"audit of {count:,} rotated users, {name}, requests per call",
            requests / calls.requests,
            f"{against}, {requests:,} requests",
            at_most(0.1) if few else at_most(0.34),
        ),
        Figure("the same, wall", cost.wall / calls.wall, against, at_most(0.1)),
        Figure("the same, requests to IAM", counted["iam"], against, at_most(calls.requests / 100)),
    ]


def fill(cloud: Cloud, name: str, count: int, days: float = 1) -> None:
    """Create users and their stores of this name, as a rotation of so many days before left them."""
    url, service = STORES[name]
    template = url.partition(":")[2]
    client, iam = cloud.client(service), cloud.client("iam")
    write = _put_parameters if service == "ssm" else _create_secret

    def make(number: int) -> None:
        user = f"machine-{number:04d}"
        last, current = cloud.make_user(user, [(days + 15) * DAY, days * DAY])
        created = {
            one["AccessKeyId"]: one["CreateDate"] for one in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        }
        journal = Journal(epoch=2, current=current, last=last, committed=created[current] + timedelta(seconds=5))
        write(client, template.format(user=user), current, encode_journal(journal))

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(make, range(count)))


def _pair(key_id: str) -> str:
    return json.dumps({"AccessKeyId": key_id, "SecretAccessKey": "x" * 40})


def _put_parameters(client: Any, name: str, current: str, journal: str) -> None:
    client.put_parameter(Name=name, Value=_pair(current), Type="SecureString")
    client.put_parameter(Name=f"{name}.twokey-journal", Value=journal, Type="String")


def _create_secret(client: Any, name: str, current: str, journal: str) -> None:
    client.create_secret(Name=name, SecretString=_pair(current), ClientRequestToken=version_of(current))
    client.put_secret_value(SecretId=name, SecretString=journal, VersionStages=["TWOKEY_JOURNAL"])
