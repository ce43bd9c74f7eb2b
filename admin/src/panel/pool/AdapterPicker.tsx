// Adding adapters to a pool: all there are, with where each is now. An adapter can be in one pool only.
import { useEffect, useState } from "react";
import { sentence } from "../api/failure";
import { AdapterChoicesQuery, EditPool, MoveAdapter } from "../api/operations";
import type { Refusal } from "../api/refusals";
import { useVisit } from "../api/tenant";
import { type Adapter, atRest, type Pool } from "../arranging";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { Note } from "../parts/Note";
import { TYPES } from "./AdapterRow";

const PAUSE = 250;

interface Props {
  pool: Pool;
  onBecame: (pool: Pool) => void;
  onClose: () => void;
}

interface Found {
  adapters: Adapter[];
  total: number;
  /** What they were searched by. */
  search: string;
}

export function AdapterPicker({ pool, onBecame, onClose }: Props) {
  const { tenant } = useVisit();
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState<Found | null>(null);
  const [asked, setAsked] = useState(0);
  const [failure, setFailure] = useState<string | null>(null);
  const [refused, setRefused] = useState<ReadonlyMap<string, string>>(new Map());
  const [busy, setBusy] = useState<string | null>(null);

  useEffect(() => {
    let over = false;
    const timer = setTimeout(
      () =>
        tenant.ask(AdapterChoicesQuery, { search: typed || null }).then(
          ({ adapters }) => {
            if (over) return;
            setFailure(null);
            setFound((before) => ({
              adapters: arranged(adapters.nodes, before?.search === typed ? before.adapters : [], pool),
              total: adapters.totalCount,
              search: typed,
            }));
          },
          (error) => over || setFailure(sentence(error)),
        ),
      found ? PAUSE : 0,
    );
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tenant, typed, asked]);

  async function take(adapter: Adapter) {
    setBusy(adapter.rtId);
    try {
      const errors = await (adapter.pool ? move(adapter) : add(adapter));
      setRefused((before) => new Map(before).set(adapter.rtId, errors.map((error) => error.message).join(" ")));
    } catch (error) {
      setRefused((before) => new Map(before).set(adapter.rtId, sentence(error)));
    }
    setBusy(null);
    // Where it is now, whoever put it there: the refused one is offered anew, as what it has become.
    setAsked((count) => count + 1);
  }

  async function add(adapter: Adapter): Promise<readonly Refusal[]> {
    const { editPool } = await tenant.act(EditPool, { input: { rtId: pool.rtId, addAdapters: [adapter.rtId] } });
    if (editPool.pool) onBecame(editPool.pool);
    return editPool.errors;
  }

  /** Only from where one saw it: `expectedVersion` refuses the move when somebody else was faster. */
  async function move(adapter: Adapter): Promise<readonly Refusal[]> {
    const input = { rtId: adapter.rtId, poolRtId: pool.rtId, expectedVersion: adapter.rtVersion };
    return (await tenant.act(MoveAdapter, { input })).moveAdapter.errors;
  }

  return (
    <Dialog title={`Add adapters to ${pool.name}`} wide onClose={onClose}>
      <Field
        label="Find"
        hint="An adapter can be in one pool at a time. One that is in another pool can be moved here."
      >
        {(given) => (
          <input
            {...given}
            data-first
            type="search"
            placeholder="Name or description"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
      </Field>
      {failure && <Note tone="bad">{failure}</Note>}
      <ul className="choices" aria-label="Adapters" aria-busy={found === null}>
        {found?.adapters.map((adapter) => {
          const here = adapter.pool?.rtId === pool.rtId;
          const error = refused.get(adapter.rtId);
          return (
            <li key={adapter.rtId}>
              <div>
                <strong title={adapter.name}>{adapter.name}</strong>
                <small>
                  {TYPES[adapter.type]} · {adapter.imageName.split("/").at(-1)}:{adapter.imageVersion}
                </small>
                <small>{whereabouts(adapter, here)}</small>
                {error && (
                  <p className="wrong" role="alert">
                    {error}
                  </p>
                )}
              </div>
              <Act
                label={`${adapter.pool && !here ? "Move here" : "Add"}: ${adapter.name}`}
                reason={whyNot(adapter, here)}
                busy={busy === adapter.rtId}
                onAct={() => void take(adapter)}
              >
                {here ? "Added" : adapter.pool ? "Move here" : "Add"}
              </Act>
            </li>
          );
        })}
        {found?.adapters.length === 0 && <li className="quiet">No adapter matches.</li>}
      </ul>
      {found && found.total > found.adapters.length && (
        <p className="quiet">
          {found.adapters.length} of {found.total.toLocaleString()}: type a part of the name to find others.
        </p>
      )}
      <footer>
        <Act onAct={onClose}>Done</Act>
      </footer>
    </Dialog>
  );
}

/** Those that can be had first; but what was shown already stays where it is, also when it was just added. */
function arranged(adapters: readonly Adapter[], shown: readonly Adapter[], pool: Pool): Adapter[] {
  const places = new Map(shown.map((adapter, place) => [adapter.rtId, place]));
  const place = (adapter: Adapter) => places.get(adapter.rtId) ?? shown.length;
  return [...adapters].sort((one, other) => place(one) - place(other) || rank(one, pool) - rank(other, pool));
}

function rank(adapter: Adapter, pool: Pool): number {
  if (!adapter.pool) return 0;
  if (adapter.pool.rtId === pool.rtId) return 3;
  return atRest(adapter) ? 1 : 2;
}

function whereabouts(adapter: Adapter, here: boolean): string {
  if (here) return "In this pool.";
  if (!adapter.pool) return "In no pool.";
  const place = `In ${adapter.pool.name}`;
  return atRest(adapter) ? `${place}.` : `${place}, and deployed there or on its way. Undeploy it there first.`;
}

function whyNot(adapter: Adapter, here: boolean): string | null {
  if (here) return "It is in this pool already.";
  if (adapter.pool && !atRest(adapter)) return `It is deployed in ${adapter.pool.name}. Undeploy it there first.`;
  return null;
}
