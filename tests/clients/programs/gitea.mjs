// gitea-js, which is made from Gitea's own API description, with secrets of a repository and of an organization.
import { giteaApi } from "gitea-js";
import { found, step, task } from "./steps.mjs";

const { orgs, repos } = giteaApi(task.fake, { token: task.token });
const [ID, SECRET, TOKEN] = task.names;
const targets = {
  repository: [["acme", "site"], repos.repoListActionsSecrets, repos.updateRepoSecret, repos.deleteRepoSecret],
  organization: [["acme"], orgs.orgListActionsSecrets, orgs.updateOrgSecret, orgs.deleteOrgSecret],
};
const results = {};
for (const [name, [at, list, write, remove]] of Object.entries(targets)) {
  await step(`${name} looks`);
  const { data } = await list(...at, { page: 1, limit: 50 });
  const listed = Object.fromEntries(data.map((one) => [one.name, one.description]));
  await step(`${name} deletes the pair`);
  for (const key of Object.keys(listed)) await remove(...at, key);
  for (const [act, pair] of Object.entries(task.pairs)) {
    await step(`${name} ${act}`);
    for (const [index, key] of [ID, SECRET].entries()) {
      await write(...at, key, { data: pair[index], description: task.notes[act] });
    }
  }
  await step(`${name} creates a token`);
  await write(...at, TOKEN, { data: "a token" });
  await step(`${name} deletes the token`);
  await remove(...at, TOKEN);
  results[name] = { listed };
}
found(results);
