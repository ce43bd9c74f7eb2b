import { useCallback, useEffect, useRef, useState } from "react";
import type { HealthLevel } from "../../gql/graphql";
import { PoolCountsQuery } from "../api/operations";
import type { Tenant } from "../api/tenant";
import type { PoolsPage } from "./usePools";
import { useSteadily } from "./useSteadily";

export type Counts = Record<HealthLevel | "ALL", number>;

/** How many pools need how much attention; null until it is known. Costs more than a page of rows: asked after it. */
export function useCounts(tenant: Tenant, search: string, { rows, stirred }: PoolsPage): Counts | null {
  const [counts, setCounts] = useState<Counts | null>(null);
  const latest = useRef(search);
  latest.current = search;
  const count = useCallback(async () => {
    const answer = await tenant.ask(PoolCountsQuery, {
      search: search || null,
      critical: { health: ["CRITICAL"] },
      warn: { health: ["WARN"] },
      unknown: { health: ["UNKNOWN"] },
      ok: { health: ["OK"] },
    });
    // What was searched for meanwhile is asked for by itself.
    if (search !== latest.current) return;
    setCounts({
      ALL: answer.all.totalCount,
      CRITICAL: answer.critical.totalCount,
      WARN: answer.warn.totalCount,
      UNKNOWN: answer.unknown.totalCount,
      OK: answer.ok.totalCount,
    });
  }, [tenant, search]);
  const drawn = rows !== null;
  useEffect(() => {
    if (drawn) count().catch(() => {});
  }, [count, drawn]);
  useSteadily(stirred, count);
  return counts;
}
