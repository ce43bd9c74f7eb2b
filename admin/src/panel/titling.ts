// The title of the window, which is also what a screen reader hears when another page has come.
import { useEffect } from "react";
import { announce } from "./announcing";

const NAME = "OctoMesh";

// The first page is read by the browser itself.
let first = true;

/** Call the page this, from the particular to the general; null as long as that is not known. */
export function useTitle(...parts: (string | null)[]): void {
  const title = parts.includes(null) ? null : [...parts, NAME].join(" – ");
  useEffect(() => {
    if (title === null) return;
    document.title = title;
    if (!first) announce(parts[0] ?? NAME);
    first = false;
  }, [title]);
}
