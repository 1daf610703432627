"""The fake Kubernetes itself: server-side apply as Kubernetes' documentation describes it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from twokey.testing.fakes.kubernetes import Kubernetes
from twokey.testing.fakes.kubernetes_apply import managers
from twokey.testing.server import ReceivedRequest, Reply

TARGET = "apps/ci"
SECRETS = "/api/v1/namespaces/apps/secrets"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def fake() -> Kubernetes:
    return Kubernetes()


def send(fake: Kubernetes, method: str, manifest: Any, kind: str = APPLY, name: str = "ci", **query: str) -> Reply:
    """Send a request with this body and these parameters."""
    path = SECRETS if method == "POST" else f"{SECRETS}/{name}"
    headers = {"Authorization": "Bearer sa-token", "Content-Type": kind}
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return fake.handle(ReceivedRequest(method, path, path, query, headers, data))


def secret(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return a manifest; values are given as Kubernetes wants them."""
    held = {} if data is None else {"data": data}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ci", **metadata}, **held}


def applies(fake: Kubernetes, manager: str, manifest: Any, *, force: bool = False) -> Reply:
    """Apply a manifest."""
    return send(fake, "PATCH", manifest, fieldManager=manager, force=str(force).lower())


def data(fake: Kubernetes) -> dict[str, str]:
    """Return the keys and their values as they were sent."""
    found: dict[str, str] = fake.secrets[TARGET].get("data", {})
    return found


def owners(fake: Kubernetes, *path: str) -> set[tuple[str, str]]:
    """Return who owns a field."""
    return managers(fake.secrets[TARGET], *path)


A, B, C = "QQ==", "Qg==", "Qw=="


class TestOwners:
    def test_who_makes_it_owns_it_as_an_update_and_who_applies_it_as_an_apply(self, fake: Kubernetes) -> None:
        assert send(fake, "POST", {**secret({"x": A}), "type": "Opaque"}, fieldManager="maker").status == 201
        assert applies(fake, "other", secret({"y": B})).status == 200
        assert fake.secrets[TARGET]["metadata"]["managedFields"] == [
            {
                "manager": "maker",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-11-01T00:00:01Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {".": {}, "f:x": {}}, "f:type": {}},
            },
            {
                "manager": "other",
                "operation": "Apply",
                "apiVersion": "v1",
                "time": "2026-11-01T00:00:03Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:data": {"f:y": {}}},
            },
        ]

    def test_one_manager_is_two_owners_by_its_two_operations(self, fake: Kubernetes) -> None:
        send(fake, "POST", secret({"x": A, "y": A}), fieldManager="one")
        applies(fake, "one", secret({"x": A}))
        assert owners(fake, "data", "x") == {("one", "Update"), ("one", "Apply")}
        assert owners(fake, "data", "y") == {("one", "Update")}

    def test_the_same_value_is_shared(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A}))
        assert applies(fake, "two", secret({"x": A})).status == 200
        assert owners(fake, "data", "x") == {("one", "Apply"), ("two", "Apply")}

    def test_a_change_by_kubectl_takes_the_field(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A, "y": A}))
        fake.apply(TARGET, {"x": "manual"})
        assert owners(fake, "data", "x") == {("kubectl", "Update")}
        assert owners(fake, "data", "y") == {("one", "Apply")}

    def test_labels_and_annotations_have_owners_of_their_own(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret(annotations={"a/b.c": "1"}, labels={"team": "site"}))
        applies(fake, "two", secret(annotations={"d": "2"}))
        assert owners(fake, "metadata", "annotations", "a/b.c") == {("one", "Apply")}
        assert owners(fake, "metadata", "labels", "team") == {("one", "Apply")}
        assert owners(fake, "metadata", "annotations", "d") == {("two", "Apply")}

    def test_what_was_never_tracked_belongs_to_no_manager_that_applies(self, fake: Kubernetes) -> None:
        fake.apply(TARGET, {"x": "manual"})
        del fake.secrets[TARGET]["metadata"]["managedFields"]
        fake.annotate(TARGET, {"still": "untracked"})
        assert "managedFields" not in fake.secrets[TARGET]["metadata"]
        assert applies(fake, "one", secret({"x": A})).status == 409
        applies(fake, "one", secret({"y": A}))
        assert owners(fake, "data", "x") == {("before-first-apply", "Update")}


