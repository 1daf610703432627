"""What a CI system needs so that its jobs assume a role with their own token: whom the role trusts, and the file.

Each system has its issuer, the audience of its tokens, the subject of a job's token, and a change to the pipeline's
file. A change is made line by line, so that comments and everything else in the file stay. Pure: text in, text out.

Sources: "Configuring OpenID Connect in Amazon Web Services" (GitHub Docs); "Configure OpenID Connect in AWS to retrieve
temporary credentials" (GitLab Docs); "Using OpenID Connect tokens in jobs" (CircleCI Docs); "OIDC with AWS" (Buildkite
Documentation); "Deploy on AWS using Bitbucket Pipelines OpenID Connect" (Atlassian Support).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_INPUTS = ("aws-access-key-id", "aws-secret-access-key", "aws-session-token")
_ACTION = "aws-actions/configure-aws-credentials"
_UNSET = f"unset {' '.join(_KEYS)}"
"""A key in the environment would be used before the token."""
_FILE = "/tmp/aws-identity-token"  # noqa: S108  in the job's own container
_TOP = re.compile(r"([\w.-]+):(\s|$)")


@dataclass(frozen=True, slots=True)
class System:
    """A CI system. ``subject`` has uppercase words where the token has the names of the job's project.

    ``operator``: what the trust policy compares the subject with; ``StringLike`` where part of it differs in each run.
    """

    name: str
    files: tuple[str, ...]
    schemes: tuple[str, ...]
    issuer: str
    audience: str
    subject: str
    change: Callable[[Sequence[str], str, str], list[str]]
    operator: str = "StringEquals"
    note: str = ""

    def subject_of(self, project: str) -> str:
        """Return the subject with the project's name filled in, where it is known."""
        return self.subject.replace("OWNER/PROJECT", project) if project else self.subject


def of_file(name: str) -> System | None:
    """Return the system whose pipeline is in a file of this name."""
    plain = name.replace("\\\\", "/")
    return next((one for one in SYSTEMS if any(re.search(pattern, plain) for pattern in one.files)), None)


def of_text(text: str) -> System | None:
    """Return the system whose pipeline a text is, by the keys that only its pipelines have."""
    keys = set(re.findall(r"^\s*(?:- )?([\w-]+):", text, re.MULTILINE))
    top = {found[1] for line in text.splitlines() if (found := _TOP.match(line))}
    if {"jobs", "runs-on"} <= keys:
        return SYSTEMS[0]
    if "pipelines" in top and "script" in keys:
        return SYSTEMS[4]
    if "jobs" in top and "version" in top:
        return SYSTEMS[2]
    if "steps" in top and keys & {"command", "commands"}:
        return SYSTEMS[3]
    return SYSTEMS[1] if "script" in keys else None


def of_destination(url: str) -> tuple[System, str] | None:
    """Return the system of a destination's URL, and the project that the URL names."""
    scheme, _, rest = url.partition(":")
    project = rest.partition("?")[0]
    for one in SYSTEMS:
        if scheme in one.schemes:
            return one, project if project.count("/") else ""
    return None


def line_with_secret(text: str) -> int | None:
    """Return the number of the line that has a secret itself, where a reference such as ``$NAME`` belongs."""
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.replace('"', "").replace("'", "")
        if _is_key(line, (*_KEYS[1:], *_INPUTS[1:])) and re.match(r"[^:=]*[:=]\s*[^\s$#]", plain):
            return number
    return None


def changed(system: System, text: str, role: str, region: str) -> str:
    """Return the pipeline's file with the change; unchanged where there is nothing to change."""
    lines = system.change(text.splitlines(), role, region)
    return "\n".join(lines) + ("\n" if text.endswith("\n") or not text else "")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_key(line: str, names: Sequence[str]) -> bool:
    return any(re.match(rf"\s*(- )?[\"']?{name}[\"']?\s*[:=]", line) for name in names)


def _without_keys(lines: Sequence[str]) -> list[str]:
    """Remove the variables of the key, and the mappings that are empty without them."""
    kept = [line for line in lines if not _is_key(line, (*_KEYS, *_INPUTS))]
    result: list[str] = []
    for index, line in enumerate(kept):
        below = next((one for one in kept[index + 1 :] if one.strip()), "")
        opens = re.match(r"\s*(env|variables|environment|with):\s*$", line)
        if opens and line in lines and _indent(below) <= _indent(line) and _had_key(lines, line):
            continue
        result.append(line)
    return result


def _had_key(lines: Sequence[str], opening: str) -> bool:
    """Whether a mapping that begins with this line has the key's variables below it."""
    for index, line in enumerate(lines):
        if line == opening:
            for below in lines[index + 1 :]:
                if below.strip() and _indent(below) <= _indent(opening):
                    break
                if _is_key(below, (*_KEYS, *_INPUTS)):
                    return True
    return False


