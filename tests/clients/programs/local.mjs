// npm's dotenv and standardwebhooks: files and a message that twokey wrote, and a message of the client's own.
import { readFileSync } from "node:fs";
import dotenv from "dotenv";
import { Webhook } from "standardwebhooks";
import { found, task } from "./steps.mjs";

const webhook = new Webhook(task.secret);
const read = webhook.verify(task.body, task.headers);
let forged = true;
try {
  webhook.verify(task.body.replace("AKIA", "ASIA"), task.headers);
} catch {
  forged = false;
}
const now = new Date();
const headers = {
  "webhook-id": "msg-of-the-client",
  "webhook-timestamp": `${Math.floor(now / 1000)}`,
  "webhook-signature": webhook.sign("msg-of-the-client", now, task.own),
  "content-type": "application/json",
};
const { status } = await fetch(`${task.fake}/aws/client`, { method: "POST", headers, body: task.own });
const files = Object.fromEntries(task.files.map((one) => [one, dotenv.parse(readFileSync(one))]));
found({ read, forged, status, files });
