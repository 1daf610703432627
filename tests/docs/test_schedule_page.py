"""The examples of the page about schedules are complete and correct, as far as the tools at hand can tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT7

from docs import consoles, pages
from support import forked
from twokey.config.load import load
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path

PAGE = pages.DOCS / "how-to" / "schedule.md"
SCHEMAS = pages.ROOT / ".apis" / "python" / "kubernetes_validate" / "kubernetes-json-schema"
SHELL = pages.blocks(PAGE, "sh")
DEPLOY = pages.ROOT / "deploy"
UNITS = {file.name: file.read_text(encoding="utf-8") for file in sorted((DEPLOY / "systemd").iterdir())}
TOOLS = pages.ROOT / ".venv-deploy" / "bin"
CONTAINERFILE = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8")
DAY = 86_400
ACCOUNT = "123456789012"


def needs(tool: str) -> pytest.MarkDecorator:
    """Skip where a program is not installed."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def named(kind: str, name: str) -> str:
    """Return the block whose first or second line is a comment with this file name."""
    (found,) = (
        block for block in pages.blocks(PAGE, kind) if re.search(rf"^# \S*{re.escape(name)}\b", block, re.MULTILINE)
    )
    return found


def duration(text: str) -> timedelta:
    """Read a duration as the page writes it."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    return timedelta(**{units[unit]: int(number) for number, unit in re.findall(r"(\d+)([dhm])", text)})


# The interval


def test_intervals() -> None:
    """Each row follows from the window, and the better interval leaves room for a run that is missed."""
    rows = pages.tables(PAGE)["Choose the interval"]
    assert len(rows) == 4
    for window, due, most, better in rows:
        period = duration(window) / 2
        assert duration(due) == period - period / 24
        assert duration(most) == period / 24
        hours = int(re.findall(r"every (\d+) hour", better)[0])
        assert timedelta(hours=1) <= timedelta(hours=hours) <= period / 48


def test_every_example_runs_as_often_as_the_page_advises() -> None:
    """Every six hours, for the window of 30 days that all examples have."""
    assert cron_schedule(cron_line()[0]) == 6
    assert cron_schedule(manifests()["CronJob"]["spec"]["schedule"]) == 6
    assert "OnCalendar=*-*-* 00/6:17:00 UTC" in UNITS["twokey.timer"]
    assert "interval pattern `17 */6 * * *`" in PAGE.read_text(encoding="utf-8")
    (workflow,) = re.findall(
        r'- cron: "(.+)"', (PAGE.parent / "github-actions-schedule.md").read_text(encoding="utf-8")
    )
    assert cron_schedule(workflow) == 6


def cron_schedule(fields: str) -> int:
    """Return every how many hours a schedule runs; it must be one of the simple ones."""
    minute, hours, *rest = fields.split()
    assert 0 < int(minute) < 60
    assert rest == ["*", "*", "*"]
    return int(hours.removeprefix("*/"))


# Shell and cron


@pytest.mark.parametrize("block", SHELL)
def test_shell(block: str) -> None:
    """Each block is one that a POSIX shell can read."""
    subprocess.run(["sh", "-n"], input=block, text=True, check=True)


def cron_line() -> tuple[str, str, str]:
    """Return the schedule, the user and the command of the one line that is not a comment or a variable."""
    (block,) = pages.blocks(PAGE, "cron")
    (line,) = (line for line in block.splitlines() if line and not re.match(r"#|\w+=", line))
    fields = line.split(maxsplit=6)
    return " ".join(fields[:5]), fields[5], fields[6]


def test_cron() -> None:
    """A line of /etc/cron.d has a user, and no percent sign, which cron reads as a line end."""
    _, user, command = cron_line()
    assert user == "twokey"
    assert "%" not in command
    assert "2>" not in command, "what is on standard error is mailed"
    subprocess.run(["sh", "-n"], input=command, text=True, check=True)


@needs("jq")
def test_the_script(tmp_path: Path) -> None:
    """One line for each user, the sentences on stderr, and twokey's own exit code."""
    file = tmp_path / "twokey.yaml"
    script = named("sh", "twokey-scheduled")
    script = script.replace("/opt/twokey/bin", str(forked.programs())).replace("/etc/twokey/twokey.yaml", str(file))
    with Emulator() as aws:
        aws.make_user("ci", keys=1)
        aws.make_user("site", keys=2)

        def run(text: str) -> subprocess.CompletedProcess[str]:
            file.write_text(text, encoding="utf-8")
            environment = {"LC_ALL": "C.UTF-8", **aws.environment()}
            return subprocess.run(
                ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )

        done = run(example())
        assert done.returncode == 3
        ended = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(entry["user"], entry["outcome"]) for entry in ended] == [("ci", "rotated"), ("site", "refused")]
        assert f"{ended[1]['account']}/site: refused (cannot_attribute)" in done.stderr
        assert "/ci" not in done.stderr
        aws.client("iam").delete_access_key(UserName="site", AccessKeyId=aws.keys("site")[0][0])
        done = run(example())
        assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 2, "")
        done = run("version: 1\n")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr


