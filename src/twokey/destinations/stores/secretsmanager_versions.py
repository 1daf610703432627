"""One secret's versions and their staging labels: the calls to Secrets Manager, each with a known effect.

``UpdateSecretVersionStage`` fails if ``RemoveFromVersionId`` is not the version that has the label, or is missing
although a version has it: this is the compare-and-set on which everything here depends ("UpdateSecretVersionStage",
Secrets Manager API reference).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twokey.aws.sending import Sender
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceError, ServiceRejected
from twokey.destinations.creation_options import CreationOptions, denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.aws.clients import Clients

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
JOURNAL = "TWOKEY_JOURNAL"
JOURNAL_PENDING = "TWOKEY_JOURNAL_PENDING"
_NOTHING = CreationOptions()
LOOKS = 4
"""How often a write is read back before twokey gives up: a response may come from a replica that is out of date."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What DescribeSecret returns: which version has which label. ``exists`` is False if there is no secret."""

    exists: bool = True
    rotates: bool = False
    stages: Mapping[str, list[str]] = field(default_factory=dict)

    def holder(self, label: str) -> str | None:
        """Return the ID of the version that has the label."""
        return next((version for version, labels in self.stages.items() if label in labels), None)


class Versions:
    """The calls about one secret. Raises the errors of ``twokey.core.errors`` only."""

    def __init__(self, clients: Clients, secret_id: str, region: str | None, new: CreationOptions = _NOTHING) -> None:
        self._sender = Sender(clients, "secretsmanager", region)
        self._clock = clients.clock
        self._new = new
        self.secret_id = secret_id

    def labels(self) -> Labels:
        """Read the labels (secretsmanager:DescribeSecret); raises ``ServiceRejected`` for a secret under deletion."""
        try:
            response = self._send("DescribeSecret", mutates=False, SecretId=self.secret_id)
        except NotFound:
            return Labels(exists=False)
        if "DeletedDate" in response:
            raise self._being_deleted()
        return Labels(rotates=bool(response.get("RotationEnabled")), stages=response.get("VersionIdsToStages", {}))

    def value(self, version: str) -> str | None:
        """Read a version's text (secretsmanager:GetSecretValue), always by its ID; None if it is binary."""
        response = self._send("GetSecretValue", mutates=False, SecretId=self.secret_id, VersionId=version)
        text: str | None = response.get("SecretString")
        return text

    def text(self) -> str | None:
        """Read the text of AWSCURRENT, whichever version that is; None if it is binary."""
        text: str | None = self._send("GetSecretValue", mutates=False, SecretId=self.secret_id).get("SecretString")
        return text

    def labelled(self, label: str) -> tuple[str, str | None]:
        """Read the version that has a label: its ID and its text; raises ``NotFound`` if there is none."""
        response = self._send("GetSecretValue", mutates=False, SecretId=self.secret_id, VersionStage=label)
        return response["VersionId"], response.get("SecretString")

    def create(self, version: str, text: str) -> None:
        """Create the secret with its first version, which gets AWSCURRENT; raises ``Conflict`` if it exists."""
        try:
            self._send(
                "CreateSecret",
                Name=self.secret_id,
                ClientRequestToken=version,
                SecretString=text,
                **self._creation(),
            )
        except AccessDenied as error:
            raise denied(
                error,
                "tag.NAME=VALUE, kms=alias/NAME",
                f"aws secretsmanager create-secret --name {self.secret_id} (no value is needed)",
            ) from None
        except (ServiceRejected, Ambiguous) as error:
            if not self._has(version, error):
                raise error from None

    def _creation(self) -> dict[str, Any]:
        """Return what the URL wants of a new secret. A replica has the same key, by the name that it has there."""
        key = {"KmsKeyId": self._new.kms} if self._new.kms else {}
        tags = {"Tags": self._new.aws_tags} if self._new.tags else {}
        replicas = [{"Region": region, **key} for region in self._new.replicas]
        return {**key, **tags, **({"AddReplicaRegions": replicas} if replicas else {})}

    def _has(self, version: str, error: ServiceError) -> bool:
        labels = self._labels_after(error)
        if version in labels.stages:
            return True
        if labels.exists and isinstance(error, ServiceRejected):
            raise Conflict(
                f"Another run or program created the secret {self.secret_id} in the meantime.",
                state="Nothing was changed by this run.",
                remedy="Run again.",
            ) from None
        return False

    def add(self, version: str, text: str, label: str) -> list[str]:
        """Add a version that only ``label`` points at (secretsmanager:PutSecretValue); return all its labels.

        AWS adds AWSCURRENT to the first version of an empty secret, whatever labels were requested.
        """
        try:
            response = self._send(
                "PutSecretValue",
                SecretId=self.secret_id,
                ClientRequestToken=version,
                SecretString=text,
                VersionStages=[label],
            )
        except Ambiguous as error:
            labels = self._labels_after(error)
            if version not in labels.stages:
                raise error from None
            return labels.stages[version]
        stages: list[str] = response["VersionStages"]
        return stages

    def move(self, label: str, *, to: str, source: str | None) -> None:
        """Move a label if it is still on ``source`` (secretsmanager:UpdateSecretVersionStage).

        After an error, twokey reads where the label is. On ``to``, the move succeeded; on a third version, another run
        or program was first.
        """
        parameters: dict[str, Any] = {"SecretId": self.secret_id, "VersionStage": label, "MoveToVersionId": to}
        if source:
            parameters["RemoveFromVersionId"] = source
        try:
            self._send("UpdateSecretVersionStage", **parameters)
        except (ServiceRejected, NotFound, Ambiguous) as error:
            now = self._labels_after(error).holder(label)
            if now == to:
                return
            # After an unclear response, readers may have seen our version for a moment: then it is not a Conflict.
            if now != source and not isinstance(error, Ambiguous):
                raise Conflict(
                    f"Another run or program wrote to the secret {self.secret_id} in the meantime.",
                    state="Readers see what it wrote; nothing of this run took effect.",
                    remedy="Run again.",
                ) from None
            raise error from None

    def confirm(self, label: str, version: str) -> None:
        """Return when the label is seen on the version; raises ``Ambiguous`` if it is not."""
        try:
            for look in range(LOOKS):
                self._clock.sleep(0.2 * look)
                if self.labels().holder(label) == version:
                    return
        except ServiceError as error:
            raise Ambiguous(
                f"The secret {self.secret_id} was written, and reading it back failed: {error}",
                state="It very probably holds the new value.",
                remedy="Run again: the next run finds out and continues.",
            ) from None
        raise Ambiguous(
            f"The secret {self.secret_id} was written, but {label} is not on the version that this run wrote.",
            state="Another run or program may have written after this run.",
            remedy="Run again: the next run finds out and continues.",
        )

    def would_be_refused(self, version: str) -> None:
        """Raise what a write would raise: send another value for an existing version, which AWS always refuses.

        "PutSecretValue", API reference: a version cannot be changed; the error is ResourceExistsException. AWS checks
        the permission before that. If a version were created nevertheless, no reader would see it.
        """
        try:
            self._send(
                "PutSecretValue",
                mutates=False,
                SecretId=self.secret_id,
                ClientRequestToken=version,
                SecretString="{}",
                VersionStages=[JOURNAL_PENDING],
            )
        except ServiceRejected as error:
            if "ResourceExistsException" not in error.message:
                raise

    def _labels_after(self, error: ServiceError) -> Labels:
        """Read the labels after a failed request. If that fails too, an ``Ambiguous`` error comes first."""
        try:
            return self.labels()
        except ServiceError as later:
            if isinstance(error, Ambiguous):
                raise error from None
            raise later from None

    def _send(self, operation: str, *, mutates: bool = True, **parameters: Any) -> Any:
        try:
            return self._sender.send(operation, self.secret_id, mutates=mutates, **parameters)
        except ServiceRejected as error:
            # The message does not always say that the secret is being deleted; DescribeSecret does.
            if "InvalidRequestException" in error.message and operation != "DescribeSecret":
                self._labels_after(error)
            if "LimitExceededException" in error.message:
                raise self._full(error) from None
            raise

    def _full(self, error: ServiceRejected) -> ServiceRejected:
        return ServiceRejected(
            f"The secret {self.secret_id} has as many versions as AWS allows: {error.message}",
            state="Nothing was written to it.",
            remedy="AWS keeps each version for a day. Stop the program that writes so often (a run that fails on a "
            "tight schedule writes two each time), or wait until versions are a day old.",
        )

    def _being_deleted(self) -> ServiceRejected:
        return ServiceRejected(
            f"The secret {self.secret_id} is marked for deletion.",
            state="It can be neither read nor written, and nothing was changed.",
            remedy=f"Restore it: aws secretsmanager restore-secret --secret-id {self.secret_id}",
        )
