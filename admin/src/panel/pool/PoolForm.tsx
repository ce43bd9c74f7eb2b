import { useState } from "react";
import { sentence } from "../api/failure";
import { EditPool } from "../api/operations";
import { conflict, useRefusals } from "../api/refusals";
import { useVisit } from "../api/tenant";
import { type Pool, readOnly } from "../arranging";
import { notice } from "../noticing";
import { Act } from "../parts/Act";
import { Field } from "../parts/Field";
import { Note } from "../parts/Note";
import { ForeignEdit } from "./ForeignEdit";
import { useDraft } from "./useDraft";
import { useUnsaved } from "./useUnsaved";

const LABELS = { name: "Name", description: "Description" };

const versionOf = (pool: Pool) => ({
  version: pool.rtVersion,
  values: { name: pool.name, description: pool.description ?? "" },
});

export function PoolForm({ pool, onBecame }: { pool: Pool; onBecame: (pool: Pool) => void }) {
  const { tenant, viewer } = useVisit();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const draft = useDraft(versionOf(pool), busy);
  const refused = useRefusals(draft.values);
  useUnsaved(draft.dirty);
  const reason = readOnly(viewer) ?? (pool.deleting ? "The pool is being deleted." : null);

  async function save() {
    setBusy(true);
    setFailure(null);
    const { name, description } = draft.changed;
    try {
      const { editPool } = await tenant.act(EditPool, {
        input: {
          rtId: pool.rtId,
          expectedVersion: draft.version,
          ...(name !== undefined && { name }),
          ...(description !== undefined && { description: description || null }),
        },
      });
      refused.answered(editPool.errors.filter((error) => error.__typename !== "VersionConflict"));
      const current = conflict(editPool.errors)?.current;
      if (current?.__typename === "Pool") onBecame(current);
      if (editPool.pool) {
        onBecame(editPool.pool);
        draft.accepted(versionOf(editPool.pool));
        notice("good", "Saved.");
      }
    } catch (error) {
      setFailure(sentence(error));
    }
    setBusy(false);
  }

  return (
    <form
      className="card pool-form"
      aria-label="Name and description"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && draft.dirty && !reason) void save();
      }}
    >
      {failure && <Note tone="bad">It was not saved: {failure}</Note>}
      {refused.beside.map((refusal) => (
        <Note key={refusal.message} tone="bad">
          {refusal.message}
        </Note>
      ))}
      <Field label="Name" error={refused.about("name")}>
        {(given) => (
          <input
            {...given}
            value={draft.values.name}
            readOnly={Boolean(reason)}
            autoComplete="off"
            onChange={(event) => draft.set({ name: event.target.value })}
          />
        )}
      </Field>
      <Field label="Description" optional error={refused.about("description")}>
        {(given) => (
          <textarea
            {...given}
            rows={4}
            value={draft.values.description}
            readOnly={Boolean(reason)}
            onChange={(event) => draft.set({ description: event.target.value })}
          />
        )}
      </Field>
      <footer>
        <ForeignEdit draft={draft} labels={LABELS} />
        <Act submit kind="primary" busy={busy} reason={reason ?? (draft.dirty ? null : "Nothing to save.")}>
          Save
        </Act>
        <Act kind="quiet" reason={draft.dirty ? null : "Nothing to reset."} onAct={draft.reset}>
          Reset
        </Act>
      </footer>
    </form>
  );
}
