// Deploying and undeploying, of one pool or of many at once, and the notices about what came of it.
import { sentence } from "./api/failure";
import { DeployPoolAdapters, UndeployPoolAdapters } from "./api/operations";
import type { Tenant } from "./api/tenant";
import { counted, type Pool } from "./arranging";
import { notice } from "./noticing";

// More would only queue in the browser and in MongoDB.
const AT_ONCE = 4;

export type Wish = "deploy" | "undeploy";

/** Wish all adapters of these pools deployed or undeployed; returns when every wish is stored or refused. */
export async function wish(tenant: Tenant, which: Wish, pools: readonly Pool[]): Promise<void> {
  const refused: string[] = [];
  let news = 0;
  let done = 0;
  let id: number | undefined;
  const waiting = [...pools];

  async function work() {
    for (let pool = waiting.shift(); pool; pool = waiting.shift()) {
      const { adapters, errors } = await one(tenant, which, pool.rtId);
      news += adapters;
      refused.push(...errors);
      done += 1;
      if (pools.length > AT_ONCE) id = notice("info", `${VERBS[which]}: ${done} of ${pools.length} pools…`, [], id);
    }
  }

  await Promise.all(Array.from({ length: Math.min(AT_ONCE, pools.length) }, work));
  const what = pools.length === 1 ? `${VERBS[which]} '${pools[0]!.name}'` : `${VERBS[which]} ${pools.length} pools`;
  if (refused.length) notice("bad", `${what}${pools.length === 1 ? "" : `: ${refused.length}`} failed.`, refused, id);
  else notice("good", `${what}: ${counted(news, "adapter")} to ${which}.`, [], id);
}

const VERBS = { deploy: "Deploying", undeploy: "Undeploying" };

async function one(tenant: Tenant, which: Wish, rtId: string): Promise<{ adapters: number; errors: string[] }> {
  try {
    const payload =
      which === "deploy"
        ? (await tenant.act(DeployPoolAdapters, { input: { rtId } })).deployPoolAdapters
        : (await tenant.act(UndeployPoolAdapters, { input: { rtId } })).undeployPoolAdapters;
    return { adapters: payload.adapters.length, errors: payload.errors.map((error) => error.message) };
  } catch (error) {
    return { adapters: 0, errors: [sentence(error)] };
  }
}
