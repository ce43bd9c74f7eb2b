// What a person may do with pools and adapters now, and why not: in the words that buttons show.
import type { AdapterRowFragment, PoolRowFragment } from "../gql/graphql";
import type { Viewer } from "./api/tenant";

export type Pool = PoolRowFragment;
export type Adapter = AdapterRowFragment;
export type Reason = string | null;

export function readOnly(viewer: Viewer): Reason {
  return viewer.mayEdit ? null : `${viewer.name} may look, but not change anything here.`;
}

export function whyNotDeploy(viewer: Viewer, pool: Pool): Reason {
  const { adapters, wanted, deploymentError } = pool.summary;
  if (readOnly(viewer)) return readOnly(viewer);
  if (pool.deleting) return "The pool is being deleted.";
  if (!adapters) return "The pool has no adapters. Add one first.";
  // Once more after an error is a new try.
  if (wanted === adapters && !deploymentError) return "All of its adapters are deployed, or on their way.";
  return null;
}

export function whyNotUndeploy(viewer: Viewer, pool: Pool): Reason {
  const { adapters, wanted, undeployed, deploymentError } = pool.summary;
  if (readOnly(viewer)) return readOnly(viewer);
  if (!adapters) return "The pool has no adapters.";
  if (!wanted && !deploymentError) {
    return undeployed === adapters ? "Nothing of it is deployed." : "It is being undeployed already.";
  }
  return null;
}

export function whyNotDeployAdapter(viewer: Viewer, adapter: Adapter): Reason {
  if (readOnly(viewer)) return readOnly(viewer);
  if (adapter.wanted && adapter.deploymentState !== "ERROR") return "It is deployed, or on its way.";
  return null;
}

export function whyNotUndeployAdapter(viewer: Viewer, adapter: Adapter): Reason {
  if (readOnly(viewer)) return readOnly(viewer);
  if (adapter.wanted || adapter.deploymentState === "ERROR") return null;
  return adapter.deploymentState === "UNDEPLOYED" ? "It is not deployed." : "It is being undeployed already.";
}

/** Only an adapter at rest can leave its pool or be deleted. */
export function whyNotTake(viewer: Viewer, adapter: Adapter): Reason {
  if (readOnly(viewer)) return readOnly(viewer);
  return atRest(adapter) ? null : "It is deployed, or on its way. Undeploy it first.";
}

export function atRest(adapter: Adapter): boolean {
  return !adapter.wanted && adapter.deploymentState === "UNDEPLOYED";
}

export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}

/** What a change of a pool is called aloud; null for one that means nothing to a listener. */
export function spoken(before: Pool | undefined, after: Pool): string | null {
  if (!before) return null;
  if (before.communicationState !== after.communicationState) {
    return `${after.name}: ${after.communicationState.toLowerCase()}.`;
  }
  if (before.summary.deploymentError < after.summary.deploymentError) return `${after.name}: ${after.health.headline}.`;
  if (before.deploymentState !== after.deploymentState || before.summary.deployed !== after.summary.deployed) {
    return `${after.name}: ${after.summary.deployed} of ${after.summary.adapters} adapters deployed.`;
  }
  return null;
}

export function spokenAdapter(before: Adapter | undefined, after: Adapter): string | null {
  if (!before) return null;
  if (before.deploymentState !== after.deploymentState) {
    const why = after.deploymentState === "ERROR" && after.lastError ? `: ${after.lastError}` : ".";
    return `${after.name}: deployment ${after.deploymentState.toLowerCase()}${why}`;
  }
  if (before.communicationState !== after.communicationState) {
    return `${after.name}: ${after.communicationState.toLowerCase()}.`;
  }
  return null;
}
