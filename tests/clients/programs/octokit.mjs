// @octokit/rest, with secrets of repositories, an environment and organizations, of Actions, Dependabot and Codespaces.
import { Octokit } from "@octokit/rest";
import sodium from "libsodium-wrappers";
import { found, step, task } from "./steps.mjs";

const octokit = new Octokit({ auth: task.token, baseUrl: task.fake });
const { actions, codespaces, dependabot, repos } = octokit.rest;
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
  dependabot: {
    at: site,
    list: dependabot.listRepoSecrets,
    read: dependabot.getRepoSecret,
    key: dependabot.getRepoPublicKey,
    write: dependabot.createOrUpdateRepoSecret,
    remove: dependabot.deleteRepoSecret,
  },
  codespaces: {
    at: site,
    list: codespaces.listRepoSecrets,
    read: codespaces.getRepoSecret,
    key: codespaces.getRepoPublicKey,
    write: codespaces.createOrUpdateRepoSecret,
    remove: codespaces.deleteRepoSecret,
  },
  selected: {
    at: { org: "acme" },
    about: { visibility: "selected" },
    repositories: ["site", "api"],
    seenBy: dependabot.listSelectedReposForOrgSecret,
    list: dependabot.listOrgSecrets,
    read: dependabot.getOrgSecret,
    key: dependabot.getOrgPublicKey,
    write: dependabot.createOrUpdateOrgSecret,
    remove: dependabot.deleteOrgSecret,
  },
};
await sodium.ready;
const results = {};
for (const [name, target] of Object.entries(targets)) {
  const { at, about, repositories = [], seenBy, list, read, key, write, remove } = target;
  const chosen = {};
  const put = async (secret_name, value) => {
    const { data } = await key(at);
    const sealed = sodium.crypto_box_seal(sodium.from_string(value), sodium.from_base64(data.key, sodium.base64_variants.ORIGINAL));
    const encrypted_value = sodium.to_base64(sealed, sodium.base64_variants.ORIGINAL);
    await write({ ...at, ...about, ...chosen, secret_name, encrypted_value, key_id: data.key_id });
  };
  await step(`${name} looks`);
  if (at.repo) await repos.get({ owner: at.owner, repo: at.repo });
  for (const repo of repositories) {
    const { data } = await repos.get({ owner: at.org, repo });
    chosen.selected_repository_ids = [...(chosen.selected_repository_ids ?? []), data.id];
  }
  let seen = [];
  if (seenBy) {
    const { data } = await seenBy({ ...at, secret_name: "AWS_ACCESS_KEY_ID", per_page: 100, page: 1 });
    seen = data.repositories.map((one) => one.full_name);
  }
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
  results[name] = { listed, read: data.updated_at, ...(seenBy ? { seen } : {}) };
}
found(results);