class TestConflicts:
    def test_another_value_of_an_applier_is_refused_and_named(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A}))
        before = copy.deepcopy(fake.secrets)
        reply = applies(fake, "two", secret({"x": B, "y": B}))
        assert reply.status == 409
        assert reply.body["reason"] == "Conflict"
        assert reply.body["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.x'
        cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.x"}
        assert reply.body["details"]["causes"] == [cause]
        assert fake.secrets == before

    def test_an_updater_is_named_with_its_time_and_several_in_a_list(self, fake: Kubernetes) -> None:
        fake.apply(TARGET, {"x": "manual", "y": "manual"})
        applies(fake, "one", secret({"z": A}))
        at = fake.secrets[TARGET]["metadata"]["managedFields"][0]["time"]
        reply = applies(fake, "two", secret({"x": B, "y": B, "z": B}))
        assert reply.body["message"] == (
            f'Apply failed with 3 conflicts: conflicts with "kubectl" using v1 at {at}:\n- .data.x\n- .data.y\n'
            'conflicts with "one":\n- .data.z'
        )

    def test_force_takes_the_field_from_all_others(self, fake: Kubernetes) -> None:
        fake.apply(TARGET, {"x": "A"})
        applies(fake, "one", secret({"x": A}))
        assert applies(fake, "two", secret({"x": B}), force=True).status == 200
        assert (data(fake), owners(fake, "data", "x")) == ({"x": B}, {("two", "Apply")})

    def test_force_says_nothing_about_the_version(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A}))
        reply = applies(fake, "one", secret({"x": B}, resourceVersion="1"), force=True)
        assert (reply.status, reply.body["reason"], data(fake)) == (409, "Conflict", {"x": A})
        assert "the object has been modified" in reply.body["message"]


class TestRemoval:
    def test_what_is_applied_no_longer_goes(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A, "y": A}, annotations={"a": "1"}))
        applies(fake, "one", secret({"x": A}))
        assert data(fake) == {"x": A}
        assert "annotations" not in fake.secrets[TARGET]["metadata"]

    def test_what_another_manager_owns_too_stays(self, fake: Kubernetes) -> None:
        fake.apply(TARGET, {"x": "A"})
        applies(fake, "one", secret({"x": A, "y": B}))
        applies(fake, "two", secret({"y": B}))
        applies(fake, "one", secret({}))
        assert data(fake) == {"x": A, "y": B}
        assert owners(fake, "data", "y") == {("two", "Apply")}

    def test_what_it_made_itself_by_another_operation_stays(self, fake: Kubernetes) -> None:
        send(fake, "POST", secret({"x": A, "y": A}), fieldManager="one")
        applies(fake, "one", secret({"x": B}), force=True)
        applies(fake, "one", secret({"z": B}))
        assert data(fake) == {"y": A, "z": B}

    def test_what_another_manager_took_stays(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A, "y": A}))
        applies(fake, "two", secret({"x": B}), force=True)
        applies(fake, "one", secret({"y": A}))
        assert data(fake) == {"x": B, "y": A}


