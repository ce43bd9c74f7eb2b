// The tenant whose API this page is on, and a pool of it for the examples.
import { authorization } from "../panel/api/token";
import aPoolQuery from "./examples/a-pool.graphql?raw";

export interface APool {
  rtId: string;
  rtVersion: number;
}

export interface Found {
  pool?: APool;
  /** There is no such tenant, or the caller may not know of it; in the words of the API. */
  noTenant?: string;
}

// The page is on the URL of the API itself: /tenants/{id}/graphql.
export const ENDPOINT = location.pathname;
export const TENANT = decodeURIComponent(/^\/tenants\/([^/]+)\//.exec(ENDPOINT)?.[1] ?? "");

const PATIENCE_MS = 3_000; // Examples with a placeholder at once are better than perfect ones late.

/** What can be found out quickly; whatever else goes wrong shows in GraphiQL itself, with all its details. */
export async function lookAround(): Promise<Found> {
  try {
    const response = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization() },
      body: JSON.stringify({ query: aPoolQuery }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return found(await response.json());
  } catch {
    return {};
  }
}

interface Answer {
  data?: { pools: { nodes: (APool & { summary: { adapters: number; wanted: number } })[] } } | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

function found({ data, errors }: Answer): Found {
  const unknown = errors?.find((error) => error.extensions?.code === "TENANT_NOT_FOUND");
  if (unknown) return { noTenant: unknown.message };
  const pools = data?.pools.nodes ?? [];
  // One with something left to deploy shows the most.
  const pool = pools.find(({ summary }) => summary.wanted < summary.adapters) ?? pools.find(({ summary }) => summary.adapters);
  return { pool: pool ?? pools[0] };
}
