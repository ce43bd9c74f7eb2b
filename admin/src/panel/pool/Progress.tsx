import type { Pool } from "../arranging";
import { Deployed } from "../overview/Deployed";

/** How far a deployment is. Always there, so that nothing moves when one begins. */
export function Progress({ pool: { summary } }: { pool: Pool }) {
  const { adapters, deploymentPending, deploymentError } = summary;
  if (!adapters) return null;
  return (
    <div className="progress">
      <Deployed summary={summary} />
      <span className="quiet numbers">
        {[deploymentPending && `${deploymentPending} under way`, deploymentError && `${deploymentError} failed`]
          .filter(Boolean)
          .join(", ") || "\u00a0"}
      </span>
    </div>
  );
}
