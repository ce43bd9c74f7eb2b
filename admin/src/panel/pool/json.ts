// Where a text stops being JSON, in words for people. Browsers name the place each in their own way, or not at all.

type Expected = "value" | "value or ]" | "name" | "name or }" | ":" | ", or }" | ", or ]" | "end";

const BLANK = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const OTHER = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

const WORDS: Record<Expected, string> = {
  value: "a value should be here",
  "value or ]": "a value or ] should be here",
  name: 'a name in "quotes" should be here',
  "name or }": 'a name in "quotes" or } should be here',
  ":": "a colon should be here",
  ", or }": "a comma or } should be here",
  ", or ]": "a comma or ] should be here",
  end: "nothing should follow here",
};

/** `Line 3, column 7: a comma or } should be here.`; null for what is JSON. */
export function faultIn(text: string): string | null {
  const open: ("}" | "]")[] = [];
  let expected: Expected = "value";
  let at = 0;

  const taken = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  const done = (): Expected => (open.length ? (open.at(-1) === "}" ? ", or }" : ", or ]") : "end");

  for (;;) {
    taken(BLANK);
    const sign = text[at];
    if (sign === undefined && expected === "end") return null;
    if (expected.startsWith("value") && (sign === "{" || sign === "[")) {
      open.push(sign === "{" ? "}" : "]");
      expected = sign === "{" ? "name or }" : "value or ]";
      at += 1;
    } else if (expected.startsWith("value") && (taken(STRING) || taken(OTHER))) {
      expected = done();
    } else if (expected.startsWith("name") && taken(STRING)) {
      expected = ":";
    } else if (sign === ":" && expected === ":") {
      expected = "value";
      at += 1;
    } else if (sign === "," && expected.startsWith(",")) {
      expected = open.at(-1) === "}" ? "name" : "value";
      at += 1;
    } else if (sign !== undefined && sign === open.at(-1) && expected.endsWith(sign)) {
      open.pop();
      expected = done();
      at += 1;
    } else {
      const before = text.slice(0, at).split("\n");
      const what =
        sign === '"' && !expected.startsWith(",") && expected !== ":" ? "this text has no proper end" : WORDS[expected];
      return `Line ${before.length}, column ${before.at(-1)!.length + 1}: ${what}.`;
    }
  }
}
