"""Google's clients and twokey log in and write secrets with the same requests, and read what the other wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from clients.conversation import Recording, needs_python_clients
from clients.variables import CREATED, UPDATED, assert_same_requests, opened
from destinations.logins.test_gcp_login import external, impersonation, is_signed, service_account
from destinations.stores.test_gcp_secretmanager import TARGET, URL, Secret
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.destinations.registry import open_store
from twokey.testing.contract import Hurried, pair, services_of
from twokey.testing.fakes.gcp_secretmanager import JWT_GRANT, Google, claims_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.testing.server import ReceivedRequest

pytestmark = needs_python_clients
ALT = "$alt"
"""Google's clients ask for numbers instead of names of constants."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with Google() as google:
        monkeypatch.setenv("TEST_GOOGLE_TOKEN", google.token)
        google.logins[JWT_GRANT] = is_signed
        yield google


def test_a_client_writes_as_twokey_does_and_each_reads_what_the_other_wrote(fake: Google) -> None:
    backend = Secret(fake)
    recording = Recording(fake, opened=without_empty)
    notes: dict[str, Any] = {}
    for step, credential in (("creates", CREATED), ("updates", UPDATED)):
        recording.step = f"twokey secret {step}"
        opened(backend).deliver(credential)
        notes[step] = dict(fake.secrets[TARGET]["annotations"])
    recording.step = "twokey secret journals"
    store = open_store(URL, services_of(backend, Hurried()))
    store.save_journal(Journal(), store.load().revision)
    notes["journals"] = dict(fake.secrets[TARGET]["annotations"])
    recording.step = "twokey secret looks"
    store.preflight()
    (asked,) = recording.writes(recording.step)
    project, _, name = TARGET.partition("/")
    found = recording.run(
        "google_secret_manager",
        token=fake.token,
        project=project,
        name=name,
        permissions=asked.body["permissions"],
        texts={"creates": json.dumps(pair(CREATED)), "updates": json.dumps(pair(UPDATED))},
        annotations=notes,
    )
    assert [one.without(ALT) for one in recording.writes("secret looks")] == [asked]
    assert_same_requests(recording, "secret", besides=(ALT,))
    assert_same_change(recording)
    assert found["read"] == json.dumps(pair(UPDATED))
    assert found["listed"] == [f"projects/{project}/secrets/{name}"]
    assert (found["versions"], found["annotations"]) == (["2", "1"], notes["journals"])
    assert backend.read() == pair(UPDATED)
    assert opened(backend).held() == Held(UPDATED.access_key_id)
    assert not opened(backend).deliver(UPDATED).written


def without_empty(_request: ReceivedRequest, body: Any) -> Any:
    """Leave out annotations if there are none: the client does."""
    return {name: one for name, one in body.items() if name != "annotations" or one} if body else body


def assert_same_change(recording: Recording) -> None:
    """Assert that the client changes annotations as twokey does: on condition of the etag, which is another one."""
    (ours,), (theirs,) = (recording.writes(f"{who}secret journals") for who in ("twokey ", ""))
    assert theirs.without(ALT).query == ours.query
    assert (theirs.method, theirs.path, theirs.media_type) == (ours.method, ours.path, ours.media_type)
    assert ours.body.keys() == theirs.body.keys() == {"annotations", "etag"}
    assert ours.body["annotations"] == theirs.body["annotations"]


def test_a_client_logs_in_as_twokey_does(fake: Google, tmp_path: Path) -> None:
    """A user's file cannot be tried: google-auth always goes to Google's own address with it."""
    (tmp_path / "subject").write_text("ey.subject", encoding="utf-8")
    (tmp_path / "subject").chmod(0o600)
    subject = {"file": str(tmp_path / "subject")}
    contents = {
        "service account": service_account(fake),
        "external account": external(fake, subject),
        "impersonation": external(fake, subject, service_account_impersonation_url=impersonation(fake)),
    }
    recording = Recording(fake)
    files = {}
    for name, content in contents.items():
        files[name] = str(tmp_path / name)
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / name).chmod(0o600)
        recording.step = f"twokey {name}"
        opened(LoggedIn(fake, credentials=files[name])).held()
    recording.step = "twokey metadata"
    opened(LoggedIn(fake, metadata=fake.url)).held()
    recording.run("google_auth", {"GCE_METADATA_HOST": fake.url.removeprefix("http://")}, files=files)
    for name in contents:
        ours, theirs = recording.writes(f"twokey {name}"), recording.writes(name)
        assert len(ours) == len(theirs) == (2 if name == "impersonation" else 1)
        for one, other in zip(ours, theirs, strict=True):
            assert (one.method, one.path, one.media_type) == (other.method, other.path, other.media_type)
            wanted = said(one.body)
            if len(ours) == 2 and one is ours[0]:
                # To impersonate, either of two scopes is enough; Google's client asks for the other one.
                del wanted["scope"]
            assert wanted == {name: said(other.body)[name] for name in wanted}
    assert recording.sent("twokey metadata")[0] in [one.without("scopes") for one in recording.sent("metadata")]


class LoggedIn(Secret):
    """The secret, after a login."""

    def __init__(self, fake: Google, **login: str) -> None:
        super().__init__(fake)
        self._login = login

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, **self._login}


def said(form: dict[str, str]) -> dict[str, Any]:
    """Return what a login says. Of a signed assertion, that is its claims but for its times."""
    if "assertion" not in form:
        return form
    claims = {name: value for name, value in claims_of(form["assertion"]).items() if name not in {"iat", "exp"}}
    return {**form, **claims, "assertion": ""}
