// The tabs a first visitor finds. They run as they stand, for their variables name a pool that is really there.
// Their documents are files, so that a test holds them to the schema.
import communication from "./examples/communication.graphql?raw";
import deploy from "./examples/deploy.graphql?raw";
import edit from "./examples/edit.graphql?raw";
import pools from "./examples/pools.graphql?raw";
import watch from "./examples/watch.graphql?raw";
import type { APool } from "./tenant";

export interface Example {
  query: string;
  variables?: string;
}

const NOBODY: APool = { rtId: "the rtId of a pool", rtVersion: 1 };

export function examples(pool: APool = NOBODY): Example[] {
  const { rtId, rtVersion } = pool;
  return [
    { query: pools },
    { query: edit, variables: json({ input: { rtId, expectedVersion: rtVersion, description: "Edited in GraphiQL." } }) },
    { query: deploy, variables: json({ input: { rtId } }) },
    { query: watch },
    { query: communication },
  ];
}

function json(variables: object): string {
  return JSON.stringify(variables, null, 2);
}
