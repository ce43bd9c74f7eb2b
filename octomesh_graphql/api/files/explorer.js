// The explorer: what is typed and what is answered. See talking.js for the way to the server.

import { operationAt } from "./reading.js";
import { showSchema } from "./schema.js";
import { ask, watch } from "./talking.js";

const ANSWERS_KEPT = 500; // more makes the page slow, and nobody reads back that far
const ANSWERED = "answered";

const byId = (id) => document.getElementById(id);
const [query, variables, token, run, stop, answers] =
  ["query", "variables", "token", "run", "stop", "answers"].map(byId);
const tenant = decodeURIComponent(location.pathname.split("/").at(-2));
const memory = `octomesh.explorer.${tenant}`;

const underWay = new Set(); // how to stop each operation that is not over
let stopWatching = () => {};

function tell(text, failed = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("bad", failed);
}

function start() {
  const operation = operationAt(query.value, query.selectionStart);
  const title = `${operation.kind} ${operation.name}`.trim();
  const given = readVariables();
  if (!given) return;
  if (!query.value.trim()) {
    query.focus();
    return tell("Type a query first, or choose an example.", true);
  }
  const request = { query: query.value, variables: given, operationName: operation.name || undefined };
  answers.scrollTop = 0;
  if (operation.kind === "subscription") subscribe(request, title);
  else question(request, title);
}

function readVariables() {
  let given;
  try {
    given = JSON.parse(variables.value.trim() || "{}");
    if (given === null || typeof given !== "object" || Array.isArray(given)) throw new Error("not an object");
  } catch (error) {
    tell(`The variables must be a JSON object: ${error.message}`, true);
    variables.focus();
    given = null;
  }
  variables.setAttribute("aria-invalid", String(!given));
  return given;
}

async function question(request, title) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const asked = performance.now();
  begin(abort);
  tell(`${title}: waiting for the answer …`);
  try {
    const { status, body } = await ask(request, { token: token.value.trim(), signal: controller.signal });
    const outcome = judge(body, status);
    add(title, body, outcome);
    tell(`${title}: ${outcome} after ${Math.round(performance.now() - asked)} ms.`, outcome !== ANSWERED);
  } catch (error) {
    const stopped = error.name === "AbortError";
    tell(`${title}: ${stopped ? "stopped, but the server may have done it" : `no answer (${error.message})`}.`, true);
  } finally {
    finish(abort);
  }
}

function subscribe(request, title) {
  let count = 0;
  stopWatching(); // one at a time: two in one list are hard to read
  const live = (text) => (byId("live").textContent = text);
  const stopThis = watch(request, {
    token: token.value.trim(),
    started: () => tell(`${title}: watching. Other operations can run beside it.`),
    next(payload) {
      add(title, payload, judge(payload));
      live(`● live, ${(count += 1)} received`);
    },
    ended(why, failed) {
      live("");
      tell(`${title}: ${why}`, failed);
      finish(stopThis);
    },
  });
  stopWatching = stopThis;
  begin(stopThis);
  tell(`${title}: connecting …`);
}

function begin(end) {
  underWay.add(end);
  stop.disabled = false;
}

function finish(end) {
  underWay.delete(end);
  if (underWay.size) return;
  if (document.activeElement === stop) run.focus(); // a disabled button would lose the keyboard's place
  stop.disabled = true;
}

function judge(body, status = 200) {
  if (status >= 400) return `HTTP ${status}`;
  if (body?.errors) return "failed";
  const refused = Object.values(body?.data ?? {}).some((payload) => payload?.errors?.length);
  return refused ? "refused" : ANSWERED;
}

function add(title, body, outcome) {
  const failed = outcome !== ANSWERED;
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = `${now.toTimeString().slice(0, 8)}.${now.toISOString().slice(20, 23)}`;
  const head = document.createElement("p");
  head.append(time, ` ${title}${failed ? ` – ${outcome}` : ""}`);
  const text = document.createElement("pre");
  text.textContent = typeof body === "string" ? body : JSON.stringify(body, null, 2);
  const entry = document.createElement("li");
  entry.classList.toggle("bad", failed);
  entry.append(head, text);
  answers.prepend(entry);
  while (answers.children.length > ANSWERS_KEPT) answers.lastElementChild.remove();
}

async function showExamples() {
  const response = await fetch("../../files/examples.json");
  const { aPool, examples } = await response.json();
  for (const example of examples) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = example.title;
    button.addEventListener("click", () => fill(example, aPool.join("\n")));
    byId("examples").append(button);
  }
  if (!query.value) query.value = examples[0].query.join("\n");
}

async function fill(example, aPool) {
  const given = example.variables ? await realVariables(example.variables, aPool) : "";
  query.value = example.query.join("\n");
  query.setSelectionRange(0, 0);
  variables.value = given;
  const incomplete = given.includes('"$');
  tell(incomplete ? "It needs a pool, and none was found. Create one first." : "Filled in, ready to run.", incomplete);
  remember();
}

// Words like "$rtId" in the variables of an example stand for values of a pool that this tenant really has.
async function realVariables(wanted, aPool) {
  const { body } = await ask({ query: aPool }, { token: token.value.trim() }).catch(() => ({}));
  const pools = body?.data?.pools.nodes ?? [];
  const pool = pools.find(({ summary }) => summary.wanted < summary.adapters) ?? pools[0];
  const newName = `Trial ${new Date().toISOString().slice(0, 19).replace("T", " ")}`;
  const real = { $newName: newName, $rtId: pool?.rtId, $name: pool?.name, $rtVersion: pool?.rtVersion };
  return JSON.stringify(wanted, (_, value) => real[value] ?? value, 2);
}

// Storage may be forbidden or full; the explorer works without.
function remember() {
  try {
    localStorage.setItem(memory, JSON.stringify({ query: query.value, variables: variables.value }));
  } catch {}
}

function recall() {
  try {
    const last = JSON.parse(localStorage.getItem(memory)) ?? {};
    query.value = last.query ?? "";
    variables.value = last.variables ?? "";
  } catch {}
}

document.title = `${tenant} – Explorer – OctoMesh`;
byId("tenant").textContent = tenant;
for (const field of [query, variables]) field.addEventListener("input", remember);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault(); // on a button it would click as well
  if (!event.repeat) start();
});
run.addEventListener("click", start);
stop.addEventListener("click", () => underWay.forEach((end) => end()));
byId("clear").addEventListener("click", () => answers.replaceChildren());
recall();
showExamples().catch((error) => tell(`The examples could not be read: ${error.message}`, true));
showSchema();
