// Loaded into Prism's process before Prism. To make up data, Prism reads names and places in all languages that faker
// has, which is most of its start. A proxy makes up none: here, no faker is read.
"use strict";
const { createRequire } = require("node:module");

const prism = createRequire(require.resolve("@stoplight/prism-http", { paths: [process.cwd()] }));
const faker = prism.resolve("@faker-js/faker");
require.cache[faker] = { id: faker, filename: faker, loaded: true, exports: {} };
