// The edit view of one pool.
import { useState } from "react";
import { useVisit } from "../api/tenant";
import { type Pool, readOnly, whyNotDeploy, whyNotUndeploy } from "../arranging";
import { wish } from "../deploying";
import { UndeployDialog } from "../overview/UndeployDialog";
import { Act } from "../parts/Act";
import { Icon } from "../parts/Icon";
import { Link } from "../parts/Link";
import { Note } from "../parts/Note";
import { backPath } from "../routes";
import { useTitle } from "../titling";
import { Adapters } from "./Adapters";
import { DeletePoolDialog } from "./DeletePoolDialog";
import { Facts } from "./Facts";
import { History } from "./History";
import { Install } from "./Install";
import { PoolForm } from "./PoolForm";
import { type PoolState, usePool } from "./usePool";

export function PoolPage({ rtId }: { rtId: string }) {
  const { tenant, viewer } = useVisit();
  const { state, stirred, became, drop } = usePool(tenant, rtId);
  const [asked, setAsked] = useState<"delete" | "undeploy" | null>(null);
  useTitle(titleOf(state), viewer.tenantName);

  if (state.at === "nowhere") return <NoSuchPool rtId={rtId} />;
  if (state.at === "loading") return <Loading failure={state.failure} />;
  const { pool, gone, adapters } = state;
  return (
    <>
      <Crumbs name={pool.name} />
      {gone ? (
        <Gone name={pool.name} />
      ) : (
        <>
          <Head pool={pool} onUndeploy={() => setAsked("undeploy")} onDelete={() => setAsked("delete")} />
          <div className="two">
            <PoolForm pool={pool} onBecame={became} />
            <Facts pool={pool} />
          </div>
          <Adapters pool={pool} rows={adapters} onBecame={became} onDropped={drop} />
          <Install pool={pool} />
          <History rtId={rtId} stirred={stirred} />
        </>
      )}
      {/* A deletion of one's own may still have something to say when the pool is gone. */}
      {asked === "delete" && <DeletePoolDialog pool={pool} leave onClose={() => setAsked(null)} />}
      {asked === "undeploy" && <UndeployDialog pools={[pool]} onClose={() => setAsked(null)} />}
    </>
  );
}

function titleOf(state: PoolState): string | null {
  if (state.at === "here") return state.pool.name;
  return state.at === "nowhere" ? "No such pool" : null;
}

function Head({ pool, onUndeploy, onDelete }: { pool: Pool; onUndeploy: () => void; onDelete: () => void }) {
  const { tenant, viewer } = useVisit();
  return (
    <>
      <div className="page-head">
        <h1>{pool.name}</h1>
        <div className="acts">
          <Act icon="deploy" reason={whyNotDeploy(viewer, pool)} onAct={() => void wish(tenant, "deploy", [pool])}>
            Deploy Adapters
          </Act>
          <Act icon="undeploy" reason={whyNotUndeploy(viewer, pool)} onAct={onUndeploy}>
            Undeploy Adapters
          </Act>
          <Act kind="danger-quiet" icon="bin" reason={readOnly(viewer)} onAct={onDelete}>
            Delete
          </Act>
        </div>
      </div>
      {pool.deleting && (
        <Note tone="warn">
          This pool is being deleted: it goes by itself when its adapters are undeployed.
        </Note>
      )}
    </>
  );
}

function Crumbs({ name }: { name: string }) {
  const { tenant } = useVisit();
  return (
    <nav className="crumbs" aria-label="Where you are">
      <Link href={backPath(tenant.id)}>Pools</Link>
      <Icon name="right" />
      <span aria-current="page" title={name}>
        {name}
      </span>
    </nav>
  );
}

function Loading({ failure }: { failure: string | null }) {
  return (
    <>
      <Crumbs name="…" />
      <div className="page-head">
        <h1>{"\u00a0"}</h1>
      </div>
      {failure && <Note tone="bad">The pool could not be loaded: {failure}</Note>}
      <div className="two" aria-busy="true">
        <div className="card waiting" />
        <div className="card waiting" />
      </div>
    </>
  );
}

function NoSuchPool({ rtId }: { rtId: string }) {
  return (
    <>
      <Crumbs name="unknown" />
      <section className="empty">
        <h1>There is no such pool</h1>
        <p>
          No pool of this tenant has the rtId <code>{rtId}</code>. It may have been deleted, or the address may be
          wrong.
        </p>
        <Back />
      </section>
    </>
  );
}

function Gone({ name }: { name: string }) {
  return (
    <section className="empty">
      <h1>'{name}' was deleted</h1>
      <p>Its adapters were kept; they are in no pool now.</p>
      <Back />
    </section>
  );
}

function Back() {
  const { tenant } = useVisit();
  return (
    <Link className="button" href={backPath(tenant.id)}>
      To all pools
    </Link>
  );
}
