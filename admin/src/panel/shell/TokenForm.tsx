import { useState } from "react";
import { keepToken } from "../api/token";
import { Act } from "../parts/Act";
import { Field } from "../parts/Field";

/** Where an access token is pasted. It stays in this tab and goes to this server only. */
export function TokenForm({ onKept, prominent }: { onKept: () => void; prominent?: boolean }) {
  const [pasted, setPasted] = useState("");
  const [error, setError] = useState<string | null>(null);

  function keep() {
    // What is no header value would fail later, and without a word about the token.
    if (!/^[\x21-\x7e ]+$/.test(pasted.trim())) return setError("That is no token: paste the text of an access token.");
    keepToken(pasted);
    onKept();
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        keep();
      }}
    >
      <Field label="Access token" hint="It is kept until this tab is closed." error={error}>
        {(given) => (
          <input
            {...given}
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={pasted}
            onChange={(event) => {
              setPasted(event.target.value);
              setError(null);
            }}
          />
        )}
      </Field>
      <Act submit kind={prominent ? "primary" : "plain"}>
        Use this token
      </Act>
    </form>
  );
}