def _steps(lines: Sequence[str], word: str) -> Iterator[tuple[int, int]]:
    """Yield the line after each ``word:`` that opens a list, and the indent of its items."""
    for index, line in enumerate(lines):
        if re.match(rf"\s*(- )?{word}:\s*$", line):
            item = next((one for one in lines[index + 1 :] if one.strip()), "")
            if item.lstrip().startswith("- "):
                yield index + 1, _indent(item)


def _insert(lines: Sequence[str], at: Sequence[tuple[int, Sequence[str]]]) -> list[str]:
    result = list(lines)
    for index, added in sorted(at, key=lambda one: -one[0]):
        result[index:index] = added
    return result


def _github(lines: Sequence[str], role: str, region: str) -> list[str]:
    result = _without_keys(lines)
    uses = [index for index, line in enumerate(result) if f"uses: {_ACTION}@" in line]
    if uses and not any("role-to-assume:" in line for line in result):
        result = _insert(result, [_role_input(result, index, role, region) for index in uses])
    elif not uses:
        step = ["- uses: aws-actions/configure-aws-credentials@v4", "  with:"]
        step += [f"    role-to-assume: {role}", f"    aws-region: {region}"]
        at = [(index, [" " * indent + line for line in step]) for index, indent in _steps(result, "steps")]
        result = _insert(result, at)
    return _github_permissions(result)


def _role_input(lines: Sequence[str], index: int, role: str, region: str) -> tuple[int, list[str]]:
    """Return where the inputs of the action begin, and the input to add there."""
    column = lines[index].index("uses:")
    if index + 1 < len(lines) and lines[index + 1].strip() == "with:":
        inner = lines[index + 2] if index + 2 < len(lines) else ""
        indent = _indent(inner) if _indent(inner) > column else column + 2
        return index + 2, [f"{' ' * indent}role-to-assume: {role}"]
    start = " " * column
    return index + 1, [f"{start}with:", f"{start}  role-to-assume: {role}", f"{start}  aws-region: {region}"]


def _github_permissions(lines: list[str]) -> list[str]:
    """Add the permission to ask for a token to each block of permissions, or a block for the whole workflow."""
    blocks = [index for index, line in enumerate(lines) if re.match(r"\s*permissions:\s*$", line)]
    added = []
    for index in blocks:
        indent = _indent(lines[index + 1]) if index + 1 < len(lines) else _indent(lines[index]) + 2
        below = lines[index + 1 :]
        end = next((n for n, one in enumerate(below) if one.strip() and _indent(one) < indent), len(below))
        if not any(one.strip().startswith("id-token:") for one in below[:end]):
            added.append((index + 1, [f"{' ' * indent}id-token: write"]))
    if not blocks:
        jobs = next((index for index, line in enumerate(lines) if line.startswith("jobs:")), len(lines))
        added.append((jobs, ["permissions:", "  id-token: write", "  contents: read", ""]))
    return _insert(lines, added)


def _gitlab(lines: Sequence[str], role: str, region: str) -> list[str]:
    result = _without_keys(lines)
    if any(line.startswith(".aws-role:") for line in result):
        return result
    at = []
    for index, line in enumerate(result):
        below = list(_block(result, index))
        is_job = _TOP.match(line) and any(re.match(r"  script:", one) for one in below)
        if is_job and not any(one.startswith("  extends:") for one in below):
            at.append((index + 1, ["  extends: .aws-role"]))
    template = [
        "",
        ".aws-role:",
        "  id_tokens:",
        "    AWS_ID_TOKEN:",
        "      aud: https://gitlab.com",
        "  variables:",
        f"    AWS_ROLE_ARN: {role}",
        f"    AWS_REGION: {region}",
        f"    AWS_WEB_IDENTITY_TOKEN_FILE: {_FILE}",
        "  before_script:",
        f"    - {_UNSET}",
        '    - (umask 077; printf "%s" "$AWS_ID_TOKEN" > "$AWS_WEB_IDENTITY_TOKEN_FILE")',
    ]
    return [*_insert(result, at), *template]


def _block(lines: Sequence[str], index: int) -> Iterator[str]:
    for line in lines[index + 1 :]:
        if line.strip() and not line.startswith((" ", "#")):
            return
        yield line


def _circleci(lines: Sequence[str], role: str, region: str) -> list[str]:
    result = _without_keys(lines)
    if any("AWS_WEB_IDENTITY_TOKEN_FILE" in line for line in result):
        return result
    step = [
        "- run:",
        "    name: Assume the role with the job's own token",
        "    command: |",
        f'      (umask 077; printf "%s" "$CIRCLE_OIDC_TOKEN_V2" > {_FILE})',
        f'      echo "{_UNSET}" >> "$BASH_ENV"',
        f'      echo "export AWS_ROLE_ARN={role}" >> "$BASH_ENV"',
        f'      echo "export AWS_REGION={region}" >> "$BASH_ENV"',
        f'      echo "export AWS_WEB_IDENTITY_TOKEN_FILE={_FILE}" >> "$BASH_ENV"',
    ]
    at = [(index, [" " * indent + line for line in step]) for index, indent in _steps(result, "steps")]
    return _insert(result, at)


