// Loaded into Prism's process before Prism. Prism reads a body as JSON or as text, by its media type (prism-http-server,
// server, parseRequestBody). A server-side apply of Kubernetes is JSON under a media type of YAML: this has it read.
"use strict";
const { createRequire } = require("node:module");

const server = createRequire(require.resolve("@stoplight/prism-http-server", { paths: [process.cwd()] }));
const typeIs = server("type-is");

function readable(request, kinds) {
  return typeIs(request, kinds.includes("application/json") ? [...kinds, "application/apply-patch+yaml"] : kinds);
}

require.cache[server.resolve("type-is")].exports = Object.assign(readable, typeIs);
