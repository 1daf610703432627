"""What each CI system's pipeline needs so that its jobs assume a role with their own token. Pure: lines in, lines out.

Sources: those of ``pipelines``; "Workflow syntax for GitHub Actions" (permissions); "extends" (GitLab CI/CD YAML
reference): keys are merged, lists are replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.permissions.pipeline_lines import (
    FILE,
    TOP,
    UNSET,
    block,
    end_of_list,
    indent,
    indented,
    insert,
    items,
    lists,
    opened,
    split,
    without_keys,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ACTION = "aws-actions/configure-aws-credentials"
_NAME = "Assume the role with the job's own token"


def github(lines: Sequence[str], role: str, region: str) -> list[str]:
    """Give the role to the steps of each job, by the action that logs in, and let the jobs ask for a token."""
    result = list(opened(without_keys(lines), "steps"))
    step = [f"- uses: {_ACTION}@v4", "  with:", f"    role-to-assume: {role}", f"    aws-region: {region}"]
    at = []
    for index, column in lists(result, "steps"):
        own = range(index, end_of_list(result, index, column))
        uses = [n for n in own if f"uses: {_ACTION}@" in result[n]]
        if uses and not any("role-to-assume:" in result[n] for n in own):
            at += [_role_input(result, n, role, region) for n in uses]
        elif not uses:
            at.append((index, indented(step, column)))
    return list(_github_permissions(insert(result, at)))


def _role_input(lines: Sequence[str], index: int, role: str, region: str) -> tuple[int, list[str]]:
    """Return where the inputs of the action begin, and the input to add there."""
    column = lines[index].index("uses:")
    if index + 1 < len(lines) and lines[index + 1].strip() == "with:":
        inner = lines[index + 2] if index + 2 < len(lines) else ""
        start = indent(inner) if indent(inner) > column else column + 2
        return index + 2, [f"{' ' * start}role-to-assume: {role}"]
    return index + 1, indented(["with:", f"  role-to-assume: {role}", f"  aws-region: {region}"], column)


def _github_permissions(lines: list[str]) -> Iterator[str]:
    """Yield the lines with the permission to ask for a token, wherever permissions are limited, or for all jobs."""
    found = [re.match(r"(\s*)permissions:", line) for line in lines]
    jobs = len(list(lists(lines, "steps")))
    everywhere = any(one and not one[1] for one in found) or sum(map(bool, found)) >= max(jobs, 1)
    for index, line in enumerate(lines):
        if line.startswith("jobs:") and not everywhere:
            yield from ("permissions:", "  id-token: write", "  contents: read", "")
        yield from _permitted(lines, index) if found[index] else [line]


def _permitted(lines: Sequence[str], index: int) -> Iterator[str]:
    line = lines[index]
    start = " " * indent(line)
    value = line.partition("permissions:")[2].partition("#")[0].strip()
    if value == "read-all":
        # There is no such permission beside read-all: it has to be written out.
        yield from (f"{start}permissions:  # add what else the jobs read", f"{start}  contents: read")
        yield f"{start}  id-token: write"
    elif value.startswith("{"):
        others = [one for one in split(value.strip("{}")) if not one.startswith("id-token")]
        yield f"{start}permissions: {{{', '.join([*others, 'id-token: write'])}}}"
    elif value:
        yield line
    else:
        below = lines[index + 1] if index + 1 < len(lines) else ""
        column = indent(below) if indent(below) > indent(line) else indent(line) + 2
        end = next((n for n in range(index + 1, len(lines)) if lines[n].strip() and indent(lines[n]) < column), None)
        yield line
        if not any(one.strip().startswith("id-token:") for one in lines[index + 1 : end]):
            yield f"{' ' * column}id-token: write"


def gitlab(lines: Sequence[str], role: str, region: str) -> list[str]:
    """Let each job extend a template with the token, and write the token to a file before its own commands."""
    if any(line.startswith(".aws-role:") for line in lines):
        return without_keys(lines)
    result = list(opened(opened(without_keys(lines), "script", single=True), "before_script", single=True))
    commands = [f"- {UNSET}", '- (umask 077; printf "%s" "$AWS_ID_TOKEN" > "$AWS_WEB_IDENTITY_TOKEN_FILE")']
    at = []
    for index, line in enumerate(result):
        below = block(result, index)
        keys = {found[1]: n for n in below if (found := re.match(r"  (\w+):", result[n]))}
        if not TOP.match(line) or "script" not in keys:
            continue
        if "extends" in keys:
            at.append(_extended(result, keys["extends"]))
        else:
            at.append((index + 1, ["  extends: .aws-role"]))
        first = keys.get("before_script", keys["script"])
        at += [(n, indented(commands, column)) for n, column in lists(result, r"(before_)?script") if n == first + 1]
    template = [
        "",
        ".aws-role:",
        "  id_tokens:",
        "    AWS_ID_TOKEN:",
        "      aud: https://gitlab.com",
        "  variables:",
        f"    AWS_ROLE_ARN: {role}",
        f"    AWS_REGION: {region}",
        f"    AWS_WEB_IDENTITY_TOKEN_FILE: {FILE}",
    ]
    return [*insert(result, at), *template]


def _extended(lines: list[str], index: int) -> tuple[int, list[str]]:
    """Add the template to what a job extends."""
    value = lines[index].partition("extends:")[2].strip()
    if not value:
        column = indent(lines[index + 1])
        return end_of_list(lines, index + 1, column), [f"{' ' * column}- .aws-role"]
    inner = value.strip("[]")
    lines[index] = f"  extends: [{inner}, .aws-role]"
    return index, []


def circleci(lines: Sequence[str], role: str, region: str) -> list[str]:
    """Begin the steps of each job with one that writes the token to a file, and sets the variables of the SDKs."""
    result = without_keys(lines)
    if any(_NAME in line for line in result):
        return result
    step = [
        "- run:",
        f"    name: {_NAME}",
        "    command: |",
        f'      (umask 077; printf "%s" "$CIRCLE_OIDC_TOKEN_V2" > {FILE})',
        f'      echo "{UNSET}" >> "$BASH_ENV"',
        f'      echo "export AWS_ROLE_ARN={role}" >> "$BASH_ENV"',
        f'      echo "export AWS_REGION={region}" >> "$BASH_ENV"',
        f'      echo "export AWS_WEB_IDENTITY_TOKEN_FILE={FILE}" >> "$BASH_ENV"',
    ]
    jobs = next((index for index, line in enumerate(result) if line.startswith("jobs:")), None)
    if jobs is None:
        return result
    end = block(result, jobs).stop
    inner = list(opened(result[jobs:end], "steps"))
    at = [(index, indented(step, column)) for index, column in lists(inner, "steps")]
    return [*result[:jobs], *insert(inner, at), *result[end:]]


def buildkite(lines: Sequence[str], role: str, region: str) -> list[str]:
    """Give the plugin that assumes the role to each step with a command."""
    result = without_keys(lines)
    if any("aws-assume-role-with-web-identity" in line for line in result):
        return result
    plugin = ["- aws-assume-role-with-web-identity#v1.2.0:", f"    role-arn: {role}", f"    region: {region}"]
    at = []
    for index, column in lists(result, "steps"):
        for first, end in items(result, index, column):
            keys = {}
            for n in range(first, end):
                found = re.match(rf"(?: {{{column}}}- | {{{column + 2}}})(\w+):", result[n])
                if found and (n == first or indent(result[n]) == column + 2):
                    keys[found[1]] = n
            if "plugins" in keys:
                below = result[keys["plugins"] + 1] if keys["plugins"] + 1 < end else ""
                at.append((keys["plugins"] + 1, indented(plugin, max(indent(below), column + 2))))
            elif keys.keys() & {"command", "commands"}:
                at.append((end, indented(["plugins:", *indented(plugin, 2)], column + 2)))
    return insert(result, at)


def bitbucket(lines: Sequence[str], role: str, region: str) -> list[str]:
    """Let each step have a token, and write it to a file before its own commands."""
    result = without_keys(lines)
    if any(line.strip() == "oidc: true" for line in result):
        return result
    result = list(opened(result, "script"))
    at: list[tuple[int, list[str]]] = []
    for index, line in enumerate(result):
        if re.match(r"\s*- step:(\s+&\w+)?\s*$", line) and index + 1 < len(result):
            at.append((index + 1, indented(["oidc: true"], indent(result[index + 1]))))
    script = [
        f"- {UNSET}",
        f"- export AWS_ROLE_ARN={role} AWS_REGION={region} AWS_WEB_IDENTITY_TOKEN_FILE={FILE}",
        f'- (umask 077; printf "%s" "$BITBUCKET_STEP_OIDC_TOKEN" > {FILE})',
    ]
    at += [(index, indented(script, column)) for index, column in lists(result, "script")]
    return insert(result, at)