class TestWhichObject:
    def test_an_apply_makes_what_is_missing(self, fake: Kubernetes) -> None:
        assert applies(fake, "one", secret({"x": A}, resourceVersion="7")).status == 201
        assert fake.secrets[TARGET]["type"] == "Opaque"
        assert owners(fake, "type") == set()

    def test_with_a_uid_it_makes_nothing(self, fake: Kubernetes) -> None:
        reply = applies(fake, "one", secret({"x": A}, uid="uid-7"), force=True)
        assert (reply.status, fake.secrets) == (409, {})
        assert "uid mismatch" in reply.body["message"]
        assert "no existing object was found" in reply.body["message"]

    def test_with_the_uid_of_another_it_is_invalid(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A}))
        reply = applies(fake, "one", secret({"x": B}, uid="uid-7"))
        assert (reply.status, data(fake)) == (422, {"x": A})
        assert "metadata.uid" in reply.body["message"]

    def test_it_needs_the_right_to_create_what_is_missing(self, fake: Kubernetes) -> None:
        fake.denied.add("create")
        assert applies(fake, "one", secret({"x": A})).status == 403
        fake.apply(TARGET, {})
        assert applies(fake, "one", secret({"x": A})).status == 200

    def test_the_version_stays_where_nothing_changes(self, fake: Kubernetes) -> None:
        first = applies(fake, "one", secret({"x": A})).body
        assert applies(fake, "one", secret({"x": A}), force=True).body == first
        shared = applies(fake, "two", secret({"x": A})).body
        assert shared["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]

    def test_a_dry_run_keeps_nothing(self, fake: Kubernetes) -> None:
        applies(fake, "one", secret({"x": A}))
        before = copy.deepcopy(fake.secrets)
        reply = send(fake, "PATCH", secret({"x": B}), fieldManager="two", force="true", dryRun="All")
        assert (reply.status, reply.body["data"]) == (200, {"x": B})
        assert fake.secrets == before


class TestRefusals:
    @pytest.mark.parametrize("kind", ["application/strategic-merge-patch+json", "application/json", ""])
    def test_other_media_types(self, fake: Kubernetes, kind: str) -> None:
        reply = send(fake, "PATCH", secret({"x": A}), kind, fieldManager="one")
        assert (reply.status, reply.body["reason"]) == (415, "UnsupportedMediaType")

    @pytest.mark.parametrize(("manager", "message"), [("", "is required for apply patch"), ("x" * 129, "Too long")])
    def test_no_manager_and_one_with_too_long_a_name(self, fake: Kubernetes, manager: str, message: str) -> None:
        reply = applies(fake, manager, secret({"x": A}))
        assert reply.status == 422
        assert message in reply.body["message"]
        assert applies(fake, "x" * 128, secret({"x": A})).status == 201

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"apiVersion": None}, "Incorrect version"),
            ({"kind": "ConfigMap"}, "invalid object type"),
            ({"metadata": {"managedFields": []}}, "managedFields must be nil"),
            ({"metadata": {"name": "other"}}, "does not match the name on the URL"),
        ],
    )
    def test_a_manifest_that_is_none_of_this_secret(
        self, fake: Kubernetes, change: dict[str, Any], message: str
    ) -> None:
        reply = applies(fake, "one", {**secret({"x": A}), **change})
        assert reply.status == 400
        assert message in reply.body["message"]

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            (rb"\ud83d\ude00", 400),
            (rb"a\/b", 400),
            (rb"\\\/", 400),
            (rb"\\ud83d\\/", 201),
            (rb"\u00e9\"\n", 201),
            ("\U0001f600".encode(), 201),
        ],
    )
    def test_escapes_of_json_that_its_yaml_does_not_know(self, fake: Kubernetes, text: bytes, status: int) -> None:
        body = json.dumps(secret(annotations={"a": "HERE"})).encode().replace(b"HERE", text)
        assert applies(fake, "one", body).status == status

    def test_a_change_of_the_type_and_of_what_is_immutable(self, fake: Kubernetes) -> None:
        fake.apply(TARGET, {"x": "A"}, immutable=True)
        assert applies(fake, "one", {**secret(), "type": "kubernetes.io/tls"}, force=True).status == 422
        assert applies(fake, "one", secret({"x": B}), force=True).status == 422
        assert applies(fake, "one", secret(annotations={"a": "1"})).status == 200
