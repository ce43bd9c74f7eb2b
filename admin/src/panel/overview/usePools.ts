// The pools of one page of the overview: loaded once, then kept as they are on the server.
import { startTransition, useCallback, useEffect, useRef, useState } from "react";
import type { PoolsQuery as PoolsAnswer } from "../../gql/graphql";
import { announce } from "../announcing";
import { type Failure, sentence } from "../api/failure";
import { PoolChanges, PoolOrderQuery, PoolsQuery, PoolStirrings } from "../api/operations";
import type { Tenant } from "../api/tenant";
import { type Change, watch } from "../api/watching";
import { type Pool, spoken } from "../arranging";
import { type Choice, choose, variablesOf } from "./choosing";
import { applied, type Rows, rowsOf } from "./live";
import { useSteadily } from "./useSteadily";

export interface PoolsPage {
  /** Null until the first answer. */
  rows: Rows<Pool> | null;
  pageInfo: PoolsAnswer["pools"]["pageInfo"] | null;
  total: number;
  /** The choice the rows are of; while another one is being loaded they stay. */
  choice: Choice;
  loading: boolean;
  failure: string | null;
  /** What a reload would show: pools that are not on this page now, or another order. */
  news: { added: number; moved: boolean } | null;
  /** Counts whatever happened, or may have happened, to any pool: for those who count pools. */
  stirred: number;
  reload: () => void;
}

type Page = Omit<PoolsPage, "reload" | "loading" | "stirred"> & {
  /** Which load the rows are from. */
  load: string | null;
};

const NOTHING = { load: null, rows: null, pageInfo: null, total: 0, failure: null, news: null };

// Whoever comes back sees at once what was there, as far down as it was scrolled, while it is loaded anew.
let left: { tenant: Tenant; question: string; page: Page } | null = null;

export function usePools(tenant: Tenant, choice: Choice): PoolsPage {
  const question = JSON.stringify(variablesOf(choice));
  const [page, setPage] = useState<Page>(() =>
    left?.tenant === tenant && left.question === question ? left.page : { ...NOTHING, choice },
  );
  const [loads, setLoads] = useState(0);
  const [loaded, setLoaded] = useState<string | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [stirred, setStirred] = useState(0);
  const key = question + loads;

  // Load
  useEffect(() => {
    let over = false;
    let timer: number | undefined;
    async function load() {
      try {
        const { pools } = await tenant.ask(PoolsQuery, variablesOf(choice));
        if (over) return;
        const { nodes, pageInfo, totalCount } = pools;
        // Drawn in pieces: a page of rows never keeps a key that is typed waiting.
        startTransition(() => {
          setPage({ load: key, rows: rowsOf(nodes), pageInfo, total: totalCount, choice, failure: null, news: null });
          setLoaded(key);
        });
      } catch (error) {
        if (over) return;
        // A cursor of another list, as in an old link: that list begins where lists begin.
        if ((error as Failure).code === "BAD_USER_INPUT" && (choice.after || choice.before)) {
          return choose(choice, {}, { replace: true });
        }
        setPage((before) => ({ ...before, failure: sentence(error) }));
        timer = window.setTimeout(load, 3_000);
      }
    }
    void load();
    return () => {
      over = true;
      clearTimeout(timer);
    };
    // `key` is the choice, and which time it is loaded.
  }, [tenant, key]);

  useEffect(() => {
    if (loaded === key) left = { tenant, question, page };
  }, [tenant, loaded, key, question, page]);

  // Watch what is shown
  const shown = useRef<Rows<Pool> | null>(null);
  shown.current = page.rows;
  useEffect(() => {
    if (!loaded || !shown.current) return;
    setCursor(null);
    return watch(tenant, PoolChanges, { rtIds: [...shown.current.order] }, (changes) => {
      for (const change of changes) say(shown.current, change);
      startTransition(() => {
        setPage((before) =>
          // What was heard of a page that has just been turned says nothing about the next one.
          before.rows && before.load === loaded
            ? { ...before, rows: applied(before.rows, changes, () => true) }
            : before,
        );
      });
      const live = changes.find((change) => change.kind === "LIVE");
      if (!live) return;
      setCursor((before) => before ?? live.cursor);
      // Anything may have happened to other pools since this page was loaded.
      setStirred((count) => count + 1);
    });
  }, [tenant, loaded]);

  // Hear that something happened to any pool, without being told what: this costs a hundred bytes a change
  useEffect(() => {
    if (!cursor) return;
    return watch(tenant, PoolStirrings, { after: cursor }, () => setStirred((count) => count + 1));
  }, [tenant, cursor]);

  // See what a reload would change
  const look = useCallback(async () => {
    const rows = shown.current;
    if (!rows || loaded !== key) return;
    const { pools } = await tenant.ask(PoolOrderQuery, variablesOf(choice));
    const now = pools.nodes.map((node) => node.rtId);
    const here = rows.order.filter((rtId) => !rows.byId.get(rtId)?.gone);
    const added = now.filter((rtId) => !rows.byId.has(rtId)).length;
    const moved = now.join() !== here.join();
    setPage((before) =>
      before.rows === null || before.choice !== page.choice
        ? before
        : { ...before, total: pools.totalCount, news: added || moved ? { added, moved } : null },
    );
  }, [tenant, key, loaded, page.choice]);
  useSteadily(stirred, look);

  const reload = useCallback(() => setLoads((count) => count + 1), []);
  return { ...page, loading: loaded !== key, stirred, reload };
}

function say(rows: Rows<Pool> | null, { kind, entity }: Change<Pool>): void {
  if (!entity) return;
  if (kind === "DELETED") return announce(`${entity.name} was deleted.`);
  const sentence = spoken(rows?.byId.get(entity.rtId)?.entity, entity);
  if (sentence) announce(sentence);
}
