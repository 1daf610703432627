"""An identity token comes from the CI system that twokey runs in, or the error says what to set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.ci_systems import ENTRA, REQUEST_TOKEN, TokenService, become, jwt, program
from support.local_variables import watched
from twokey.aws.clock import ServiceClock
from twokey.core.errors import BadCredentials, TwokeyError, UsageError
from twokey.oidc import sources
from twokey.testing.server import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VAULT = "https://vault.example"
NOW = datetime(2026, 11, 29, tzinfo=UTC).timestamp()
CLOCK = ServiceClock(wall=lambda: NOW, sleep=lambda _seconds: None)
SIGNS = {
    "GitLab": ({"GITLAB_CI": "true"}, "TWOKEY_ID_TOKEN"),
    "Bitbucket": ({"BITBUCKET_BUILD_NUMBER": "7"}, "BITBUCKET_STEP_OIDC_TOKEN"),
    "HCP Terraform": ({"TFC_RUN_ID": "run-1"}, "TFC_WORKLOAD_IDENTITY_TOKEN"),
}
SETTINGS = {
    "GitLab": "id_tokens: {TWOKEY_ID_TOKEN: {aud: https://vault.example}}",
    "Bitbucket": "oidc: {audiences: [https://vault.example]}",
    "HCP Terraform": "TFC_WORKLOAD_IDENTITY_AUDIENCE of the workspace to https://vault.example",
}


@pytest.fixture
def service() -> Iterator[TokenService]:
    with TokenService() as running:
        yield running


def token(audience: str = VAULT, *, variable: str = "", file: str = "") -> str:
    return sources.token(audience, CLOCK, variable=variable, file=file)


def refusal(audience: str = VAULT, *, variable: str = "", file: str = "") -> TwokeyError:
    with pytest.raises(TwokeyError) as caught:
        token(audience, variable=variable, file=file)
    return caught.value


class TestOnRequest:
    def test_github_grants_a_token_for_the_audience(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, **service.github_job())
        assert token("two words & more") == service.granted[0] == jwt("two words & more", number=0)

    def test_azure_pipelines_grants_a_token_for_entra(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, **service.azure_job())
        assert token(ENTRA) == service.granted[0]

    def test_azure_pipelines_has_no_other_audience(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, **service.azure_job())
        assert f"for the audience {ENTRA} only" in refusal().remedy

    @pytest.mark.parametrize("missing", ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
    def test_a_job_without_the_permission_is_told_which_one(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch, missing: str
    ) -> None:
        become(monkeypatch, **service.github_job() | {missing: ""})
        error = refusal()
        assert isinstance(error, UsageError)
        assert missing in error.message
        assert "id-token: write" in error.remedy

    @pytest.mark.parametrize(
        "missing", ["SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"]
    )
    def test_a_task_without_a_service_connection_is_told_how_to_get_one(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch, missing: str
    ) -> None:
        become(monkeypatch, **service.azure_job() | {missing: ""})
        assert "AzureCLI@2" in refusal(ENTRA).remedy

    @pytest.mark.parametrize("status", [400, 401, 403, 404])
    def test_a_refusal_says_what_the_job_lacks_and_quotes_nothing(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        become(monkeypatch, **service.github_job())
        service.add(Fault("GET", "/actions/", "refuse", status=status, body={"message": "no: request-token"}))
        error = refusal()
        assert isinstance(error, BadCredentials)
        assert f"grants no identity token ({status})" in error.message
        assert "request-token" not in str(error)

    def test_a_response_without_a_token_is_an_error(
        self, service: TokenService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, **service.github_job())
        service.add(Fault("GET", "/actions/", "refuse", status=200, body={"token": "x"}))
        assert "it is empty" in refusal().message


class TestFromAProgram:
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CIRCLE_OIDC_TOKEN_V2", raising=False)

    def test_buildkites_agent_requests_one_for_the_audience(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, BUILDKITE="true")
        expected = ["oidc", "request-token", "--audience", VAULT]
        program(tmp_path, "buildkite-agent", f"if args == {expected!r}: print({jwt(VAULT)!r})")
        assert token() == jwt(VAULT)

    def test_circleci_requests_one_where_that_of_the_job_has_another_audience(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, CIRCLECI="true", CIRCLE_OIDC_TOKEN_V2=jwt("organization"))
        expected = ["run", "oidc", "get", "--claims", f'{{"aud": "{VAULT}"}}']
        program(tmp_path, "circleci", f"if args == {expected!r}: print({jwt(VAULT)!r})")
        assert token() == jwt(VAULT)

    def test_circleci_uses_that_of_the_job_for_its_own_audience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        become(monkeypatch, CIRCLECI="true", CIRCLE_OIDC_TOKEN_V2=jwt("organization"))
        assert token("organization") == jwt("organization")
        assert "its audience is 'organization'" in refusal().message

    @pytest.mark.parametrize(("sign", "name"), [("BUILDKITE", "buildkite-agent"), ("CIRCLECI", "circleci")])
    def test_a_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch, sign: str, name: str) -> None:
        become(monkeypatch, **{sign: "true"})
        error = refusal()
        assert isinstance(error, UsageError)
        assert f"the program {name}" in error.message

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("sys.exit(3)", "buildkite-agent ended with exit code 3"),
            ("pass", "it is empty"),
            ("print('two lines'); print('here')", "a character that a token cannot have"),
            ("print('no-token')", "it is not a JSON Web Token"),
        ],
    )
    def test_a_program_without_a_token_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
    ) -> None:
        become(monkeypatch, BUILDKITE="true")
        program(tmp_path, "buildkite-agent", body)
        assert why in refusal().message


class TestThatExists:
    @pytest.mark.parametrize("system", SIGNS)
    def test_a_variable_of_the_job_is_the_token(self, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
        signs, variable = SIGNS[system]
        become(monkeypatch, **signs, **{variable: jwt(["other", VAULT])})
        assert token() == jwt(["other", VAULT])

    @pytest.mark.parametrize("system", SIGNS)
    def test_a_variable_that_is_missing_or_for_another_audience_is_explained_by_what_to_set(
        self, monkeypatch: pytest.MonkeyPatch, system: str
    ) -> None:
        signs, variable = SIGNS[system]
        become(monkeypatch, **signs, **{variable: ""})
        assert variable in refusal().message
        become(monkeypatch, **signs, **{variable: jwt("other")})
        error = refusal()
        assert "its audience is 'other'; expected 'https://vault.example'" in error.message
        assert SETTINGS[system] in error.remedy

    def test_a_variable_that_the_operator_names_comes_before_the_ci_system(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        become(monkeypatch, GITLAB_CI="true", TWOKEY_ID_TOKEN=jwt("other"), VAULT_ID_TOKEN=jwt(VAULT))
        assert token(variable="VAULT_ID_TOKEN") == jwt(VAULT)
        assert "ANOTHER is not set" in refusal(variable="ANOTHER").message

    def test_a_file_is_read_at_each_request(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        become(monkeypatch)
        file = tmp_path / "token"
        for number in (1, 2):
            file.write_text(f"{jwt(VAULT, number=number)}\n", encoding="utf-8")
            assert token(file=str(file)) == jwt(VAULT, number=number)
        file.write_bytes(b"\xff")
        assert "it is not text" in refusal(file=str(file)).message
        file.unlink()
        assert f"There is no file {file}" in refusal(file=str(file)).message

    @pytest.mark.parametrize("end", [NOW, NOW - 1, float(10**20) * -1])
    def test_a_token_that_has_ended_is_not_sent(self, monkeypatch: pytest.MonkeyPatch, end: float) -> None:
        become(monkeypatch, MY_TOKEN=jwt(VAULT, end))
        assert "it ended at" in refusal(variable="MY_TOKEN").message

    @pytest.mark.parametrize("system", ["GitHub", "Buildkite", "GitLab"])
    def test_no_variable_shows_the_token(
        self, service: TokenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
    ) -> None:
        become(monkeypatch, **service.github_job() if system == "GitHub" else {})
        if system == "Buildkite":
            become(monkeypatch, BUILDKITE="true", PATH=str(tmp_path))
            program(tmp_path, "buildkite-agent", f"print({jwt(VAULT, number=0)!r})")
        elif system == "GitLab":
            become(monkeypatch, GITLAB_CI="true", TWOKEY_ID_TOKEN=jwt(VAULT, number=0))
        with watched(jwt(VAULT, number=0), REQUEST_TOKEN):
            assert token() == jwt(VAULT, number=0)

    def test_no_error_shows_the_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for text in (jwt("other"), jwt(VAULT, NOW - 9), "a.b.c", "no-token", "two\nlines"):
            become(monkeypatch, MY_TOKEN=text)
            assert text not in str(refusal(variable="MY_TOKEN"))


def test_outside_of_every_ci_system_the_error_names_the_ways_on(monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch)
    error = refusal()
    assert isinstance(error, UsageError)
    assert "Name the file that contains the token: --web-identity FILE" in error.remedy
