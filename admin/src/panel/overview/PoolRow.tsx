import { memo } from "react";
import type { Viewer } from "../api/tenant";
import { type Pool, readOnly, whyNotDeploy, whyNotUndeploy } from "../arranging";
import { Link } from "../parts/Link";
import { Menu } from "../parts/Menu";
import { Row } from "../parts/Row";
import { COMMUNICATION, DEPLOYMENT, HEALTH, State } from "../parts/State";
import { Since } from "../parts/Time";
import { go, poolPath } from "../routes";
import { Deployed } from "./Deployed";

export interface PoolActs {
  deploy: (pool: Pool) => void;
  undeploy: (pool: Pool) => void;
  delete: (pool: Pool) => void;
}

interface Props {
  pool: Pool;
  gone: boolean;
  tenantId: string;
  viewer: Viewer;
  selected: boolean;
  onSelect: (rtId: string, on: boolean) => void;
  acts: PoolActs;
}

export const PoolRow = memo(function PoolRow({ pool, gone, tenantId, viewer, selected, onSelect, acts }: Props) {
  const path = poolPath(tenantId, pool.rtId);
  return (
    <Row
      gone={gone}
      farewell={<Farewell name={pool.name} />}
      className={pool.deleting ? "deleting" : undefined}
      selected={selected}
    >
      <td className="pick-one">
        <input
          type="checkbox"
          aria-label={`Select ${pool.name}`}
          checked={selected}
          disabled={!viewer.mayEdit}
          onChange={(event) => onSelect(pool.rtId, event.target.checked)}
        />
      </td>
      <th scope="row" className="name">
        <Link href={path} title={pool.name}>
          {pool.name}
        </Link>
        <small className={pool.description ? undefined : "none"} title={pool.description ?? undefined}>
          {pool.description || "\u00a0"}
        </small>
      </th>
      <td className="communication" data-label="Communication">
        <State look={COMMUNICATION[pool.communicationState]} />
        <small>
          {pool.communicationStateTimestamp ? <Since moment={pool.communicationStateTimestamp} /> : "never seen"}
        </small>
      </td>
      <td className="deployment" data-label="Deployment">
        <State look={DEPLOYMENT[pool.deploymentState]} />
        {pool.deleting && <small>being deleted</small>}
      </td>
      <td className="adapters" data-label="Adapters">
        <Deployed summary={pool.summary} />
      </td>
      <td className="health" data-label="Health">
        <State look={HEALTH[pool.health.level]} />
        <small title={pool.health.reasons.join("\n")}>{pool.health.headline}</small>
      </td>
      <td className="operator" data-label="Operator">
        {pool.operator ? (
          <>
            <span className="line" title={`${pool.operator.id} in ${pool.operator.cluster}`}>
              {pool.operator.id}
            </span>
            <small title={`Namespace ${pool.operator.namespace}`}>{pool.operator.namespace}</small>
          </>
        ) : (
          <span className="quiet">no operator</span>
        )}
      </td>
      <td className="operations">
        <Menu
          label={`Operations on ${pool.name}`}
          items={[
            { word: "Edit", icon: "edit", onAct: () => go(path) },
            {
              word: "Deploy Adapters",
              icon: "deploy",
              reason: whyNotDeploy(viewer, pool),
              onAct: () => acts.deploy(pool),
            },
            {
              word: "Undeploy Adapters",
              icon: "undeploy",
              reason: whyNotUndeploy(viewer, pool),
              onAct: () => acts.undeploy(pool),
            },
            { word: "Delete", icon: "bin", danger: true, reason: readOnly(viewer), onAct: () => acts.delete(pool) },
          ]}
        />
      </td>
    </Row>
  );
});

/** It keeps its place: whoever was about to click the next row hits the next row. */
function Farewell({ name }: { name: string }) {
  return (
    <>
      <td />
      <th scope="row" className="name" colSpan={7}>
        <span>{name}</span>
        <small>Deleted. It disappears when the list is loaded again.</small>
      </th>
    </>
  );
}
