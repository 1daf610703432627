"""kubernetes, with a Secret of a namespace, by server-side apply."""

from __future__ import annotations

import base64

from kubernetes.client import (
    ApiClient,
    AuthorizationV1Api,
    Configuration,
    CoreV1Api,
    V1ObjectMeta,
    V1ResourceAttributes,
    V1Secret,
    V1SelfSubjectAccessReview,
    V1SelfSubjectAccessReviewSpec,
)

from clients.programs import steps

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
task = steps.task()
api = ApiClient(Configuration(host=task["fake"], api_key={"authorization": f"Bearer {task['token']}"}))
core, authorization = CoreV1Api(api), AuthorizationV1Api(api)
manager = {"field_manager": task["manager"]}


def metadata(step: str, **more: str) -> V1ObjectMeta:
    """Return what lies beside the data."""
    return V1ObjectMeta(name="ci", annotations={task["annotation"]: task["notes"][step]}, **more)


task.step("secret looks")
for verb in ("create", "patch"):
    named = {} if verb == "create" else {"name": "ci"}
    attributes = V1ResourceAttributes(namespace="apps", verb=verb, resource="secrets", **named)
    spec = V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    authorization.create_self_subject_access_review(
        V1SelfSubjectAccessReview(api_version="authorization.k8s.io/v1", kind="SelfSubjectAccessReview", spec=spec)
    )
read = core.read_namespaced_secret("ci", "apps")
listed = [one.metadata.name for one in core.list_namespaced_secret("apps").items]
task.step("secret deletes the pair")
core.delete_namespaced_secret("ci", "apps")
for step, pair in task["pairs"].items():
    data = {name: base64.b64encode(value.encode()).decode() for name, value in zip(NAMES, pair, strict=True)}
    task.step(f"secret {step}")
    if step == "creates":
        about = V1Secret(api_version="v1", kind="Secret", metadata=metadata(step), data=data, type="Opaque")
        core.create_namespaced_secret("apps", about, **manager)
        task.step("secret creates a token")
        token = {"data": {"AWS_SESSION_TOKEN": base64.b64encode(b"a token").decode()}}
        core.patch_namespaced_secret("ci", "apps", token, _content_type=MERGE)
    else:
        there = core.read_namespaced_secret("ci", "apps").metadata
        version = {"uid": there.uid, "resource_version": there.resource_version}
        removal = {
            "metadata": api.sanitize_for_serialization(V1ObjectMeta(**version)),
            "data": {"AWS_SESSION_TOKEN": None},
        }
        core.patch_namespaced_secret("ci", "apps", removal, field_manager=task["cleaner"], _content_type=MERGE)
        there = core.read_namespaced_secret("ci", "apps").metadata
        version = {"uid": there.uid, "resource_version": there.resource_version}
        about = V1Secret(api_version="v1", kind="Secret", metadata=metadata(step, **version), data=data)
        core.patch_namespaced_secret("ci", "apps", about, **manager, force=True, _content_type=APPLY)
steps.found(
    read={name: base64.b64decode(value).decode() for name, value in read.data.items()},
    note=read.metadata.annotations[task["annotation"]],
    listed=listed,
)
