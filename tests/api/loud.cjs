// Loaded into Prism's process before Prism. Prism holds nothing to a schema that its validator, Ajv, cannot take, and
// does not say so (prism-http, validators/utils, validateAgainstSchema). This says so.
"use strict";
const fs = require("node:fs");
const { createRequire } = require("node:module");

const core = createRequire(require.resolve("@stoplight/prism-http", { paths: [process.cwd()] }))("ajv/dist/core").default;
const compile = core.prototype.compile;

function report(error, schema) {
  fs.writeSync(2, `UNCHECKED: ${error.message} ${JSON.stringify({ ...schema, __bundled__: undefined }).slice(0, 500)}\n`);
  return error;
}

core.prototype.compile = function (schema, ...rest) {
  let check;
  try {
    check = compile.call(this, schema, ...rest);
  } catch (error) {
    throw report(error, schema);
  }
  const loud = (...values) => {
    try {
      return check(...values);
    } catch (error) {
      throw report(error, schema);
    } finally {
      loud.errors = check.errors;
    }
  };
  return loud;
};
