"""GitLab's CI/CD variables: the contract for every kind of target, and what is special to GitLab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    NotFound,
    ServiceRejected,
    TwokeyError,
    UsageError,
)
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations import registry
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    NamedValuesContract,
    assert_silent,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.gitlab import GitLab
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

ID, SECRET, FILE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"
PROJECT = "projects/acme/site"


class Variables(Backend):
    """Variables on the fake: ``inside`` is the fake's name for the target that they are in."""

    writes = ("P*", "/variables")
    bad_names: tuple[str, ...] = (
        "gitlab:site",
        "gitlab:acme/site/",
        "gitlab:acme//site",
        "gitlab:-acme/site",
        "gitlab:acme/site.git",
        "gitlab:acme/site?id=WITH-DASH",
        "gitlab:acme/site?id=1ST",
        "gitlab:acme/site?secret=" + "S" * 256,
        "gitlab:acme/site?scope=pro;duction",
        "gitlab:acme/site?masked=yes",
        "gitlab:acme/site?type=folder",
        "gitlab:acme/site?type=file&format=pair",
        "gitlab:acme/site?type=file&masked=true",
        "gitlab:acme/site?format=json&hidden=true",
        "gitlab:acme/site?hidden=true&masked=false",
        "gitlab:acme/site?extra.NOTE=two words&masked=true",
        "gitlab-group:acme/",
    )

    def __init__(self, fake: GitLab, url: str, inside: str, scope: str = "*") -> None:
        self.fake: GitLab = fake
        self.url = url
        self.inside = inside
        self.scope = scope

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": "TEST_GITLAB_TOKEN"}, "url": self.fake.url}

    def read(self) -> dict[str, str] | None:
        found = [self.fake.value(self.inside, name, self.scope) for name in (ID, SECRET)]
        return None if None in found else {"AccessKeyId": str(found[0]), "SecretAccessKey": str(found[1])}

    def plant(self, credential: Credential) -> None:
        self.fake.put(self.inside, ID, credential.access_key_id, self.scope)
        self.fake.put(self.inside, SECRET, str(credential.reveal()), self.scope)

    def remove(self) -> None:
        del self.fake.targets[self.inside]

    def spoil_token(self) -> None:
        self.fake.token = "another"


class File(Variables):
    """One variable of type ``file``."""

    def read(self) -> dict[str, str] | None:
        text = self.fake.value(self.inside, FILE, self.scope)
        if text is None:
            return None
        assert text.splitlines()[0] == "[default]"
        found = dict(line.split(" = ") for line in text.splitlines()[1:])
        return {"AccessKeyId": found["aws_access_key_id"], "SecretAccessKey": found["aws_secret_access_key"]}

    def plant(self, credential: Credential) -> None:
        text = f"[default]\naws_access_key_id = {credential.access_key_id}\naws_secret_access_key = "
        self.fake.put(self.inside, FILE, f"{text}{credential.reveal()}\n", self.scope, variable_type="file")


class HiddenVariables(Variables):
    def plant(self, credential: Credential) -> None:
        self.fake.put(self.inside, ID, credential.access_key_id, masked=True, hidden=True)
        self.fake.put(self.inside, SECRET, str(credential.reveal()), masked=True, hidden=True)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLab]:
    with GitLab() as gitlab:
        monkeypatch.setenv("TEST_GITLAB_TOKEN", gitlab.token)
        gitlab.add_target("groups", "acme/web")
        yield gitlab


def opened(fake: GitLab, url: str) -> Destination:
    return registry.open_destination(url, services_of(Variables(fake, url, ""), Hurried()))


def failed(act: Any) -> TwokeyError:
    error = outcome(act)
    assert error is not None
    return error


def settings(fake: GitLab, key: str, backend: str = PROJECT, scope: str = "*") -> dict[str, Any]:
    """Return what is set of a variable, beside its value."""
    return {name: value for name, value in fake.variables[backend][key, scope].items() if name != "value"}


class TestAProject(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitLab) -> Backend:
        return Variables(fake, "gitlab:acme/site", PROJECT)


class TestAnEnvironmentOfASubgroup(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitLab) -> Backend:
        return Variables(fake, "gitlab-group:acme/web?scope=production/*", "groups/acme/web", "production/*")


