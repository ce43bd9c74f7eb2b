// Deleting a pool: what will go, what stays, and three ways when something is deployed.
import { useEffect, useState } from "react";
import type { DeletePoolMutation, DeletionMode, DeployedInPoolQuery as DeployedAnswer } from "../../gql/graphql";
import { sentence } from "../api/failure";
import { DeletePool, DeployedInPoolQuery } from "../api/operations";
import type { Refusal } from "../api/refusals";
import { useVisit } from "../api/tenant";
import { counted, type Pool } from "../arranging";
import { notice } from "../noticing";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { Note } from "../parts/Note";
import { DEPLOYMENT, State } from "../parts/State";
import { backPath, go } from "../routes";

type LeftBehind = DeletePoolMutation["deletePool"]["leftBehind"];
type Deployed = NonNullable<DeployedAnswer["pool"]>["adapters"];

const MODES: [DeletionMode, string, string][] = [
  [
    "UNDEPLOY_FIRST",
    "Undeploy first",
    "All adapters are undeployed now; the pool goes by itself when nothing of them is left in the cluster.",
  ],
  [
    "ONLY_IF_UNDEPLOYED",
    "Only if nothing is deployed",
    "It is refused as long as something is deployed, with the list of what is in the way.",
  ],
  [
    "FORCE",
    "Delete at once",
    "What runs in the cluster is left there, and nobody here knows it any more: you have to remove it by hand.",
  ],
];

export function DeletePoolDialog({ pool, leave, onClose }: { pool: Pool; leave?: boolean; onClose: () => void }) {
  const { tenant } = useVisit();
  const [deployed, setDeployed] = useState<Deployed | null>(null);
  const [mode, setMode] = useState<DeletionMode>("UNDEPLOY_FIRST");
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [refusals, setRefusals] = useState<readonly Refusal[]>([]);
  const [leftBehind, setLeftBehind] = useState<LeftBehind | null>(null);

  useEffect(() => {
    let over = false;
    tenant.ask(DeployedInPoolQuery, { rtId: pool.rtId }).then(
      (answer) => over || setDeployed(answer.pool?.adapters ?? null),
      (error) => over || setFailure(sentence(error)),
    );
    return () => {
      over = true;
    };
  }, [tenant, pool.rtId, pool.summary]);

  const { summary } = pool;
  const running = summary.wanted > 0 || summary.undeployed < summary.adapters;
  const confirmed = !running || typed.trim() === pool.name;

  /** Another way than the one that was refused. */
  function choose(value: DeletionMode) {
    setMode(value);
    setRefusals([]);
  }

  async function act() {
    setBusy(true);
    setFailure(null);
    try {
      const input = { rtId: pool.rtId, mode: running ? mode : ("ONLY_IF_UNDEPLOYED" as const) };
      const { deletePool } = await tenant.act(DeletePool, { input });
      setRefusals(deletePool.errors);
      if (!deletePool.errors.length) done(deletePool);
    } catch (error) {
      setFailure(sentence(error));
    }
    setBusy(false);
  }

  function done({ deleted, leftBehind: left }: DeletePoolMutation["deletePool"]) {
    if (left.length) return setLeftBehind(left);
    notice("good", deleted ? `'${pool.name}' was deleted.` : `'${pool.name}' goes when its adapters are undeployed.`);
    finish(deleted);
  }

  function finish(deleted: boolean) {
    onClose();
    if (deleted && leave) go(backPath(tenant.id));
  }

  if (leftBehind) return <LeftBehindDialog pool={pool} adapters={leftBehind} onClose={() => finish(true)} />;

  return (
    <Dialog title={`Delete ${pool.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (confirmed && !busy) void act();
        }}
      >
        <p>
          The pool goes, with its name and description. {whatStays(summary.adapters)} The history stays for 90 days.
        </p>
        {running && (
          <>
            <h3>Deployed, or on its way</h3>
            <ul className="named" tabIndex={0}>
              {deployed?.nodes.map((adapter) => (
                <li key={adapter.rtId}>
                  {adapter.name} <State look={DEPLOYMENT[adapter.deploymentState]} />
                </li>
              ))}
              {deployed && deployed.totalCount > deployed.nodes.length && (
                <li className="quiet">and {deployed.totalCount - deployed.nodes.length} more</li>
              )}
              {!deployed && <li className="quiet">…</li>}
            </ul>
            <fieldset className="modes">
              <legend>What to do with them</legend>
              {MODES.map(([value, word, meaning]) => (
                <label key={value}>
                  <input type="radio" name="mode" checked={mode === value} onChange={() => choose(value)} />
                  <span>
                    <strong>{word}</strong>
                    <small>{meaning}</small>
                  </span>
                </label>
              ))}
            </fieldset>
            <Field label={`Type the name of the pool to confirm: ${pool.name}`}>
              {(given) => (
                <input
                  {...given}
                  value={typed}
                  autoComplete="off"
                  spellCheck={false}
                  onChange={(event) => setTyped(event.target.value)}
                />
              )}
            </Field>
          </>
        )}
        {failure && <Note tone="bad">{failure}</Note>}
        {refusals.map((refusal) => (
          <Note key={refusal.message} tone="bad">
            {/* The API's own sentence names a mode as programs write it. */}
            {refusal.__typename === "StillDeployed"
              ? "It was refused: all of the above is still deployed or on its way. “Undeploy first” does both."
              : refusal.message}
          </Note>
        ))}
        <footer>
          <Act onAct={onClose}>Cancel</Act>
          <Act
            submit
            kind="danger"
            icon="bin"
            busy={busy}
            reason={confirmed ? null : "Type the name of the pool first."}
          >
            {running && mode === "UNDEPLOY_FIRST" ? "Undeploy and delete" : "Delete"}
          </Act>
        </footer>
      </form>
    </Dialog>
  );
}

function whatStays(adapters: number): string {
  if (adapters === 0) return "It has no adapters.";
  return `Its ${counted(adapters, "adapter")} ${adapters === 1 ? "stays" : "stay"}, in no pool.`;
}

function LeftBehindDialog({ pool, adapters, onClose }: { pool: Pool; adapters: LeftBehind; onClose: () => void }) {
  const { operator } = pool;
  return (
    <Dialog title={`'${pool.name}' was deleted`} onClose={onClose}>
      <p>
        These may still run
        {operator ? ` in ${operator.cluster}, namespace ${operator.namespace}` : " in a cluster"}, and nobody here knows
        them any more. Remove them there by hand:
      </p>
      <ul className="named" tabIndex={0}>
        {adapters.map((adapter) => (
          <li key={adapter.rtId}>
            {adapter.name} <code>{adapter.rtId}</code>
          </li>
        ))}
      </ul>
      <footer>
        <Act kind="primary" onAct={onClose}>
          I have read it
        </Act>
      </footer>
    </Dialog>
  );
}
