// One pool with its adapters: loaded once, then kept as they are on the server.
import { startTransition, useCallback, useEffect, useRef, useState } from "react";
import type { PoolQuery as PoolAnswer } from "../../gql/graphql";
import { announce } from "../announcing";
import { type Failure, sentence } from "../api/failure";
import { AdapterChanges, PoolChanges, PoolQuery } from "../api/operations";
import type { Tenant } from "../api/tenant";
import { watch } from "../api/watching";
import { type Adapter, type Pool, spokenAdapter } from "../arranging";
import { applied, type Rows, rowsOf } from "../overview/live";

export type WholePool = NonNullable<PoolAnswer["pool"]>;

export interface Watched {
  pool: WholePool;
  gone: boolean;
  adapters: Rows<Adapter>;
}

export type PoolState = { at: "loading"; failure: string | null } | { at: "nowhere" } | ({ at: "here" } & Watched);

export function usePool(tenant: Tenant, rtId: string) {
  const [state, setState] = useState<PoolState>({ at: "loading", failure: null });
  const [stirred, setStirred] = useState(0);
  const latest = useRef(state);
  latest.current = state;
  const here = state.at === "here";

  const change = useCallback((next: (watched: Watched) => Partial<Watched>) => {
    setState((before) => (before.at === "here" ? { ...before, ...next(before) } : before));
  }, []);

  useEffect(() => {
    let over = false;
    let timer: number | undefined;
    async function load() {
      try {
        const { pool } = await tenant.ask(PoolQuery, { rtId });
        if (over) return;
        if (!pool) return setState({ at: "nowhere" });
        setState({ at: "here", pool, gone: false, adapters: rowsOf(pool.adapters.nodes) });
      } catch (error) {
        if (over) return;
        const { code } = error as Failure;
        // An id of another form is the id of nothing.
        if (code === "BAD_USER_INPUT") return setState({ at: "nowhere" });
        setState({ at: "loading", failure: sentence(error) });
        timer = window.setTimeout(load, 3_000);
      }
    }
    void load();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tenant, rtId]);

  useEffect(() => {
    if (!here) return;
    let told = false;
    const stopPool = watch(tenant, PoolChanges, { rtIds: [rtId] }, (changes) => {
      for (const { kind, entity } of changes) {
        if (kind === "SNAPSHOT" || kind === "RESYNC") told = kind === "SNAPSHOT";
        // A snapshot that did not name it: it went while nobody listened.
        if (kind === "DELETED" || (kind === "LIVE" && !told)) change(() => ({ gone: true }));
        else if (entity) change((watched) => ({ pool: { ...watched.pool, ...entity } }));
        if (kind === "UPDATED") setStirred((count) => count + 1);
      }
    });
    const stopAdapters = watch(tenant, AdapterChanges, { poolRtIds: [rtId] }, (changes) => {
      const { current } = latest;
      for (const { kind, entity } of changes) {
        if (current.at !== "here" || !entity || kind === "SNAPSHOT") continue;
        const spoken = spokenAdapter(current.adapters.byId.get(entity.rtId)?.entity, entity);
        if (spoken) announce(spoken);
      }
      // LIVE too: something may have happened since the history was read.
      if (changes.some(({ kind }) => kind !== "SNAPSHOT")) setStirred((count) => count + 1);
      const inThisPool = (adapter: Adapter) => adapter.pool?.rtId === rtId;
      startTransition(() => change(({ adapters }) => ({ adapters: applied(adapters, changes, inThisPool) })));
    });
    return () => {
      stopPool();
      stopAdapters();
    };
  }, [tenant, rtId, here, change]);

  /** What the answer to one's own edit says, without waiting for the subscription. */
  const became = useCallback(
    (pool: Pool) =>
      change((watched) => (pool.rtVersion >= watched.pool.rtVersion ? { pool: { ...watched.pool, ...pool } } : {})),
    [change],
  );

  /** Drop the row of an adapter that one has just taken out oneself. */
  const drop = useCallback(
    (adapterRtId: string) =>
      change(({ adapters }) => {
        const byId = new Map(adapters.byId);
        byId.delete(adapterRtId);
        return { adapters: { ...adapters, byId, order: adapters.order.filter((each) => each !== adapterRtId) } };
      }),
    [change],
  );

  return { state, stirred, became, drop };
}
