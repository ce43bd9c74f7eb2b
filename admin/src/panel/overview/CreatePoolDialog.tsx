import { useState } from "react";
import { sentence } from "../api/failure";
import { CreatePool } from "../api/operations";
import { useRefusals } from "../api/refusals";
import { useVisit } from "../api/tenant";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { Note } from "../parts/Note";

export function CreatePoolDialog({ onClose, onCreated }: { onClose: () => void; onCreated: (rtId: string) => void }) {
  const { tenant } = useVisit();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const refused = useRefusals({ name, description });
  const [failure, setFailure] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function create() {
    setBusy(true);
    setFailure(null);
    try {
      const { createPool } = await tenant.act(CreatePool, { input: { name, description: description || null } });
      refused.answered(createPool.errors);
      if (createPool.pool) onCreated(createPool.pool.rtId);
    } catch (error) {
      setFailure(sentence(error));
    }
    setBusy(false);
  }

  return (
    <Dialog title="Create pool" onClose={onClose} unsaved={Boolean(name || description)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void create();
        }}
      >
        <p className="quiet">
          A pool is a place with a group of adapters that are deployed and managed together, usually in a namespace of
          its own.
        </p>
        {failure && <Note tone="bad">{failure}</Note>}
        {refused.beside.map((refusal) => (
          <Note key={refusal.message} tone="bad">
            {refusal.message}
          </Note>
        ))}
        <Field label="Name" error={refused.about("name")}>
          {(given) => (
            <input
              {...given}
              data-first
              value={name}
              autoComplete="off"
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label="Description" optional error={refused.about("description")}>
          {(given) => (
            <textarea
              {...given}
              rows={3}
              value={description}
              onChange={(event) => setDescription(event.target.value)}
            />
          )}
        </Field>
        <footer>
          <Act onAct={onClose}>Cancel</Act>
          <Act submit kind="primary" busy={busy}>
            Create pool
          </Act>
        </footer>
      </form>
    </Dialog>
  );
}
