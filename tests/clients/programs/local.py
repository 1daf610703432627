"""python-dotenv and standardwebhooks: a file and a message that twokey wrote, and a message of the client's own."""

from __future__ import annotations

import urllib.request
from datetime import UTC, datetime

from dotenv import dotenv_values
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from clients.programs import steps

task = steps.task()
webhook = Webhook(task["secret"])
read = webhook.verify(task["body"], task["headers"])
try:
    webhook.verify(task["body"].replace("AKIA", "ASIA"), task["headers"])
    forged = True
except WebhookVerificationError:
    forged = False
now = datetime.now(UTC)
headers = {
    "webhook-id": "msg-of-the-client",
    "webhook-timestamp": str(int(now.timestamp())),
    "webhook-signature": webhook.sign("msg-of-the-client", now, task["own"]),
    "content-type": "application/json",
}
request = urllib.request.Request(task["fake"] + "/aws/client", task["own"].encode(), headers, method="POST")
with urllib.request.urlopen(request) as response:
    status = response.status
steps.found(read=read, forged=forged, status=status, files={one: dotenv_values(one) for one in task["files"]})
