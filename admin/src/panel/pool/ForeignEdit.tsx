// Somebody else edited the same thing: shown next to what one typed, and never decided silently. It belongs into the
// footer of a form: what one types into does not move.
import { Act } from "../parts/Act";
import { Note } from "../parts/Note";
import type { Draft } from "./useDraft";

interface Props<V> {
  draft: Draft<V>;
  labels: Record<keyof V & string, string>;
}

export function ForeignEdit<V extends object>({ draft, labels }: Props<V>) {
  const { adopted, dirty, theirs } = draft;
  if (!theirs) {
    return (
      adopted && (
        <p className="quiet adopted">Somebody else has just edited this{dirty && "; what you typed is still here"}.</p>
      )
    );
  }
  return (
    <Note
      tone="warn"
      acts={
        <>
          <Act onAct={draft.takeTheirs}>Take theirs</Act>
          <Act onAct={draft.keepMine}>Keep mine</Act>
        </>
      }
    >
      <strong>Changed by somebody else meanwhile</strong>
      <dl className="differing" tabIndex={0}>
        {(Object.keys(theirs) as (keyof V & string)[]).map((key) => (
          <div key={key}>
            <dt>{labels[key]}</dt>
            <dd>
              <span className="quiet">theirs</span> {String(theirs[key]) || <em>empty</em>}
            </dd>
            <dd>
              <span className="quiet">yours</span> {String(draft.values[key]) || <em>empty</em>}
            </dd>
          </div>
        ))}
      </dl>
    </Note>
  );
}
