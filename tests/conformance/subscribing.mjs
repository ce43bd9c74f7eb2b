// What users of the npm client graphql-ws do, against the server at the URL given; writes the outcomes as JSON.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url] = process.argv.slice(2);
const outcomes = [];

async function trying(name, work) {
  const sockets = [];
  class Watched extends WebSocket {
    constructor(...given) {
      super(...given);
      sockets.push(this);
    }
  }
  const client = createClient({ url, webSocketImpl: Watched, lazy: true, retryAttempts: 3, retryWait: async () => {} });
  try {
    await Promise.race([work(client, sockets), late()]);
    outcomes.push({ name, status: "ok" });
  } catch (error) {
    const reason = error instanceof Error ? error.message : JSON.stringify(error);
    outcomes.push({ name, status: "error", reason });
  } finally {
    await client.dispose();
  }
}

const late = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Error("nothing came within 10 s")), 10_000).unref());

const expect = (found, wanted) => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
};

const kinds = (stream) => ({
  next: async () => (await stream.next()).value.data.poolChanges,
});

await trying("a query has one result and ends", async (client) => {
  const results = [];
  for await (const result of client.iterate({ query: "{ __typename }" })) results.push(result);
  expect(results, [{ data: { __typename: "Query" } }]);
});

await trying("a mutation has one result and ends", async (client) => {
  const query = "mutation ($name: String!) { createPool(input: { name: $name }) { pool { name } } }";
  const results = [];
  for await (const result of client.iterate({ query, variables: { name: "Äußeres Werk" } })) results.push(result);
  expect(results, [{ data: { createPool: { pool: { name: "Äußeres Werk" } } } }]);
});

await trying("an operation that can't be run ends with its errors", async (client) => {
  for (const query of ["{", "{ nothing }", "query ($x: Int!) { pools(first: $x) { totalCount } }"]) {
    try {
      const [result] = await collected(client.iterate({ query }));
      expect(result.errors?.length, 1);
    } catch (errors) {
      if (!Array.isArray(errors)) throw errors;
      expect(errors.length, 1);
    }
  }
});

async function collected(stream) {
  const results = [];
  for await (const result of stream) results.push(result);
  return results;
}

const WATCH = "subscription ($after: String) { poolChanges(after: $after) { kind cursor pool { name } } }";
const CREATE = "mutation ($name: String!) { createPool(input: { name: $name }) { pool { rtId } } }";

async function until(stream, kind) {
  for (;;) {
    const change = await stream.next();
    if (change.kind === kind) return change;
  }
}

await trying("a subscription tells the present, LIVE, and each change", async (client) => {
  const stream = kinds(client.iterate({ query: WATCH }));
  await until(stream, "LIVE");
  await collected(client.iterate({ query: CREATE, variables: { name: "South" } }));
  const change = await stream.next();
  expect([change.kind, change.pool.name], ["CREATED", "South"]);
});

await trying("a subscription that is left says nothing more, and its connection goes on", async (client, sockets) => {
  const stream = client.iterate({ query: WATCH });
  await stream.next();
  await stream.return();
  await collected(client.iterate({ query: "{ __typename }" }));
  expect(sockets.length >= 1, true);
});

await trying("many subscriptions share a connection", async (client, sockets) => {
  const streams = Array.from({ length: 20 }, () => kinds(client.iterate({ query: WATCH })));
  await Promise.all(streams.map((stream) => until(stream, "LIVE")));
  expect(sockets.length, 1);
});

await trying("a cut connection is opened anew, and goes on behind its cursor", async (client, sockets) => {
  const first = kinds(client.iterate({ query: WATCH }));
  const live = await until(first, "LIVE");
  sockets[0].terminate();
  await collected(client.iterate({ query: CREATE, variables: { name: "West" } }));
  const second = kinds(client.iterate({ query: WATCH, variables: { after: live.cursor } }));
  const change = await second.next();
  expect([change.kind, change.pool.name], ["CREATED", "West"]);
});

await trying("a ping is answered", async (client) => {
  let pongs = 0;
  client.on("pong", () => (pongs += 1));
  const pinging = createClient({ url, webSocketImpl: WebSocket, keepAlive: 50, lazy: false, on: { pong: () => (pongs += 1) } });
  while (pongs < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  await pinging.dispose();
});

process.stdout.write(JSON.stringify(outcomes));
process.exit(0);
