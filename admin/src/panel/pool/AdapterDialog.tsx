// Creating an adapter in a pool, and editing one.
import { useEffect, useState } from "react";
import { Failure, sentence } from "../api/failure";
import { AdapterSpecQuery, CreateAdapter, EditAdapter } from "../api/operations";
import { conflict, type Refusal, useRefusals } from "../api/refusals";
import { useVisit } from "../api/tenant";
import { type Adapter, type Pool, readOnly } from "../arranging";
import { notice } from "../noticing";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Note } from "../parts/Note";
import { AdapterFields } from "./AdapterFields";
import { checked } from "./configuration";
import { ForeignEdit } from "./ForeignEdit";
import { BLANK, inputOf, LABELS, type Typed, typedOf } from "./typed";
import { useDraft, type Version } from "./useDraft";

interface Props {
  pool: Pool;
  /** The one to edit, as it is now; none to create one. */
  adapter?: Adapter;
  onClose: () => void;
}

export function AdapterDialog({ pool, adapter, onClose }: Props) {
  const { spec, failure } = useSpec(adapter);
  const title = adapter ? adapter.name : `Create an adapter in ${pool.name}`;
  if (adapter && !spec) {
    return (
      <Dialog title={title} wide onClose={onClose}>
        {failure ? <Note tone="bad">{failure}</Note> : <p className="quiet">…</p>}
      </Dialog>
    );
  }
  return <AdapterForm title={title} pool={pool} adapter={adapter} current={spec ?? BLANK} onClose={onClose} />;
}

/** What there is to edit; read again when somebody else edited it. */
function useSpec(adapter: Adapter | undefined): { spec: Version<Typed> | null; failure: string | null } {
  const { tenant } = useVisit();
  const [spec, setSpec] = useState<Version<Typed> | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    if (!adapter) return;
    let over = false;
    tenant.ask(AdapterSpecQuery, { rtId: adapter.rtId }).then(
      (answer) => {
        if (over) return;
        if (answer.adapter) setSpec(typedOf(answer.adapter));
        else setFailure("This adapter was deleted.");
      },
      (error) => over || setFailure(sentence(error)),
    );
    return () => {
      over = true;
    };
  }, [tenant, adapter?.rtId, adapter?.rtVersion]);
  return { spec, failure };
}

interface FormProps {
  title: string;
  pool: Pool;
  adapter: Adapter | undefined;
  current: Version<Typed>;
  onClose: () => void;
}

function AdapterForm({ title, pool, adapter, current, onClose }: FormProps) {
  const { tenant, viewer } = useVisit();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [answered, setAnswered] = useState<Version<Typed> | null>(null);
  const draft = useDraft(answered && answered.version > current.version ? answered : current, busy);
  const refused = useRefusals(draft.values);
  const configuration = checked(draft.values.configuration);
  const reason =
    readOnly(viewer) ??
    ("wrong" in configuration ? "The configuration is not JSON yet." : null) ??
    (adapter && !draft.dirty ? "Nothing to save." : null);

  async function save() {
    setBusy(true);
    setFailure(null);
    try {
      const errors = await (adapter ? edit(adapter) : create());
      refused.answered(errors.filter((error) => error.__typename !== "VersionConflict"));
      const now = conflict(errors)?.current;
      if (now?.__typename === "Adapter") setAnswered(typedOf(now));
      if (!errors.length) {
        notice("good", adapter ? "Saved." : `'${draft.values.name.trim()}' was created. Deploy it when it is ready.`);
        onClose();
      }
    } catch (error) {
      setFailure(error instanceof Failure ? sentence(error) : String(error));
    }
    setBusy(false);
  }

  async function create(): Promise<readonly Refusal[]> {
    const { name, type, imageName, imageVersion } = draft.values;
    const input = { name, type, imageName, imageVersion, ...inputOf(draft.values), poolRtId: pool.rtId };
    return (await tenant.act(CreateAdapter, { input })).createAdapter.errors;
  }

  async function edit({ rtId }: Adapter): Promise<readonly Refusal[]> {
    const { name, type, imageName, imageVersion } = draft.changed;
    const input = {
      rtId,
      expectedVersion: draft.version,
      // What was not changed is not mentioned.
      ...Object.fromEntries(
        Object.entries({ name, type, imageName, imageVersion }).filter(([, value]) => value !== undefined),
      ),
      ...inputOf(draft.changed),
    };
    return (await tenant.act(EditAdapter, { input })).editAdapter.errors;
  }

  return (
    <Dialog title={title} wide onClose={onClose} unsaved={draft.dirty}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy && !reason) void save();
        }}
      >
        {failure && <Note tone="bad">It was not saved: {failure}</Note>}
        {refused.beside.map((refusal) => (
          <Note key={refusal.message} tone="bad">
            {refusal.message}
          </Note>
        ))}
        <AdapterFields
          values={draft.values}
          locked={!viewer.mayEdit}
          wrong={"wrong" in configuration ? configuration.wrong : null}
          refusal={refused.about}
          onSet={draft.set}
        />
        {adapter?.wanted && <p className="hint">It is deployed: what you change is rolled out when you save.</p>}
        <footer>
          <ForeignEdit draft={draft} labels={LABELS} />
          <Act onAct={onClose}>Cancel</Act>
          <Act submit kind="primary" busy={busy} reason={reason}>
            {adapter ? "Save" : "Create adapter"}
          </Act>
        </footer>
      </form>
    </Dialog>
  );
}