def example() -> str:
    """Return the configuration of the page."""
    (text,) = (block for block in pages.blocks(PAGE, "yaml") if block.startswith("# twokey.yaml"))
    return text


# Alerts


def test_the_codes_are_those_of_the_reference() -> None:
    """Each code but that of plan, in its order."""
    alerts = [row[0] for row in pages.tables(PAGE)["Alert on the exit code"]]
    codes = [row[0] for row in pages.tables(pages.DOCS / "reference" / "exit-codes.md")["Exit codes"]]
    assert alerts == [*codes[:4], "other", "no run"]


@needs("jq")
def test_the_filter_for_status() -> None:
    """It names who needs attention with its account, and nobody else."""
    (block,) = (text for text in SHELL if "twokey status" in text)
    (query,) = re.findall(r"jq -r '(.+?)'$", block, re.DOTALL | re.MULTILINE)
    good = {
        "readable": True,
        "problems": [],
        "next_due": "2999-01-01T00:00:00Z",
        "next": "due in 14d",
        "account": ACCOUNT,
    }
    users = [
        {"user": "good", **good},
        {"user": "new", **good, "next_due": None},
        {"user": "unreadable", **good, "readable": False},
        {"user": "refused", **good, "problems": ["LAST is still in use"]},
        {"user": "late", **good, "next_due": "2020-01-01T00:00:00Z", "next": "due now"},
    ]
    printed = subprocess.run(
        ["jq", "-r", query], input=json.dumps({"users": users}), capture_output=True, text=True, check=True
    ).stdout
    shown = [line.partition(":")[0] for line in printed.splitlines()]
    assert shown == [f"{ACCOUNT}/{name}" for name in ("unreadable", "refused", "late")]
    assert "/late: due now" in printed


# systemd


def test_the_units_belong_together() -> None:
    assert set(UNITS) == {"twokey.timer", "twokey.service", "twokey-failed.service"}
    assert "OnFailure=twokey-failed.service" in UNITS["twokey.service"]
    assert "systemctl enable --now twokey.timer" in "".join(SHELL)


@needs("systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say; the programs are those of this machine."""
    for name, unit in UNITS.items():
        here = unit.replace("/opt/twokey/bin/twokey", str(consoles.BIN / "twokey"))
        here = here.replace("/usr/bin/logger", str(shutil.which("true")))
        (tmp_path / name).write_text(here, encoding="utf-8")
    files = [tmp_path / name for name in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, files)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "twokey" in line]
    assert (done.returncode, said) == (0, []), done.stderr


@needs("systemd-analyze")
def test_the_service_is_as_little_exposed_as_the_page_says() -> None:
    """A newer systemd may look at more; then it may say more, but never so much that the service counts as medium."""
    (said,) = re.findall(r"an exposure level of (\d\.\d)", PAGE.read_text(encoding="utf-8"))
    file = str(DEPLOY / "systemd" / "twokey.service")
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze is older than 250 and cannot look at a file")
    (found,) = re.findall(r"Overall exposure level for twokey\.service: (\d\.\d)", done.stdout)
    assert float(said) <= float(found) < 2