class Instance(Variables):
    """Variables of the whole server."""

    bad_names = (
        "gitlab-instance:gitlab.example.com",
        "gitlab-instance:variables/acme",
        "gitlab-instance:variables?scope=production",
        "gitlab-instance:variables?hidden=true",
        "gitlab-instance:variables?type=file&format=pair",
    )

    def __init__(self, fake: GitLab) -> None:
        super().__init__(fake, "gitlab-instance:variables", "admin/ci")


class TestTheInstance(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitLab) -> Backend:
        return Instance(fake)

    def test_takes_a_variable_of_type_file(self, fake: GitLab) -> None:
        credential = fresh_credential()
        destination = opened(fake, f"{Instance(fake).url}?type=file&protected=true")
        destination.preflight()
        assert destination.deliver(credential).written
        assert destination.held() == Held(credential.access_key_id)
        found = fake.variables["admin/ci"][FILE, "*"]
        assert (found["variable_type"], found["protected"], found["masked"]) == ("file", True, False)

    def test_needs_an_administrator(self, fake: GitLab) -> None:
        fake.manages = False
        error = failed(opened(fake, Instance(fake).url).preflight)
        assert isinstance(error, AccessDenied)
        assert "Administrator" in error.remedy
        assert "admin_mode" in error.remedy

    def test_of_an_old_gitlab_has_no_variables(self, fake: GitLab) -> None:
        del fake.targets["admin/ci"]
        error = failed(opened(fake, Instance(fake).url).preflight)
        assert isinstance(error, NotFound)
        assert "since version 13.0" in error.message


class TestHiddenVariables(NamedValuesContract, DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitLab) -> Backend:
        return HiddenVariables(fake, "gitlab:acme/site?hidden=true", PROJECT)


class TestAFile(DestinationContract):
    @pytest.fixture
    def backend(self, fake: GitLab) -> Backend:
        return File(fake, "gitlab:acme/site?type=file", PROJECT)

    def test_a_reader_never_sees_a_mixed_pair(self, destination: Destination) -> None:
        assert destination.traits.atomic


