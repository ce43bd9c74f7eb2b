// The adapters of a pool, as they are now.
import { useMemo, useRef, useState } from "react";
import { sentence } from "../api/failure";
import { DeleteAdapter, DeployAdapter, EditPool, UndeployAdapter } from "../api/operations";
import { useVisit } from "../api/tenant";
import { type Adapter, type Pool, readOnly } from "../arranging";
import { notice } from "../noticing";
import type { Rows } from "../overview/live";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Pager } from "../parts/Pager";
import { AdapterDialog } from "./AdapterDialog";
import { AdapterPicker } from "./AdapterPicker";
import { AdapterRow, type AdapterActs } from "./AdapterRow";
import { Progress } from "./Progress";

// More rows than that are slow to draw, and nobody reads them.
const PAGE = 100;

type Opened =
  { dialog: "create" | "pick" } | { dialog: "edit"; adapter: Adapter } | { dialog: "delete"; adapter: Adapter } | null;

interface Props {
  pool: Pool;
  rows: Rows<Adapter>;
  onBecame: (pool: Pool) => void;
  onDropped: (rtId: string) => void;
}

export function Adapters({ pool, rows, onBecame, onDropped }: Props) {
  const { tenant, viewer } = useVisit();
  const [opened, setOpened] = useState<Opened>(null);
  const [from, setFrom] = useState(0);
  const [search, setSearch] = useState("");
  const heading = useRef<HTMLHeadingElement>(null);
  const all = useMemo(() => rows.order.map((rtId) => rows.byId.get(rtId)!), [rows]);
  const found = search ? all.filter(({ entity }) => matches(entity, search)) : all;
  const begin = from < found.length ? from : 0;
  const reason = readOnly(viewer) ?? (pool.deleting ? "The pool is being deleted." : null);

  const acts = useMemo<AdapterActs>(() => {
    /** Do it, and tell what stood in the way; true when nothing did. */
    async function told(act: () => Promise<readonly { message: string }[]>): Promise<boolean> {
      try {
        const errors = await act();
        for (const error of errors) notice("bad", error.message);
        return errors.length === 0;
      } catch (error) {
        notice("bad", sentence(error));
        return false;
      }
    }
    /** The row goes, and the focus, which was in it, to where the next row is near. */
    function dropped(rtId: string) {
      onDropped(rtId);
      heading.current?.focus();
    }
    return {
      edit: (adapter) => setOpened({ dialog: "edit", adapter }),
      deploy: ({ rtId }) =>
        void told(async () => (await tenant.act(DeployAdapter, { input: { rtId } })).deployAdapter.errors),
      undeploy: ({ rtId }) =>
        void told(async () => (await tenant.act(UndeployAdapter, { input: { rtId } })).undeployAdapter.errors),
      async remove(adapter) {
        const input = { rtId: pool.rtId, removeAdapters: [adapter.rtId] };
        const done = await told(async () => {
          const { editPool } = await tenant.act(EditPool, { input });
          if (editPool.pool) onBecame(editPool.pool);
          return editPool.errors;
        });
        if (!done) return;
        dropped(adapter.rtId);
        notice("good", `'${adapter.name}' was removed from the pool. It still exists, in no pool.`);
      },
      async delete(adapter) {
        const input = { rtId: adapter.rtId };
        if (!(await told(async () => (await tenant.act(DeleteAdapter, { input })).deleteAdapter.errors))) return;
        dropped(adapter.rtId);
        notice("good", `'${adapter.name}' was deleted.`);
      },
      askDelete: (adapter) => setOpened({ dialog: "delete", adapter }),
    };
  }, [tenant, pool.rtId, onBecame, onDropped]);

  return (
    <section className="card adapters-card" aria-labelledby="adapters">
      <header>
        <h2 id="adapters" ref={heading} tabIndex={-1}>
          Adapters
        </h2>
        <Progress pool={pool} />
        <div className="acts">
          <Act icon="plus" reason={reason} onAct={() => setOpened({ dialog: "pick" })}>
            Add adapter
          </Act>
          <Act icon="plus" reason={reason} onAct={() => setOpened({ dialog: "create" })}>
            Create adapter
          </Act>
        </div>
      </header>
      {all.length > 20 && (
        <input
          className="narrowing"
          type="search"
          aria-label="Find among these adapters"
          placeholder="Find by name, image or state"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      {all.length === 0 ? (
        <p className="none-yet">
          No adapters yet. <strong>Add</strong> one that exists, or <strong>create</strong> a new one here; then deploy
          it.
        </p>
      ) : (
        <table className="rows adapter-rows">
          <caption className="unseen">Adapters of {pool.name}</caption>
          <thead>
            <tr>
              <th>Name</th>
              <th>Communication</th>
              <th>Configuration</th>
              <th>Deployment</th>
              <th>Image</th>
              <th>Message</th>
              <th>
                <span className="unseen">Operations</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(begin, begin + PAGE).map(({ entity, gone }) => (
              <AdapterRow key={entity.rtId} adapter={entity} gone={gone} viewer={viewer} acts={acts} />
            ))}
          </tbody>
        </table>
      )}
      {search && found.length === 0 && <p className="none-yet">None of them matches.</p>}
      <Pager
        what="adapters"
        from={begin}
        shown={Math.min(PAGE, found.length - begin)}
        total={found.length}
        onBack={begin > 0 ? () => setFrom(begin - PAGE) : undefined}
        onOn={begin + PAGE < found.length ? () => setFrom(begin + PAGE) : undefined}
      />
      {opened?.dialog === "pick" && <AdapterPicker pool={pool} onBecame={onBecame} onClose={() => setOpened(null)} />}
      {opened?.dialog === "create" && <AdapterDialog pool={pool} onClose={() => setOpened(null)} />}
      {opened?.dialog === "edit" && (
        <AdapterDialog
          pool={pool}
          adapter={rows.byId.get(opened.adapter.rtId)?.entity ?? opened.adapter}
          onClose={() => setOpened(null)}
        />
      )}
      {opened?.dialog === "delete" && (
        <Dialog title={`Delete ${opened.adapter.name}`} onClose={() => setOpened(null)}>
          <p>
            The adapter goes with its configuration. To keep it and only take it out of this pool, remove it instead.
          </p>
          <footer>
            <Act onAct={() => setOpened(null)}>Cancel</Act>
            <Act
              kind="danger"
              icon="bin"
              onAct={() => {
                void acts.delete(opened.adapter);
                setOpened(null);
              }}
            >
              Delete
            </Act>
          </footer>
        </Dialog>
      )}
    </section>
  );
}

function matches(adapter: Adapter, search: string): boolean {
  const words = [
    adapter.name,
    adapter.imageName,
    adapter.imageVersion,
    adapter.deploymentState,
    adapter.communicationState,
  ];
  return words.join(" ").toLowerCase().includes(search.trim().toLowerCase());
}
