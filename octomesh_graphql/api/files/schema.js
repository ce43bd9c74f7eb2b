// The panel with the schema: its definitions, or those with a searched text.

import { definitions } from "./reading.js";

const search = document.getElementById("search");
const found = document.getElementById("found");
const panel = document.getElementById("schema");
const FIRST = ["Query", "Mutation", "Subscription"];

let all = [];

export async function showSchema() {
  try {
    const response = await fetch("../../schema.graphql");
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    all = definitions(await response.text()).sort((a, b) => rank(a) - rank(b));
  } catch (error) {
    found.textContent = `The schema could not be read: ${error.message}`;
    return;
  }
  search.addEventListener("input", show);
  show();
}

const rank = ({ name }) => (FIRST.indexOf(name) + 1 || FIRST.length + 1);

function show() {
  const wanted = search.value.trim().toLowerCase();
  const has = (text) => text.toLowerCase().includes(wanted);
  const hits = all.filter(({ text }) => has(text));
  const named = hits.filter(({ name }) => has(name));
  const others = hits.filter((hit) => !named.includes(hit));
  panel.replaceChildren(...[...named, ...others].map(({ text }) => marked(text, wanted)));
  panel.scrollTop = 0;
  found.textContent = wanted ? `${hits.length} of ${all.length} definitions` : `${all.length} definitions`;
}

function marked(text, wanted) {
  const hit = new RegExp(`(${wanted.replace(/\W/g, "\\$&")})`, "i");
  const parts = wanted ? text.split(hit) : [text]; // every second part is a hit
  const shown = document.createElement("pre");
  shown.append(...parts.map((part, at) => (at % 2 ? mark(part) : part)));
  return shown;
}

function mark(text) {
  const marking = document.createElement("mark");
  marking.textContent = text;
  return marking;
}
