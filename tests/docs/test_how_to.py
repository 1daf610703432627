"""The how-to pages do what they say."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from docs import consoles, pages
from support import forked
from support.commands import twokey
from support.spacelift import Spacelift
from twokey.audit_log import records
from twokey.audit_log.log import AuditLog
from twokey.aws import iam
from twokey.destinations.stores import secretsmanager
from twokey.emulator import Emulator, KeyPair

if TYPE_CHECKING:
    from pathlib import Path

HOW_TO = pages.DOCS / "how-to"
STORE = "secretsmanager:machine-users/{user}"


@pytest.mark.first
def test_existing_users(tmp_path: Path) -> None:
    """The store is empty. Of four users, one has its credential in a destination, one in a file of somebody's."""
    with Emulator() as aws:
        keys = [*aws.make_user("build"), *aws.make_user("site", keys=1), *aws.make_user("docs"), *aws.make_user("shop")]
        (tmp_path / "deploy").mkdir()
        _write(tmp_path / "deploy" / "docs.json", keys[4])
        _write(tmp_path / "shop-pair.json", keys[6])
        known = [key.access_key_id for key in keys]
        consoles.check(HOW_TO / "existing-users.md", tmp_path, aws.environment(), known=known)


def _write(file: Path, pair: KeyPair) -> None:
    file.write_text(json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key}))


def test_deliver(tmp_path: Path) -> None:
    """One user without a key."""
    with Emulator() as aws:
        aws.make_user("build", keys=0)
        consoles.check(HOW_TO / "deliver.md", tmp_path, aws.environment())


def test_trace_a_key(tmp_path: Path) -> None:
    """A key that was created outside twokey is used by two programs, one of which may be an intruder's."""
    with Emulator() as aws:
        [key] = aws.make_user("legacy", path="/", keys=1, ages=(0,))
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        aws.client("iam").put_user_policy(UserName="legacy", PolicyName="all", PolicyDocument=policy)
        _as_program(aws, key, "sts", "203.0.113.9", "nightly-export/2.1").get_caller_identity()
        _as_program(aws, key, "iam", "198.51.100.7", "python-requests/2.32").create_user(UserName="support")
        aws.advance(3600)
        consoles.check(HOW_TO / "trace-a-key.md", tmp_path, aws.environment(), known=[key.access_key_id])


def _as_program(aws: Emulator, key: KeyPair, service: str, address: str, name: str) -> Any:
    client = aws.client(service, key=key)
    headers = {"x-emulator-source-ip": address, "User-Agent": name}
    client.meta.events.register("before-send", lambda request, **_: request.headers.update(headers))
    return client


def test_watch_for_leaks(tmp_path: Path) -> None:
    """One user, whose key is in a file."""
    with Emulator() as aws:
        [pair] = aws.make_user("ci", keys=1)
        (tmp_path / "settings").mkdir()
        text = f"ACCESS_KEY={pair.access_key_id}\nSECRET={pair.secret_access_key}\n"
        (tmp_path / "settings" / "ci.env").write_text(text)
        consoles.check(HOW_TO / "watch-for-leaks.md", tmp_path, aws.environment(), known=[pair.access_key_id])


def test_leaked_key_runbook(tmp_path: Path) -> None:
    """One user with one key, which its store holds."""
    with Emulator() as aws:
        [pair] = aws.make_user("ci", keys=1)
        value = json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key})
        aws.client("secretsmanager").create_secret(Name="machine-users/ci", SecretString=value)
        consoles.check(HOW_TO / "leaked-key-runbook.md", tmp_path, aws.environment())


def test_approve_a_plan(tmp_path: Path) -> None:
    """One user without a key."""
    with Emulator() as aws:
        aws.make_user("ci", keys=0)
        consoles.check(HOW_TO / "approve-a-plan.md", tmp_path, aws.environment())


def test_audit_log(tmp_path: Path) -> None:
    """One user without a key, one with one."""
    with Emulator() as aws:
        aws.make_user("build", keys=0)
        aws.make_user("site", keys=1)
        consoles.check(HOW_TO / "audit-log.md", tmp_path, aws.environment())


