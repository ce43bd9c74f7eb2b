// What can be done with several pools at once. It takes the place of a line that is there anyway: nothing jumps.
import { useVisit } from "../api/tenant";
import { counted, type Pool, whyNotDeploy, whyNotUndeploy } from "../arranging";
import { wish } from "../deploying";
import { Act } from "../parts/Act";

interface Props {
  pools: Pool[];
  onUndeploy: (pools: Pool[]) => void;
  onClear: () => void;
}

export function SelectionBar({ pools, onUndeploy, onClear }: Props) {
  const { tenant, viewer } = useVisit();
  const deployable = pools.filter((pool) => !whyNotDeploy(viewer, pool));
  const undeployable = pools.filter((pool) => !whyNotUndeploy(viewer, pool));
  return (
    <div className="selection" role="group" aria-label="Selected pools">
      <strong className="numbers" aria-live="polite">
        {counted(pools.length, "pool")} selected
      </strong>
      <Act
        icon="deploy"
        reason={deployable.length ? null : whyNotDeploy(viewer, pools[0]!)}
        onAct={() => {
          void wish(tenant, "deploy", deployable);
          onClear();
        }}
      >
        {`Deploy Adapters${some(deployable, pools)}`}
      </Act>
      <Act
        icon="undeploy"
        reason={undeployable.length ? null : whyNotUndeploy(viewer, pools[0]!)}
        onAct={() => onUndeploy(undeployable)}
      >
        {`Undeploy Adapters${some(undeployable, pools)}`}
      </Act>
      <Act kind="quiet" onAct={onClear}>
        Clear
      </Act>
    </div>
  );
}

function some(able: Pool[], pools: Pool[]): string {
  return able.length && able.length < pools.length ? ` (${able.length})` : "";
}
