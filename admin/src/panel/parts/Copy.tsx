import { useState } from "react";
import { announce } from "../announcing";
import { Act } from "./Act";

/** Text to take away, with a button that copies it. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState<"no" | "yes" | "failed">("no");

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setDone("yes");
      announce(`${what} copied.`);
    } catch {
      // Without HTTPS a browser has no clipboard: the text can be selected.
      setDone("failed");
    }
    setTimeout(() => setDone("no"), 3_000);
  }

  return (
    <div className="copy">
      <pre tabIndex={0} aria-label={what}>
        {text}
      </pre>
      <Act icon={done === "yes" ? "check" : "copy"} label={`Copy ${what}`} onAct={() => void copy()}>
        {{ no: "Copy", yes: "Copied", failed: "Select it" }[done]}
      </Act>
    </div>
  );
}
