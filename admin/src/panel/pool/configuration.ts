// The configuration of an adapter as people type it: JSON, checked while they do.
import { faultIn } from "./json";

export type Checked = { value: unknown } | { wrong: string };

/** What the text says, or where it stops being JSON. No text at all is no configuration. */
export function checked(text: string): Checked {
  if (!text.trim()) return { value: null };
  const long = tooExact(text);
  if (long) return { wrong: `A browser can't carry the number ${long} exactly. Write it as text, or use the API.` };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { wrong: faultIn(text) ?? String(error) };
  }
}

export function formatted(value: unknown): string {
  return value == null ? "" : JSON.stringify(value, null, 2);
}

/** An integer that a double would round: saving it would change it silently. */
function tooExact(text: string): string | undefined {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/gs, '""');
  return bare.match(/-?\d{16,}(?![\d.eE])/g)?.find((number) => BigInt(number) !== BigInt(Number(number)));
}