@needs("systemd-analyze")
def test_systemd_takes_the_calendar() -> None:
    (when,) = re.findall(r"^OnCalendar=(.+)$", UNITS["twokey.timer"], re.MULTILINE)
    printed = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=5", when], capture_output=True, text=True, check=True
    ).stdout
    hours = {found[1] for found in re.finditer(r"(?:Next elapse|Iter\. #\d|\(in UTC\)): .*?(\d\d):17:00 UTC", printed)}
    assert hours == {"00", "06", "12", "18"}


# The container image


def test_image() -> None:
    """What is copied is there; what runs is no root, and gets signals itself."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line]
    names = {instruction for instruction, _ in lines}
    assert names == {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert {rest.split()[0] for instruction, rest in lines if instruction == "FROM"} == {"${BASE}"}
    copied = [rest for instruction, rest in lines if instruction == "COPY" and "--from" not in rest]
    assert copied
    for source in (one for rest in copied for one in rest.split()[:-1]):
        assert (pages.ROOT / source).exists(), source
    for instruction, rest in lines:
        if instruction == "RUN":
            subprocess.run(["sh", "-n"], input=rest, text=True, check=True)
        if instruction in {"ENTRYPOINT", "CMD"}:
            assert json.loads(rest), "the exec form: a shell would not pass on SIGTERM"
    assert "\nUSER 65532:65532\nENTRYPOINT" in CONTAINERFILE, "nothing is done as root afterwards"
    assert 'ENTRYPOINT ["twokey"]' in CONTAINERFILE
    assert "--require-hashes" in CONTAINERFILE


@pytest.mark.skipif(not (TOOLS / "hadolint").exists(), reason="hadolint is not installed (make deploy-tools)")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [TOOLS / "hadolint", DEPLOY / "container" / "Containerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


# Kubernetes


def manifests() -> dict[str, Any]:
    """Return the objects of the manifest, by their kind."""
    return {
        one["kind"]: one
        for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "twokey-cronjob.yaml").read_text(encoding="utf-8"))
    }


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="Kubernetes' schemas are not installed (make apis)")
@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        ("Namespace", "namespace-v1"),
        ("ServiceAccount", "serviceaccount-v1"),
        ("ConfigMap", "configmap-v1"),
        ("CronJob", "cronjob-batch-v1"),
    ],
)
def test_kubernetes_takes_the_objects(kind: str, schema: str) -> None:
    """Kubernetes' own description of its objects, nothing unknown allowed."""
    (definitions,) = SCHEMAS.glob("*-local-strict/_definitions.json")
    common = json.loads(definitions.read_text(encoding="utf-8"))
    registry: Registry[Any] = Registry().with_resource("_definitions.json", DRAFT7.create_resource(common))
    described = json.loads(definitions.with_name(f"{schema}.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(described, registry=registry).validate(manifests()[kind])


def test_the_manifest_fits_together(tmp_path: Path) -> None:
    objects = manifests()
    assert set(objects) == {"Namespace", "ServiceAccount", "ConfigMap", "CronJob"}
    (tmp_path / "twokey.yaml").write_text(objects["ConfigMap"]["data"]["twokey.yaml"], encoding="utf-8")
    assert load(tmp_path / "twokey.yaml").selections
    job = objects["CronJob"]["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    assert {one["metadata"].get("namespace", "twokey") for one in objects.values()} == {"twokey"}
    assert pod["volumes"][0]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert container["args"][-1] == f"{container['volumeMounts'][0]['mountPath']}/twokey.yaml"
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"]["containerName"] == container["name"]


def test_the_pod_may_do_little() -> None:
    spec = manifests()["CronJob"]["spec"]
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert pod["terminationGracePeriodSeconds"] >= 180, "as long as a lease"


# Trust


@pytest.mark.parametrize("text", pages.blocks(PAGE, "json"))
def test_trust_policies_name_one_subject(text: str) -> None:
    """Audience and subject are compared as a whole: with a wildcard, others could take the role."""
    (statement,) = json.loads(text)["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    provider = statement["Principal"]["Federated"].partition(":oidc-provider/")[2]
    assert set(statement["Condition"]) == {"StringEquals"}
    asked = statement["Condition"]["StringEquals"]
    assert set(asked) == {f"{provider}:aud", f"{provider}:sub"}
    assert not [value for value in asked.values() if "*" in value]
