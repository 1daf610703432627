"""The formats of destinations that hold one text: file, secret and parameter, as stores and as destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from twokey.core.errors import ServiceRejected, UsageError
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.formats.options import FORMATS, text_format
from twokey.destinations.registry import Services, open_destination, open_store, parse
from twokey.testing.stores import assert_silent, fresh_credential, fresh_name, pair

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.destination import Destination

TEMPLATE = quote("$AccessKeyId:$SecretAccessKey")
OPTIONS = {
    "pair": "format=pair&id=key&secret=word",
    "json": "format=json&extra.region=eu-west-1",
    "env": "format=env",
    "credentials-file": "format=credentials-file&profile=ci",
    "ses-smtp": "format=ses-smtp&region=eu-central-1",
    "template": f"format=template&template={TEMPLATE}",
}
READABLE = [name for name in FORMATS if name not in ("ses-smtp", "template")]


@pytest.fixture(params=["file", "secretsmanager", "ssm"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a destination that does not exist yet."""
    rests = {"file": f"{tmp_path}/ci", "secretsmanager": fresh_name(), "ssm": f"/{fresh_name()}"}
    return f"{request.param}:{rests[request.param]}"


@pytest.fixture
def read(backend: str, services: Services) -> Destination:
    """The destination as a reader of JSON sees it: other formats are unreadable."""
    return open_destination(backend, services)


class TestAStore:
    @pytest.mark.parametrize("name", READABLE)
    def test_reads_back_what_it_put_in_every_readable_format(self, backend: str, services: Services, name: str) -> None:
        store, other = (open_store(f"{backend}?{OPTIONS[name]}", services) for _ in range(2))
        credential = fresh_credential()
        revision = store.put(credential, store.save_journal(Journal(epoch=1), store.load().revision))
        record = other.load()
        assert (record.holding, record.journal) == (Held(credential.access_key_id), Journal(epoch=1))
        assert record.revision == revision
        assert other.held() == Held(credential.access_key_id)
        assert other.credential() == credential

    @pytest.mark.parametrize("name", READABLE)
    def test_with_a_journal_only_holds_no_key(self, backend: str, services: Services, name: str) -> None:
        store = open_store(f"{backend}?{OPTIONS[name]}", services)
        store.fence(store.save_journal(Journal(epoch=1), store.load().revision))
        assert store.load().holding == NotHeld() == store.held()
        assert store.credential() is None

    @pytest.mark.parametrize("name", ["env", "credentials-file", "pair"])
    def test_whose_format_was_changed_is_unreadable_and_not_empty(
        self, backend: str, services: Services, name: str
    ) -> None:
        store, other = open_store(backend, services), open_store(f"{backend}?{OPTIONS[name]}", services)
        credential = fresh_credential()
        store.put(credential, store.save_journal(Journal(current=credential.access_key_id), store.load().revision))
        assert isinstance(other.load().holding, CannotTell)
        with pytest.raises(ServiceRejected) as raised:
            other.credential()
        assert_silent(raised.value, credential)

    @pytest.mark.parametrize("name", ["ses-smtp", "template"])
    def test_whose_credential_could_not_be_read_back_is_refused(
        self, backend: str, services: Services, name: str
    ) -> None:
        parse(f"{backend}?{OPTIONS[name]}")
        with pytest.raises(UsageError, match=f"the format {name} cannot be read back"):
            open_store(f"{backend}?{OPTIONS[name]}", services)


class TestADestination:
    @pytest.mark.parametrize("name", FORMATS)
    def test_is_written_once_in_every_format(self, backend: str, services: Services, name: str) -> None:
        url = f"{backend}?{OPTIONS[name]}"
        first, second = (open_destination(url, services) for _ in range(2))
        credential = fresh_credential()
        assert first.deliver(credential).written
        assert not second.deliver(credential).written
        assert first.deliver(fresh_credential()).written

    @pytest.mark.parametrize("name", FORMATS)
    def test_shows_readers_the_text_of_its_format(self, backend: str, services: Services, name: str) -> None:
        url = f"{backend}?{OPTIONS[name]}"
        credential = fresh_credential()
        open_destination(url, services).deliver(credential)
        assert _text(backend, services).rstrip("\n") == text_format(parse(url)).text(credential).rstrip("\n")

    def test_tells_the_key_by_the_smtp_user_name(self, backend: str, services: Services) -> None:
        destination = open_destination(f"{backend}?{OPTIONS['ses-smtp']}", services)
        credential = fresh_credential()
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)

    def test_that_cannot_tell_shows_a_stamp_of_the_latest_write(self, backend: str, services: Services) -> None:
        destination = open_destination(f"{backend}?{OPTIONS['template']}", services)
        first, second = destination.deliver(fresh_credential()), destination.deliver(fresh_credential())
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert holding.stamp == second.stamp != first.stamp

    def test_is_written_again_in_another_format(self, backend: str, services: Services, read: Destination) -> None:
        credential = fresh_credential()
        read.deliver(credential)
        other = open_destination(f"{backend}?{OPTIONS['env']}", services)
        assert isinstance(other.held(), CannotTell)
        assert other.deliver(credential).written
        assert other.held() == Held(credential.access_key_id)
        assert isinstance(read.held(), CannotTell)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("format=yml", "There is no format 'yml'"),
        ("formt=env", "did you mean format"),
        ("name=AWS", "there is no option 'name' here"),
        ("id=a b", "cannot be a name here"),
        ("format=ses-smtp", "needs region="),
        ("format=template&template=$AccesKeyId", "did you mean AccessKeyId"),
    ],
)
def test_what_cannot_be_is_refused_with_the_url_before_anything_is_called(
    backend: str, options: str, message: str
) -> None:
    with pytest.raises(UsageError, match=f"^'{backend}.*{message}"):
        parse(f"{backend}?{options}")


def test_nothing_changes_for_those_who_name_no_format(backend: str, services: Services) -> None:
    credential = fresh_credential()
    open_destination(backend, services).deliver(credential)
    same = open_destination(f"{backend}?format=json", services)
    assert not same.deliver(credential).written
    assert _text(backend, services) == (
        f'{{"AccessKeyId": "{credential.access_key_id}", "SecretAccessKey": "{pair(credential)["SecretAccessKey"]}"}}'
        + ("\n" if backend.startswith("file:") else "")
    )


def _text(backend: str, services: Services) -> str:
    """Return what a job reads, by the service's own tools."""
    from pathlib import Path

    scheme, _, rest = backend.partition(":")
    if scheme == "file":
        return Path(rest).read_text(encoding="utf-8")
    if scheme == "ssm":
        client = services.clients.client("ssm")
        return str(client.get_parameter(Name=rest, WithDecryption=True)["Parameter"]["Value"])
    return str(services.clients.client("secretsmanager").get_secret_value(SecretId=rest)["SecretString"])