def _buildkite(lines: Sequence[str], role: str, region: str) -> list[str]:
    result = _without_keys(lines)
    if any("aws-assume-role-with-web-identity" in line for line in result):
        return result
    plugin = ["plugins:", "  - aws-assume-role-with-web-identity#v1.2.0:", f"      role-arn: {role}"]
    plugin.append(f"      region: {region}")
    at = []
    for index, line in enumerate(result):
        found = re.match(r"(\s*)- (label|command|commands|name):", line)
        if found:
            indent = " " * (len(found[1]) + 2)
            end = _end_of_item(result, index, len(found[1]))
            has = next((n for n in range(index, end) if result[n].strip() == "plugins:"), None)
            added = [indent + one for one in (plugin[1:] if has is not None else plugin)]
            at.append((has + 1 if has is not None else end, added))
    return _insert(result, at)


def _end_of_item(lines: Sequence[str], index: int, indent: int) -> int:
    """Return the line after a list's item, without the blank lines behind it."""
    end = index + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return end


def _bitbucket(lines: Sequence[str], role: str, region: str) -> list[str]:
    result = _without_keys(lines)
    if any(line.strip() == "oidc: true" for line in result):
        return result
    at: list[tuple[int, list[str]]] = []
    for index, line in enumerate(result):
        found = re.match(r"(\s*)- step:\s*$", line)
        if found and index + 1 < len(result):
            at.append((index + 1, [f"{' ' * _indent(result[index + 1])}oidc: true"]))
    script = [
        _UNSET,
        f"export AWS_ROLE_ARN={role} AWS_REGION={region} AWS_WEB_IDENTITY_TOKEN_FILE={_FILE}",
        f'(umask 077; printf "%s" "$BITBUCKET_STEP_OIDC_TOKEN" > {_FILE})',
    ]
    at += [(index, [f"{' ' * indent}- {line}" for line in script]) for index, indent in _steps(result, "script")]
    return _insert(result, at)


SYSTEMS = (
    System(
        name="GitHub Actions",
        files=(r"\.github/workflows/[^/]+\.ya?ml$",),
        schemes=("github",),
        issuer="token.actions.githubusercontent.com",
        audience="sts.amazonaws.com",
        subject="repo:OWNER/PROJECT:ref:refs/heads/main",
        change=_github,
        note="Jobs with an environment have the subject repo:OWNER/PROJECT:environment:NAME.",
    ),
    System(
        name="GitLab CI",
        files=(r"\.gitlab-ci\.ya?ml$",),
        schemes=("gitlab", "gitlab-group", "gitlab-instance"),
        issuer="gitlab.com",
        audience="https://gitlab.com",
        subject="project_path:OWNER/PROJECT:ref_type:branch:ref:main",
        change=_gitlab,
        note="On a server of your own, its host is the issuer and the audience.",
    ),
    System(
        name="CircleCI",
        files=(r"\.circleci/config\.ya?ml$",),
        schemes=("circleci", "circleci-context"),
        issuer="oidc.circleci.com/org/ORG_ID",
        audience="ORG_ID",
        subject="org/ORG_ID/project/PROJECT_ID/user/*/vcs-origin/*/vcs-ref/refs/heads/main",
        change=_circleci,
        operator="StringLike",
        note="Organization Settings shows ORG_ID, Project Settings PROJECT_ID. The user differs from run to run.",
    ),
    System(
        name="Buildkite",
        files=(r"\.buildkite/[^/]+\.ya?ml$",),
        schemes=("buildkite",),
        issuer="agent.buildkite.com",
        audience="sts.amazonaws.com",
        subject="organization:OWNER:pipeline:PIPELINE:ref:refs/heads/main:commit:*:step:*",
        change=_buildkite,
        operator="StringLike",
        note="Commit and step differ from run to run.",
    ),
    System(
        name="Bitbucket Pipelines",
        files=(r"bitbucket-pipelines\.ya?ml$",),
        schemes=("bitbucket",),
        issuer="api.bitbucket.org/2.0/workspaces/WORKSPACE/pipelines-config/identity/oidc",
        audience="ari:cloud:bitbucket::workspace/WORKSPACE_UUID",
        subject="{REPOSITORY_UUID}:*",
        change=_bitbucket,
        operator="StringLike",
        note="The repository's settings show issuer, audience and UUID under OpenID Connect. The step differs.",
    ),
)
"""The systems whose jobs have tokens, and whose pipeline is a file."""
