import type { Pool } from "../arranging";
import { Fresh } from "../parts/State";

/** `3/4 deployed`, and how far the rest is. */
export function Deployed({ summary }: { summary: Pool["summary"] }) {
  const { adapters, deployed, deploymentPending, deploymentError } = summary;
  if (!adapters) return <span className="quiet">no adapters</span>;
  const parts = { good: deployed, busy: deploymentPending, bad: deploymentError, none: summary.undeployed };
  const words = [`${deployed} deployed`, `${deploymentPending} pending`, `${deploymentError} failed`].join(", ");
  return (
    <span className="deployed" title={words}>
      <Fresh value={`${deployed}/${adapters}`}>
        <strong className="numbers">
          {deployed}/{adapters}
        </strong>{" "}
        deployed
      </Fresh>
      <span className="parts" aria-hidden="true">
        {Object.entries(parts).map(
          ([tone, count]) => count > 0 && <span key={tone} className={tone} style={{ flexGrow: count }} />,
        )}
      </span>
    </span>
  );
}