def test_a_chain_can_be_followed_without_twokey(tmp_path: Path) -> None:
    """The shell line of the reference computes the hash that the log's own line has."""
    file = tmp_path / "audit.log"
    log = AuditLog.open(file)
    for number in range(8):
        log.append(records.Began(at=datetime.now(UTC), run=f"{number}", version="1", host="here", process=number))
    log.close()
    (line,) = [text for text in pages.blocks(pages.DOCS / "reference" / "audit-log.md", "sh") if "sha256sum" in text]
    printed = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == json.loads(file.read_text().splitlines()[6])["hash"]


def test_rehearse(tmp_path: Path) -> None:
    """The page starts an emulator of its own."""
    consoles.check(HOW_TO / "rehearse.md", tmp_path, {})


def test_write_a_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package on the page, found by its entry point: its own tests pass, and the real command delivers with it."""
    page = HOW_TO / "write-a-destination.md"
    site, here = tmp_path / "site", tmp_path / "here"
    installed(page, site)
    here.mkdir()
    monkeypatch.syspath_prepend(str(site))
    with Emulator() as aws, importlib.import_module("locker_fake").FakeLocker() as locker:
        locker.lockers["build"] = {}
        aws.make_user("build", keys=0)
        environment = {
            **aws.environment(),
            "LOCKER_TOKEN": locker.token,
            "LOCKER_URL": locker.url,
            "PYTHONPATH": os.pathsep.join((str(site), str(pages.ROOT / "src"))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        consoles.check(page, here, environment)
        suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_locker.py"]
        ran = subprocess.run(
            suite, cwd=here, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout
        assert int(ran.stdout.split()[-4]) >= 36, ran.stdout
        (key,) = aws.keys("build")
        assert locker.lockers["build"]["AWS_ACCESS_KEY_ID"]["value"] == key[0]


def test_deliver_by_a_program(tmp_path: Path) -> None:
    """The program on the page delivers to a service that twokey has no kind for; one user without a key."""
    with Emulator() as aws, Spacelift() as spacelift:
        aws.make_user("build", keys=0)
        environment = {
            **aws.environment(),
            "SPACELIFT_API_KEY_ENDPOINT": spacelift.url,
            "SPACELIFT_API_KEY_ID": spacelift.key["id"],
            "SPACELIFT_API_KEY_SECRET": spacelift.key["secret"],
        }
        consoles.check(HOW_TO / "deliver-by-a-program.md", tmp_path, environment)
        (key,) = aws.keys("build")
        context = spacelift.contexts["aws-build"]
        assert context["AWS_ACCESS_KEY_ID"]["value"] == key[0]
        assert context["AWS_SECRET_ACCESS_KEY"]["writeOnly"]


def test_monitor(tmp_path: Path) -> None:
    """Two users without a key; the shell scripts are those that a shell accepts."""
    with Emulator() as aws:
        for name in ("build", "site"):
            aws.make_user(name, keys=0)
        consoles.check(HOW_TO / "monitor.md", tmp_path, aws.environment())
    for script in pages.blocks(HOW_TO / "monitor.md", "sh"):
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


STAND_IN = """#!/bin/sh
printf '%s\\n' "$0" "$@" > {folder}/arguments
cat > {folder}/message
"""


@pytest.mark.parametrize("number", [0, 1])
def test_hooks(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configurations on the page, with stand-ins for kubectl and the AWS CLI: both are run as they expect it."""
    expected = (
        ["kubectl", "rollout", "restart", "deployment/web", "--namespace", "apps"],
        ["aws", "ecs", "update-service", "--cluster", "apps", "--service", "web", "--force-new-deployment"],
    )[number]
    stand_in = tmp_path / expected[0]
    stand_in.write_text(STAND_IN.format(folder=tmp_path))
    stand_in.chmod(0o755)
    text = [one for one in pages.blocks(HOW_TO / "hooks.md", "yaml") if one.startswith("version: 1")][number]
    (tmp_path / "twokey.yaml").write_text(text.replace("/usr/local/bin", str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    for name in yaml.safe_load(text)["machine_users"][0]["hooks"]["after"]["env"]:
        monkeypatch.setenv(name, "given")
    with Emulator() as aws:
        aws.make_user("web", keys=0)
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        ran = twokey("rotate")
        assert ran.code == 0, ran
        ((current, *_),) = aws.keys("web")
    program, *arguments = (tmp_path / "arguments").read_text().splitlines()
    assert [program, *arguments] == [str(stand_in), *expected[1:]]
    message = json.loads((tmp_path / "message").read_text())
    assert (message["user"], message["outcome"], message["current"]) == ("web", "rotated", current)
    (shown,) = pages.blocks(HOW_TO / "hooks.md", "json")
    assert list(message) == list(json.loads(shown))


def test_the_program_for_many_users(tmp_path: Path) -> None:
    """The shell script on the page restarts what is named like the user."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (script,) = (one for one in pages.blocks(HOW_TO / "hooks.md", "sh") if "restart-consumer" in one)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\necho "$@"\n')
    kubectl.chmod(0o755)
    ran = subprocess.run(
        ["sh", "-c", script.replace("/usr/local/bin", str(tmp_path))],
        input='{"user": "web"}',
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "rollout restart deployment/web --namespace apps\n"


def installed(page: Path, site: Path) -> None:
    """Put a page's package where Python finds it, as an installer would."""
    project = tomllib.loads(pages.blocks(page, "toml")[0])
    modules = {block.split()[1]: block for block in pages.blocks(page, "python")}
    about = site / f"{project['project']['name'].replace('-', '_')}-{project['project']['version']}.dist-info"
    about.mkdir(parents=True)
    named = project["project"]
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {named['name']}\nVersion: {named['version']}\n")
    groups = named["entry-points"]
    (about / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in groups.items()
        )
    )
    for file in (*project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"], "locker_fake.py"):
        (site / file).write_text(modules[file])


def policy() -> str:
    """Return the policy that the page gives to the rotator."""
    (text,) = pages.blocks(HOW_TO / "github-actions-schedule.md", "json")
    return text


def test_permissions_are_those_that_the_code_declares() -> None:
    """The page allows what is declared beside the code for URLs without creation options, neither more nor less.

    What only the audit uses is not for the rotator, and what only a soak needs not for this one, which has none.
    """
    allowed = [action for statement in json.loads(policy())["Statement"] for action in statement["Action"]]
    declared = [
        action
        for name, actions in iam.PERMISSIONS.items()
        if name not in ("account", "report", "sessions")
        for action in actions
        if action != "iam:UpdateAccessKey"
    ]
    needed = [
        one
        for one in secretsmanager.PERMISSIONS
        if not one.condition.endswith("in the URL") and one.uses != ("load_many",)
    ]
    assert sorted(allowed) == sorted([*declared, *(one.name for one in needed if one.service == "AWS Secrets Manager")])


def test_permissions_suffice(tmp_path: Path) -> None:
    """A principal with this policy alone rotates, by path and by name, and sees the status."""
    with Emulator() as aws:
        aws.make_user("ci", keys=0)
        key = aws.make_user("rotator", path="/", keys=1)[0]
        own = policy().replace("role/twokey", "user/rotator")
        aws.client("iam").put_user_policy(UserName="rotator", PolicyName="twokey", PolicyDocument=own)
        for arguments in (
            ("rotate", "--path", "/machine-users/"),
            ("rotate", "ci", "--force"),
            ("status", "ci"),
            ("rotate", "ci", "--force", "--ignore-last-use"),
        ):
            done = _twokey(aws, key, tmp_path, *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
            assert ": rotated" in done.stdout or arguments[0] == "status"
        assert not [request for request in aws.requests if "AccessDenied" in (request.error_code or "")]


def _twokey(aws: Emulator, key: KeyPair, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [forked.programs() / "twokey", *arguments, "--store", STORE],
        cwd=folder,
        env={**os.environ, **aws.environment(key)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
