"""A company with twenty pipelines of five kinds, as twokey's commands and its jobs see it."""

from __future__ import annotations

import base64
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from support import forked
from support.commands import Ran, twokey
from twokey.testing.fakes.circleci import CircleCI
from twokey.testing.fakes.github import GitHub
from twokey.testing.fakes.gitlab import GitLab
from twokey.testing.fakes.vault import Vault
from twokey.testing.fakes.webhook import Webhook
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pytest

    from support.canaries import Canaries
    from support.forked import Forked
    from support.rig import Rig
    from twokey.testing.server import FakeService

STORE = "secretsmanager:machine-users/{user}"
ID, SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
NUMBERS = range(1, 5)
GITHUB = tuple(f"github:acme/site-{number}" for number in NUMBERS)
GITLAB = tuple(f"gitlab:acme/app-{number}" for number in NUMBERS)
CIRCLECI = tuple(f"circleci:gh/acme/job-{number}" for number in NUMBERS)
VAULT = (*(f"vault:secret/jobs/{number}" for number in NUMBERS[:3]), "vault:secret/jobs/4?connection=far")
WEBHOOK = tuple(f"webhook:/hooks/{number}?actions=held" for number in NUMBERS)
TWENTY = tuple(url for row in zip(GITHUB, GITLAB, CIRCLECI, VAULT, WEBHOOK, strict=True) for url in row)
"""One kind after the other."""
TELLING = {*GITLAB, *VAULT, *WEBHOOK}
"""Those that say which key they hold."""
RULES = "version: 1\nsettle: 0s\nverify: {successes: 2, interval: 0s, timeout: 30s}\n"


@dataclass
class Cue(Fault):
    """Something else happens when this request comes; ``passes``: the request itself is answered as usual."""

    do: Callable[[], object] = lambda: None
    passes: bool = True

    def strikes(self, method: str, path: str) -> bool:
        """Do it at the request's turn."""
        strikes = super().strikes(method, path)
        if strikes:
            self.do()
        return strikes and not self.passes


def cue(method: str, path: str, do: Callable[[], object], *, nth: int = 1, passes: bool = True) -> Cue:
    """Do this when that request comes; unless it ``passes``, its connection breaks and nothing takes effect."""
    return Cue(method, path, "reset", nth=nth, do=do, passes=passes)


