import { useVisit } from "../api/tenant";
import { counted, type Pool } from "../arranging";
import { wish } from "../deploying";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";

/** Undeploying stops what runs: asked first, with what will stop. */
export function UndeployDialog({ pools, onClose }: { pools: Pool[]; onClose: () => void }) {
  const { tenant } = useVisit();
  const running = pools.reduce((sum, pool) => sum + pool.summary.wanted, 0);
  return (
    <Dialog title="Undeploy Adapters" onClose={onClose}>
      <p>
        {counted(running, "adapter")} of{" "}
        {pools.length === 1 ? <strong>{pools[0]!.name}</strong> : counted(pools.length, "pool")} will be stopped and
        removed from the cluster. Their configuration stays here, and they can be deployed again.
      </p>
      {pools.length > 1 && (
        <ul className="named" tabIndex={0}>
          {pools.map((pool) => (
            <li key={pool.rtId}>
              {pool.name} <span className="quiet numbers">{counted(pool.summary.wanted, "adapter")}</span>
            </li>
          ))}
        </ul>
      )}
      <footer>
        <Act onAct={onClose}>Cancel</Act>
        <Act
          kind="danger"
          icon="undeploy"
          onAct={() => {
            void wish(tenant, "undeploy", pools);
            onClose();
          }}
        >
          Undeploy
        </Act>
      </footer>
    </Dialog>
  );
}