class TestWhatIsMade:
    def test_id_and_secret_are_masked_not_expanded_and_say_which_key_they_are(self, fake: GitLab) -> None:
        credential = fresh_credential()
        opened(fake, "gitlab:acme/site?extra.AWS_REGION=eu-central-1").deliver(credential)
        assert settings(fake, SECRET) == {
            "key": SECRET,
            "variable_type": "env_var",
            "environment_scope": "*",
            "masked": True,
            "hidden": False,
            "protected": False,
            "raw": True,
            "description": f"Access key {credential.access_key_id}, rotated by twokey",
        }
        assert settings(fake, ID)["masked"]

    def test_what_stands_beside_the_pair_is_no_secret(self, fake: GitLab) -> None:
        opened(fake, "gitlab:acme/site?extra.AWS_REGION=eu-central-1").deliver(fresh_credential())
        assert not settings(fake, "AWS_REGION")["masked"]

    def test_settings_are_those_that_the_url_names(self, fake: GitLab) -> None:
        opened(fake, "gitlab:acme/site?masked=false&protected=true&raw=false").deliver(fresh_credential())
        made = settings(fake, SECRET)
        assert (made["masked"], made["protected"], made["raw"]) == (False, True, False)

    def test_a_hidden_variable_is_masked_and_shows_no_value(self, fake: GitLab) -> None:
        destination = opened(fake, "gitlab:acme/site?hidden=true")
        credential = fresh_credential()
        destination.deliver(credential)
        made = settings(fake, SECRET)
        assert made["masked"]
        assert made["hidden"]
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert credential.access_key_id in holding.why

    def test_a_file_is_one_multi_line_value_that_nothing_masks(self, fake: GitLab) -> None:
        opened(fake, "gitlab:acme/site?type=file").deliver(fresh_credential())
        assert settings(fake, FILE)["variable_type"] == "file"
        assert not settings(fake, FILE)["masked"]

    def test_a_file_of_variables_has_another_name(self, fake: GitLab) -> None:
        opened(fake, "gitlab:acme/site?type=file&format=env").deliver(fresh_credential())
        assert str(fake.value(PROJECT, "AWS_CREDENTIALS")).startswith("AWS_ACCESS_KEY_ID=AKIA")

    def test_scopes_of_the_same_variable_are_apart(self, fake: GitLab) -> None:
        staging, production = fresh_credential(), fresh_credential()
        fake.put(PROJECT, ID, "by hand", "*")
        for scope, credential in (("staging", staging), ("production", production)):
            opened(fake, f"gitlab:acme/site?scope={scope}").deliver(credential)
        assert fake.value(PROJECT, ID, "staging") == staging.access_key_id
        assert opened(fake, "gitlab:acme/site?scope=production").held() == Held(production.access_key_id)
        assert fake.value(PROJECT, ID) == "by hand"

    def test_a_lost_response_is_made_good_by_writing_to_what_is_there(self, fake: GitLab) -> None:
        fake.add(Fault("POST", "/variables", "lost_response"))
        credential = fresh_credential()
        assert opened(fake, "gitlab:acme/site").deliver(credential).written
        assert Variables(fake, "", PROJECT).read() == pair(credential)
        assert len(fake.variables[PROJECT]) == 2

    def test_a_response_that_is_never_there_is_ambiguous(self, fake: GitLab) -> None:
        fake.add(Fault("POST", "/variables", "reset", times=None))
        error = failed(lambda: opened(fake, "gitlab:acme/site").deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert f"create the variable {ID}" in error.message
        assert fake.variables[PROJECT] == {}

    def test_a_gitlab_that_cannot_hide_is_reported(self, fake: GitLab) -> None:
        fake.hides = False
        error = failed(lambda: opened(fake, "gitlab:acme/site?hidden=true").deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "17.4" in error.message
        assert settings(fake, ID)["masked"]
        assert fake.value(PROJECT, SECRET) is None

    def test_a_group_whose_plan_has_no_scopes_is_reported(self, fake: GitLab) -> None:
        fake.premium = False
        url = "gitlab-group:acme?scope=production"
        error = failed(lambda: opened(fake, url).deliver(fresh_credential()))
        assert isinstance(error, Ambiguous)
        assert "environments *" in error.message
        assert fake.value("groups/acme", SECRET) is None

    def test_a_group_without_scopes_takes_variables_for_all_environments(self, fake: GitLab) -> None:
        fake.premium = False
        credential = fresh_credential()
        destination = opened(fake, "gitlab-group:acme")
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)


class TestWhatIsThere:
    def test_its_settings_and_the_operators_description_stay(self, fake: GitLab) -> None:
        for key in (ID, SECRET):
            fake.put(PROJECT, key, "old-value", protected=True, raw=False, masked=False, description="Ask the web team")
        before = settings(fake, SECRET)
        opened(fake, "gitlab:acme/site?protected=false&masked=true").deliver(fresh_credential())
        assert settings(fake, SECRET) == before

    def test_a_description_of_ours_follows_the_key(self, fake: GitLab) -> None:
        destination = opened(fake, "gitlab:acme/site")
        for _ in range(2):
            credential = fresh_credential()
            destination.deliver(credential)
            assert credential.access_key_id in settings(fake, ID)["description"]

    def test_a_hidden_one_is_written_and_stays_hidden(self, fake: GitLab) -> None:
        fake.put(PROJECT, SECRET, "old-value", masked=True, hidden=True)
        credential = fresh_credential()
        opened(fake, "gitlab:acme/site").deliver(credential)
        assert fake.value(PROJECT, SECRET) == credential.reveal()
        assert settings(fake, SECRET)["hidden"]

    def test_only_what_differs_is_written(self, fake: GitLab) -> None:
        credential = fresh_credential()
        fake.put(PROJECT, ID, credential.access_key_id)
        fake.put(PROJECT, SECRET, "torn")
        opened(fake, "gitlab:acme/site").deliver(credential)
        assert fake.count("PUT", ID) == 0
        assert fake.count("PUT", SECRET) == 1

    @pytest.mark.parametrize(("url", "key", "kind"), [("?type=file", FILE, "env_var"), ("", SECRET, "file")])
    def test_one_of_the_other_type_is_refused_before_anything_is_written(
        self, fake: GitLab, url: str, key: str, kind: str
    ) -> None:
        fake.put(PROJECT, key, "{}", variable_type=kind)
        destination = opened(fake, f"gitlab:acme/site{url}")
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            error = failed(act)
            assert isinstance(error, ServiceRejected)
            assert f"of type {kind}" in error.message
        assert fake.count("P*") == 0

    def test_a_masked_one_cannot_take_lines(self, fake: GitLab) -> None:
        fake.put(PROJECT, FILE, "{}", variable_type="file", masked=True)
        destination = opened(fake, "gitlab:acme/site?type=file")
        for act in (destination.preflight, lambda: destination.deliver(fresh_credential())):
            error = failed(act)
            assert isinstance(error, ServiceRejected)
            assert "is masked" in error.message
        assert fake.count("P*") == 0

    def test_a_masked_one_that_cannot_take_the_value_is_reported(self, fake: GitLab) -> None:
        fake.put(PROJECT, "TEXT", "{}", masked=True)
        url = "gitlab:acme/site?format=template&name=TEXT&template=$AccessKeyId $SecretAccessKey"
        credential = fresh_credential()
        error = failed(lambda: opened(fake, url).deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert "is masked" in error.message
        assert_silent(error, credential)

    def test_half_a_pair_is_reported(self, fake: GitLab) -> None:
        fake.put(PROJECT, ID, "AKIA0000000000000000")
        holding = opened(fake, "gitlab:acme/site").held()
        assert isinstance(holding, CannotTell)
        assert SECRET in holding.why


class TestRefusals:
    def test_an_archived_project_is_named_before_a_rotation(self, fake: GitLab) -> None:
        fake.targets[PROJECT]["archived"] = True
        destination = opened(fake, "gitlab:acme/site")
        assert "archived" in failed(destination.preflight).message
        assert "archived" in failed(destination.held).remedy

    def test_a_project_that_moved_is_named_as_it_is_called_now(self, fake: GitLab) -> None:
        destination = opened(fake, "gitlab:acme/site")
        credential = fresh_credential()
        destination.deliver(credential)
        fake.move("acme/site", "acme/web/site")
        assert "moved to acme/web/site" in failed(destination.preflight).message
        assert destination.held() == Held(credential.access_key_id)
        error = failed(lambda: destination.deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "moved" in error.message

    def test_a_project_that_is_gone_is_not_an_empty_one(self, fake: GitLab) -> None:
        destination = opened(fake, "gitlab:acme/other")
        error = failed(destination.held)
        assert isinstance(error, NotFound)
        assert "Maintainer" in error.remedy

    def test_a_token_that_may_not_manage_variables_names_what_it_lacks(self, fake: GitLab) -> None:
        fake.manages = False
        error = failed(opened(fake, "gitlab-group:acme").preflight)
        assert isinstance(error, AccessDenied)
        assert "the scope api and the role Owner on the group" in error.remedy

    def test_a_token_that_only_reads_is_found_out_before_a_rotation(self, fake: GitLab) -> None:
        fake.scopes = ["read_api"]
        destination = opened(fake, "gitlab:acme/site")
        assert destination.held() == NotHeld()
        for _ in range(2):
            error = failed(destination.preflight)
            assert isinstance(error, AccessDenied)
            assert "the scope api" in error.remedy
        assert fake.count("GET", "/personal_access_tokens/self") == 1

    def test_a_token_that_tells_nothing_of_itself_is_believed(self, fake: GitLab) -> None:
        fake.add(Fault("GET", "/personal_access_tokens/self", "refuse", status=404, body={"error": "404 Not Found"}))
        opened(fake, "gitlab:acme/site").preflight()

    def test_a_token_without_any_scope_for_it_names_which(self, fake: GitLab) -> None:
        fake.scopes = ["read_repository"]
        error = failed(opened(fake, "gitlab:acme/site").held)
        assert isinstance(error, AccessDenied)
        assert "the scope api" in error.remedy

    def test_the_token_of_a_job_is_not_accepted(self, fake: GitLab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TEST_GITLAB_TOKEN", "glcbt-64_of-a-job")
        error = failed(opened(fake, "gitlab:acme/site").preflight)
        assert isinstance(error, BadCredentials)
        assert "CI job" in error.remedy

    def test_a_quota_that_is_reached_is_reported(self, fake: GitLab) -> None:
        fake.most["projects"] = 1
        credential = fresh_credential()
        error = failed(lambda: opened(fake, "gitlab:acme/site").deliver(credential))
        assert isinstance(error, Ambiguous)
        assert "its limit of variables is reached" in error.message
        assert "AWS_ACCESS_KEY_ID was written" in error.state
        assert_silent(error, credential)

    def test_another_client_that_created_it_at_the_same_time_is_named(self, fake: GitLab) -> None:
        body = {"message": {"key": [f"({ID}) has already been taken"]}}
        fake.add(Fault("POST", "/variables", "refuse", status=400, body=body))
        error = failed(lambda: opened(fake, "gitlab:acme/site").deliver(fresh_credential()))
        assert isinstance(error, ServiceRejected)
        assert "another client created it" in error.message

    def test_a_value_that_is_too_long_is_never_sent(self, fake: GitLab) -> None:
        url = f"gitlab:acme/site?type=file&format=template&template={'x' * 9_990}$SecretAccessKey"
        credential = fresh_credential()
        error = failed(lambda: opened(fake, url).deliver(credential))
        assert isinstance(error, ServiceRejected)
        assert "at most 10000" in error.message
        assert fake.count("P*") == 0
        assert_silent(error, credential)


class TestWhereItIs:
    @pytest.mark.parametrize("ending", ["", "/", "/api/v4", "/api/v4/"])
    def test_a_server_is_named_with_or_without_the_path_of_its_api(self, fake: GitLab, ending: str) -> None:
        backend = Variables(fake, "gitlab:acme/site", PROJECT)
        settings = {**backend.settings(), "url": f"{fake.url}{ending}"}
        registry.open_destination(backend.url, services_of(backend, Hurried(), settings)).preflight()

    def test_a_job_of_gitlabs_own_finds_its_server_by_itself(
        self, fake: GitLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from twokey.aws.clients import Clients
        from twokey.destinations.registry import Services

        monkeypatch.setenv("CI_SERVER_URL", fake.url)
        monkeypatch.setenv("GITLAB_TOKEN", fake.token)
        registry.open_destination("gitlab:acme/site", Services(Clients("here"))).preflight()
        assert fake.count("GET", "acme%2Fsite") > 0

    def test_a_host_alone_is_reached_over_tls(self, fake: GitLab) -> None:
        backend = Variables(fake, "gitlab:acme/site", PROJECT)
        settings = {**backend.settings(), "url": "gitlab.invalid"}
        error = failed(registry.open_destination(backend.url, services_of(backend, Hurried(), settings)).held)
        assert "https://gitlab.invalid/api/v4" in error.message

    def test_a_group_is_no_project(self) -> None:
        with pytest.raises(UsageError, match="GROUP/PROJECT"):
            registry.parse("gitlab:acme")


@pytest.mark.parametrize(
    ("scheme", "kind", "path"), [("gitlab", "projects", "acme/site"), ("gitlab-group", "groups", "acme")]
)
def test_a_target_may_be_named_by_its_id_which_no_rename_changes(
    fake: GitLab, scheme: str, kind: str, path: str
) -> None:
    number = fake.targets[f"{kind}/{path}"]["id"]
    backend = Variables(fake, f"{scheme}:{number}", f"{kind}/{path}")
    destination = registry.open_destination(backend.url, services_of(backend, Hurried()))
    destination.preflight()
    credential = fresh_credential()
    assert destination.deliver(credential).written
    assert backend.read() == pair(credential)


def test_a_token_of_oauth_is_sent_as_bearer(fake: GitLab) -> None:
    fake.oauth_token = fake.token
    backend = Variables(fake, "gitlab:acme/site", PROJECT)
    settings = {**backend.settings(), "oauth": True}
    destination = registry.open_destination(backend.url, services_of(backend, Hurried(), settings))
    destination.preflight()
    assert destination.deliver(fresh_credential()).written
    without = registry.open_destination(backend.url, services_of(backend, Hurried()))
    assert isinstance(failed(without.held), BadCredentials)
