// Just enough of GraphQL's syntax for the explorer: which operations a document has, and which one is meant.

// Blanks of the same length, so that positions stay those of the text.
const blank = (text, first = " ") => first + " ".repeat(text.length - 1);

export function operations(text) {
  let outline = text.replace(/"""[^]*?"""|"(?:\\.|[^"\\\n])*"|#.*/g, (quoted) => blank(quoted));
  for (let inner = ""; inner !== outline; ) {
    inner = outline;
    outline = inner.replace(/\{[^{}]*\}/g, (block) => blank(block, "}"));
  }
  const found = outline.matchAll(/(?:^|\})\s*(query|mutation|subscription)\b\s*(\w*)/g);
  return [...found].map((match) => ({ kind: match[1], name: match[2], start: match.index }));
}

// The operation with the cursor; one without a keyword is a query.
export function operationAt(text, position) {
  const all = operations(text);
  return all.findLast(({ start }) => start <= position) ?? all[0] ?? { kind: "query", name: "" };
}

// The definitions of a schema, each with its description.
export function definitions(sdl) {
  return sdl.split(/\n\n(?=["a-z])/).map((text) => {
    const name = text.match(/^(?:type|interface|union|enum|input|scalar|directive) @?(\w+)/m)?.[1] ?? "";
    return { name, text: text.trim() };
  });
}
