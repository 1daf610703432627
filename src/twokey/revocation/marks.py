"""What an intruder leaves behind: the events that create or change what outlives the key. Pure.

The list follows what AWS itself takes away from a key that was published, and what it says intruders do: the policy
AWSCompromisedKeyQuarantineV3 ("AWS Managed Policy Reference Guide") and the findings of the kinds Persistence,
PrivilegeEscalation and Stealth of IAM users ("GuardDuty IAM finding types", Amazon GuardDuty User Guide).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twokey.reports.trace import Mark

_VERSION = re.compile(r"(20\d{6})(v\d+)?$")
"""Some services have the version of their API in the names of events: CreateFunction20150331."""
_EVENTS: dict[str, dict[Mark, tuple[str, ...]]] = {
    "iam": {
        "user": ("CreateUser", "UpdateUser", "AddUserToGroup"),
        "access key": (
            *("CreateAccessKey", "UpdateAccessKey", "CreateServiceSpecificCredential"),
            *("ResetServiceSpecificCredential", "UploadSigningCertificate", "UploadSSHPublicKey"),
        ),
        "sign-in": (
            *("CreateLoginProfile", "UpdateLoginProfile", "ChangePassword", "UpdateAccountPasswordPolicy"),
            *("DeactivateMFADevice", "DeleteVirtualMFADevice", "CreateVirtualMFADevice", "EnableMFADevice"),
        ),
        "policy": (
            *("AttachUserPolicy", "AttachRolePolicy", "AttachGroupPolicy", "PutUserPolicy", "PutRolePolicy"),
            *("PutGroupPolicy", "CreatePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion"),
            *("DetachUserPolicy", "DeleteUserPolicy", "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary"),
            *("PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary", "DetachRolePolicy", "DeleteRolePolicy"),
        ),
        "trust": (
            *("UpdateAssumeRolePolicy", "CreateSAMLProvider", "UpdateSAMLProvider", "CreateOpenIDConnectProvider"),
            *("AddClientIDToOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint"),
        ),
        "role": ("CreateRole", "UpdateRole", "CreateInstanceProfile", "AddRoleToInstanceProfile"),
    },
    "lambda": {
        "function": (
            *("CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration", "AddPermission"),
            *(
                "AddLayerVersionPermission",
                "PublishLayerVersion",
                "CreateFunctionUrlConfig",
                "CreateEventSourceMapping",
            ),
        )
    },
    "ec2": {
        "compute": ("RunInstances", "StartInstances", "RequestSpotInstances", "RequestSpotFleet", "CreateFleet"),
        "access key": ("CreateKeyPair", "ImportKeyPair"),
        "role": ("AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation"),
    },
    "ecs": {"compute": ("CreateCluster", "CreateService", "RegisterTaskDefinition", "RunTask")},
    "lightsail": {"compute": ("CreateInstances", "CreateContainerService", "CreateContainerServiceDeployment")},
    "sagemaker": {"compute": ("CreateNotebookInstance", "CreateEndpointConfig", "CreateProcessingJob")},
    "codebuild": {"compute": ("CreateProject", "StartBuild")},
    "glue": {"compute": ("CreateJob", "CreateDevEndpoint")},
    "cloudformation": {"compute": ("CreateStack", "UpdateStack", "CreateStackSet")},
    "events": {"function": ("PutRule", "PutTargets")},
    "cloudtrail": {
        "recording": ("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "DeleteEventDataStore")
    },
    "guardduty": {"recording": ("DeleteDetector", "UpdateDetector", "CreateFilter", "CreateIPSet")},
    "config": {"recording": ("StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel")},
    "organizations": {
        "account": (
            *("CreateAccount", "CreateOrganization", "InviteAccountToOrganization", "LeaveOrganization"),
            "AcceptHandshake",
        )
    },
    "signin": {"sign-in": ("GetSigninToken", "ConsoleLogin")},
    "kms": {"policy": ("PutKeyPolicy", "CreateGrant")},
    "s3": {"policy": ("PutBucketPolicy", "PutBucketAcl", "DeleteBucketPolicy")},
    "secretsmanager": {"policy": ("PutResourcePolicy",)},
}
MARKS: dict[tuple[str, str], Mark] = {
    (service, name): mark for service, marks in _EVENTS.items() for mark, names in marks.items() for name in names
}
"""The mark of each event, by service and name."""


def mark_of(service: str, event: str) -> Mark | None:
    """Return what an event may have left behind, if anything."""
    return MARKS.get((service, _VERSION.sub("", event)))
