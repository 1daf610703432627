// @octokit/rest, with secrets of a repository, an environment and an organization.
import { Octokit } from "@octokit/rest";
import sodium from "libsodium-wrappers";
import { found, step, task } from "./steps.mjs";

const octokit = new Octokit({ auth: task.token, baseUrl: task.fake });
const { actions } = octokit.rest;
const site = { owner: "acme", repo: "site" };
const production = { owner: "acme", repo: "api", environment_name: "production" };
const targets = {
  repository: {
    at: site,
    list: actions.listRepoSecrets,
    read: actions.getRepoSecret,
    key: actions.getRepoPublicKey,
    write: actions.createOrUpdateRepoSecret,
    remove: actions.deleteRepoSecret,
  },
  environment: {
    at: production,
    list: actions.listEnvironmentSecrets,
    read: actions.getEnvironmentSecret,
    key: actions.getEnvironmentPublicKey,
    write: actions.createOrUpdateEnvironmentSecret,
    remove: actions.deleteEnvironmentSecret,
  },
  organization: {
    at: { org: "acme" },
    about: { visibility: "all" },
    list: actions.listOrgSecrets,
    read: actions.getOrgSecret,
    key: actions.getOrgPublicKey,
    write: actions.createOrUpdateOrgSecret,
    remove: actions.deleteOrgSecret,
  },
};
await sodium.ready;
const results = {};
for (const [name, { at, about, list, read, key, write, remove }] of Object.entries(targets)) {
  const put = async (secret_name, value) => {
    const { data } = await key(at);
    const sealed = sodium.crypto_box_seal(sodium.from_string(value), sodium.from_base64(data.key, sodium.base64_variants.ORIGINAL));
    const encrypted_value = sodium.to_base64(sealed, sodium.base64_variants.ORIGINAL);
    await write({ ...at, ...about, secret_name, encrypted_value, key_id: data.key_id });
  };
  await step(`${name} looks`);
  if (at.repo) await octokit.rest.repos.get({ owner: at.owner, repo: at.repo });
  await list({ ...at, per_page: 100 });
  const secrets = await octokit.paginate(list, { ...at, per_page: 1 });
  const listed = Object.fromEntries(secrets.map((one) => [one.name, one.updated_at]));
  const { data } = await read({ ...at, secret_name: "AWS_ACCESS_KEY_ID" });
  await step(`${name} deletes the pair`);
  for (const secret_name of Object.keys(listed)) await remove({ ...at, secret_name });
  for (const [act, [id, secret]] of Object.entries(task.pairs)) {
    await step(`${name} ${act}`);
    await put("AWS_ACCESS_KEY_ID", id);
    await put("AWS_SECRET_ACCESS_KEY", secret);
  }
  await step(`${name} creates a token`);
  await put("AWS_SESSION_TOKEN", "a token");
  await step(`${name} deletes the token`);
  await remove({ ...at, secret_name: "AWS_SESSION_TOKEN" });
  results[name] = { listed, read: data.updated_at };
}
found(results);
