// Stands between commands of Terraform and one process of its AWS provider, and spares both what each command repeats:
// - the schema of some 2,000 types, which costs more than all else: here it has those that the folders' files name;
// - the validation of the provider's own configuration, for which the provider builds all types again.
// Every other call passes as it is. The calls are those of tfplugin5.proto, in Terraform's documentation.
//
// node terraform_proxy.cjs SOCKET FOLDER...: the provider's socket, and where Terraform's files lie. It prints its port.
"use strict";
const fs = require("node:fs");
const http2 = require("node:http2");
const net = require("node:net");
const path = require("node:path");

const [socket, ...folders] = process.argv.slice(2);
const BY_TYPE = [2, 3, 8]; // the fields of the schemas of resources, of data sources and of ephemeral resources
const REPEATED = ["GetSchema", "PrepareProviderConfig"]; // the same request has the same answer in one process
const answers = new Map();
const provider = http2.connect("http://provider", { createConnection: () => net.connect(socket) });

// The types that configurations, modules and states name.
function named() {
  const within = (folder) => fs.readdirSync(folder, { recursive: true }).map((name) => path.join(folder, name));
  const files = folders.flatMap(within).filter((name) => /\.(tf|tf\.json|tfstate)$/.test(name));
  const texts = files.map((name) => fs.readFileSync(name, "utf8"));
  return new Set(texts.flatMap((text) => text.match(/\baws_\w+/g) ?? []));
}

function varint(bytes, at) {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

// The schema without the types that no file names. Each field of it has a length; that of a type begins with its name.
function small(schema) {
  const types = named();
  const parts = [];
  for (let at = 0; at < schema.length; ) {
    const [tag, afterTag] = varint(schema, at);
    const [length, begin] = varint(schema, afterTag);
    const [size, name] = varint(schema, begin + 1);
    if (!BY_TYPE.includes(tag >> 3) || types.has(schema.toString("utf8", name, name + size))) {
      parts.push(schema.subarray(at, begin + length));
    }
    at = begin + length;
  }
  return Buffer.concat(parts);
}

function collect(stream, done) {
  const chunks = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.on("end", () => done(Buffer.concat(chunks)));
}

function give(stream, message) {
  const head = Buffer.alloc(5); // not compressed; the length
  head.writeUInt32BE(message.length, 1);
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.end(Buffer.concat([head, message]));
}

function once(stream, headers, call) {
  const answer = (message) => give(stream, call === "GetSchema" ? small(message) : message);
  collect(stream, (body) => {
    const key = call + body.toString("latin1");
    if (answers.has(key)) return answer(answers.get(key));
    const request = provider.request(headers);
    request.on("error", () => stream.close());
    request.end(body);
    collect(request, (frame) => {
      if (!frame.length) return stream.close(); // the call failed: what is wrong with a configuration is in a message
      answers.set(key, frame.subarray(5));
      answer(answers.get(key));
    });
  });
}

function pass(stream, headers) {
  const request = provider.request(headers);
  let trailers = {};
  request.on("error", () => stream.close());
  request.on("trailers", (found) => (trailers = found));
  request.on("response", (found, flags) => {
    if (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) return stream.respond(found, { endStream: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.respond(found, { waitForTrailers: true });
    request.pipe(stream);
  });
  stream.on("close", () => request.close());
  stream.pipe(request);
}

const server = http2.createServer();
server.on("stream", (stream, headers) => {
  const call = path.basename(headers[":path"]);
  stream.on("error", () => {});
  (REPEATED.includes(call) ? once : pass)(stream, headers, call);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
