// @netlify/api, with the variables of a site and of a team, in one deploy context.
import { NetlifyAPI } from "@netlify/api";
import { found, step, task } from "./steps.mjs";

const { protocol, host } = new URL(task.fake);
const netlify = new NetlifyAPI(task.token, { scheme: protocol.slice(0, -1), host });
const [ID, SECRET, TOKEN] = task.names;
const scopes = ["builds", "functions", "runtime"];
const context = "production";
const results = {};
for (const [name, at] of Object.entries(task.targets)) {
  const create = (key, value) =>
    netlify.createEnvVars({ ...at, body: [{ key, is_secret: true, values: [{ context, value }], scopes }] });
  await step(`${name} looks`);
  const variables = await netlify.getEnvVars(at);
  const listed = Object.fromEntries(variables.map((one) => [one.key, one.updated_at]));
  await step(`${name} deletes the pair`);
  for (const key of Object.keys(listed)) await netlify.deleteEnvVar({ ...at, key });
  for (const [act, pair] of Object.entries(task.pairs)) {
    await step(`${name} ${act}`);
    for (const [index, key] of [ID, SECRET].entries()) {
      if (act === "creates") await create(key, pair[index]);
      else await netlify.setEnvVarValue({ ...at, key, body: { context, value: pair[index] } });
    }
  }
  await step(`${name} creates a token`);
  await create(TOKEN, "a token");
  await step(`${name} deletes the token`);
  const [{ id }] = (await netlify.getEnvVars(at)).find((one) => one.key === TOKEN).values;
  await netlify.deleteEnvVarValue({ ...at, key: TOKEN, id });
  results[name] = { listed };
}
found(results);