@dataclass
class Company:
    """Its AWS, its services, and the folder with its twokey.yaml."""

    rig: Rig
    folder: Path
    patch: pytest.MonkeyPatch
    canaries: Canaries | None = None
    run: Callable[..., Ran] = twokey
    github: GitHub = field(default_factory=GitHub)
    gitlab: GitLab = field(default_factory=GitLab)
    circleci: CircleCI = field(default_factory=CircleCI)
    vault: Vault = field(default_factory=Vault)
    far: Vault = field(default_factory=Vault)
    webhook: Webhook = field(default_factory=Webhook)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start the services, make the projects and give twokey its tokens."""
        self._name_tokens()
        for service in self.services:
            self._open.enter_context(service)
        for number in NUMBERS:
            self.github.add_repository(f"acme/site-{number}")
            self.gitlab.add_target("projects", f"acme/app-{number}")
            self.circleci.projects[f"gh/acme/job-{number}"] = {}
        self.token_file.write_text(self.gitlab.token)
        for name, value in self.environment.items():
            self.patch.setenv(name, value)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _name_tokens(self) -> None:
        """With canaries, every token is one."""
        if self.canaries is None:
            return
        for service in (self.github, self.gitlab, self.circleci):
            service.token = self.canaries.take()
        self.webhook.secret = f"whsec_{base64.b64encode(self.canaries.take().encode()).decode()}"
        self.canaries.secrets.add(self.webhook.secret)
        self.vault.tokens, self.far.tokens = {self.canaries.take()}, {self.canaries.take()}

    @property
    def token_file(self) -> Path:
        """The file that holds GitLab's token, as an agent would keep it fresh."""
        return self.folder / "gitlab.token"

    @property
    def services(self) -> tuple[FakeService, ...]:
        """All services but AWS."""
        return (self.github, self.gitlab, self.circleci, self.vault, self.far, self.webhook)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that twokey.yaml speaks of."""
        return {
            "ACME_GITHUB": self.github.token,
            "ACME_CIRCLE": self.circleci.token,
            "ACME_VAULT": next(iter(self.vault.tokens)),
            "ACME_FAR": next(iter(self.far.tokens)),
            "ACME_HOOK": self.webhook.secret,
        }

    @property
    def connections(self) -> dict[str, Any]:
        """How twokey.yaml says that the services are reached."""
        return {
            "github": {"url": self.github.url, "token": {"env": "ACME_GITHUB"}},
            "gitlab": {"url": self.gitlab.url, "token": {"file": "gitlab.token"}},
            "circleci": {"url": self.circleci.url, "token": {"env": "ACME_CIRCLE"}},
            "vault": {"url": self.vault.url, "token": {"env": "ACME_VAULT"}},
            "far": {"kind": "vault", "url": self.far.url, "token": {"env": "ACME_FAR"}},
            "webhook": {"url": self.webhook.url, "secret": {"env": "ACME_HOOK"}},
        }

    def configure(self, *deliver: Any, store: str = STORE, users: Sequence[str] = ("ci",), **more: Any) -> None:
        """Write twokey.yaml with one entry; ``more`` are connections besides the company's own."""
        self.write({"users": list(users), "store": store, "deliver": list(deliver)}, **more)

    def write(self, *entries: dict[str, Any], **more: Any) -> None:
        """Write twokey.yaml."""
        items = {"machine_users": list(entries), "connections": {**self.connections, **more}}
        lines = [f"{name}: {json.dumps(item)}\n" for name, item in items.items()]  # JSON is YAML
        (self.folder / "twokey.yaml").write_text(f"{RULES}{''.join(lines)}")

    def begin(self, *arguments: str, **environment: str) -> Forked:
        """Start the command as a process of its own."""
        return forked.start(*arguments, cwd=self.folder, env={**os.environ, **environment})

    def killed(self, service: FakeService, method: str, path: str, nth: int = 1) -> None:
        """Rotate in a process that is killed as soon as that request comes, which has no effect."""
        running: list[Forked] = []

        def strike() -> None:
            running[0].kill()

        service.add(cue(method, path, strike, nth=nth, passes=False))
        with self.begin("rotate", "--force") as process:
            running.append(process)
            out, err = process.communicate(timeout=300)
        assert process.returncode == -9, out + err
        service.clear()

    def service(self, url: str) -> FakeService:
        """Return the service of a destination."""
        if "connection=far" in url:
            return self.far
        return getattr(self, url.partition(":")[0])  # type: ignore[no-any-return]

    def read(self, url: str, id_name: str = ID, secret_name: str = SECRET) -> tuple[str | None, str | None]:
        """Return what a job reads: id and secret."""
        kind, _, rest = url.partition(":")
        rest = rest.partition("?")[0]
        if kind in {"vault", "webhook"}:
            fake = self.service(url)
            found = fake.data(rest.removeprefix("secret/")) if isinstance(fake, Vault) else self.webhook.read(rest)
            return (found["AccessKeyId"], found["SecretAccessKey"]) if found else (None, None)
        fake = getattr(self, kind)
        place = {"github": f"{rest}/actions", "gitlab": f"projects/{rest}"}.get(kind, rest)
        return fake.value(place, id_name), fake.value(place, secret_name)

    def holding(self, user: str = "ci") -> list[str]:
        """Return those of the twenty at which a job reads the very pair that the store holds."""
        stored = self.rig.stored(user)
        assert stored
        return [url for url in TWENTY if self.read(url) == (stored.access_key_id, stored.secret_access_key)]

    def writes(self) -> dict[str, int]:
        """Count the writes that came to each service; a question that is asked by POST is none."""
        found = {}
        for name in ("github", "gitlab", "circleci", "vault", "far", "webhook"):
            fake: FakeService = getattr(self, name)
            questions = fake.count("POST", "/sys/") + fake.count("POST", "/login")
            found[name] = fake.count("P*") - questions
        return {name: count for name, count in found.items() if count}

    def forget(self) -> None:
        """Let what comes from now on be counted; no fault is left."""
        for service in self.services:
            service.clear()
        self.rig.aws.clear_requests()

    def settle(self, *deliver: str, user: str = "ci", store: str = STORE) -> str:
        """Make a user with one key, which the store and all these destinations hold; return its id."""
        self.rig.aws.make_user(user, keys=0)
        self.configure(*(deliver or TWENTY), store=store, users=(user,))
        ran = self.run("rotate", "--json")
        assert ran.code == 0, ran.out + ran.err
        self.forget()
        return str(ran.document["results"][0]["current"])


def ends(ran: Ran, outcome: str) -> list[str]:
    """Return the destinations that ended so, of the one user."""
    (result,) = ran.document["results"]
    return [one["destination"] for one in result["destinations"] if one["outcome"] == outcome]
