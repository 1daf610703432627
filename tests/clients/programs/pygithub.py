"""PyGithub, with secrets of a repository, an environment and an organization."""

from __future__ import annotations

from github import Auth, Github

from clients.programs import steps

ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
task = steps.task()
github = Github(
    base_url=task["fake"],
    auth=Auth.Token(task["token"]),
    seconds_between_requests=0,
    seconds_between_writes=0,
    per_page=100,
)
targets = {
    "repository": lambda: github.get_repo("acme/site"),
    "environment": lambda: github.get_repo("acme/api").get_environment("production"),
    "organization": lambda: github.get_organization("acme"),
}
found = {}
for name, look in targets.items():
    task.step(f"{name} looks")
    target = look()
    listed = {one.name: one.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ") for one in target.get_secrets()}
    read = target.get_secret(ID).updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    task.step(f"{name} deletes the pair")
    for one in listed:
        target.get_secret(one).delete()
    about = {"visibility": "all"} if name == "organization" else {}
    for step, (key_id, secret) in task["pairs"].items():
        task.step(f"{name} {step}")
        target.create_secret(ID, key_id, **about)
        target.create_secret(SECRET, secret, **about)
    task.step(f"{name} creates a token")
    target.create_secret(TOKEN, "a token", **about)
    task.step(f"{name} deletes the token")
    target.get_secret(TOKEN).delete()
    found[name] = {"listed": listed, "read": read}
steps.found(**found)
