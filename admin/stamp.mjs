// Writes from what src/gql/ was generated, so that a test can tell without Node whether it is stale.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const DOCUMENT = /\bgraphql\(\s*(?:\/\*.*?\*\/\s*)?`([^`]*)`/g;

const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.startsWith("gql/"))
  .map((name) => readFileSync(`src/${name}`, "utf8"));
const documents = sources.flatMap((source) => [...source.matchAll(DOCUMENT)].map((found) => found[1]));

// Sorted: to move a document to another file changes nothing. As bytes, because JavaScript and Python order
// characters outside the basic plane differently.
const sorted = documents.map((document) => Buffer.from(document)).sort(Buffer.compare);
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

const stamp = {
  schema: hash(readFileSync("../schema.graphql")),
  documents: hash(Buffer.concat(sorted.flatMap((document) => [document, Buffer.from("\0")]))),
};
writeFileSync("src/gql/generated-from.json", `${JSON.stringify(stamp, null, 2)}\n`);
