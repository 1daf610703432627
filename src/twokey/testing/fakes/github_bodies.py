"""GitHub's representation of repositories and errors, in full ("REST API endpoints for repositories")."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from twokey.testing.server import Refusal

API = "https://api.github.com"
SITE = "https://github.com"
DOCUMENTATION = "https://docs.github.com/rest"
_TIME = "2026-01-01T00:00:00Z"
_PARTS = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}
"""The addresses below a repository's own."""
_PARTS_OF_AN_OWNER = {
    "followers_url": "followers",
    "following_url": "following{/other_user}",
    "gists_url": "gists{/gist_id}",
    "starred_url": "starred{/owner}{/repo}",
    "subscriptions_url": "subscriptions",
    "organizations_url": "orgs",
    "repos_url": "repos",
    "events_url": "events{/privacy}",
    "received_events_url": "received_events",
}
_COUNTS = (
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "watchers",
    "watchers_count",
    "network_count",
    "subscribers_count",
)
_SWITCHES = {
    "fork": False,
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_pages": False,
    "has_discussions": False,
    "disabled": False,
}
_NULLS = ("description", "homepage", "language", "mirror_url", "license")


def refusal(status: int, message: str) -> Refusal:
    """Return an error as GitHub words it."""
    return Refusal(status, error(status, message))


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}


def repository(known: dict[str, Any], api: str) -> dict[str, Any]:
    """Return all that GitHub shows of a repository with this ``full_name``, ``id`` and the like."""
    owner, _, name = known["full_name"].partition("/")
    url, page = f"{api}/repos/{owner}/{name}", f"{SITE}/{owner}/{name}"
    return {
        "name": name,
        "node_id": f"R_{known['id']}",
        "owner": _owner(owner, api),
        "url": url,
        "html_url": page,
        "clone_url": f"{page}.git",
        "git_url": f"git:{page.removeprefix('https:')}.git",
        "ssh_url": f"git@github.com:{owner}/{name}.git",
        "svn_url": page,
        "default_branch": "main",
        "created_at": _TIME,
        "updated_at": _TIME,
        "pushed_at": _TIME,
        **{key: f"{url}/{below}" for key, below in _PARTS.items()},
        **dict.fromkeys(_COUNTS, 0),
        **dict.fromkeys(_NULLS),
        **_SWITCHES,
        **known,
    }


def organization(login: str, api: str) -> dict[str, Any]:
    """Return what GitHub shows of an organization, as far as a client needs it."""
    return {"login": login, "id": 1, "node_id": "O_1", "url": f"{api}/orgs/{login}", "description": None}


def environment(repository_name: str, name: str, api: str) -> dict[str, Any]:
    """Return what GitHub shows of a repository's environment."""
    return {
        "id": 1,
        "node_id": "EN_1",
        "name": name,
        "url": f"{api}/repos/{repository_name}/environments/{quote(name, safe='')}",
        "html_url": f"{SITE}/{repository_name}/deployments/activity_log",
        "created_at": _TIME,
        "updated_at": _TIME,
        "protection_rules": [],
        "deployment_branch_policy": None,
    }


def installation(number: int, app: int, account: str, permissions: dict[str, str], *, user: bool) -> dict[str, Any]:
    """Return all that GitHub shows of an App's installation on an account."""
    url = f"{API}/app/installations/{number}"
    return {
        "id": number,
        "account": _owner(account, API) | ({"type": "User"} if user else {}),
        "repository_selection": "all",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{API}/installation/repositories",
        "html_url": f"{SITE}/organizations/{account}/settings/installations/{number}",
        "app_id": app,
        "target_id": 1,
        "target_type": "User" if user else "Organization",
        "permissions": permissions,
        "events": [],
        "created_at": _TIME,
        "updated_at": _TIME,
        "single_file_name": None,
        "app_slug": "twokey",
        "suspended_by": None,
        "suspended_at": None,
    }


def _owner(login: str, api: str) -> dict[str, Any]:
    url = f"{api}/users/{login}"
    return {
        "login": login,
        "id": 1,
        "node_id": "O_1",
        "avatar_url": f"{SITE}/{login}.png",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{SITE}/{login}",
        "type": "Organization",
        "site_admin": False,
        **{key: f"{url}/{below}" for key, below in _PARTS_OF_AN_OWNER.items()},
    }
