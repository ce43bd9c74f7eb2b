import { memo } from "react";
import type { AdapterType } from "../../gql/graphql";
import type { Viewer } from "../api/tenant";
import { type Adapter, whyNotDeployAdapter, whyNotTake, whyNotUndeployAdapter } from "../arranging";
import { Menu } from "../parts/Menu";
import { Row } from "../parts/Row";
import { COMMUNICATION, CONFIGURATION, DEPLOYMENT, State } from "../parts/State";
import { Since } from "../parts/Time";

export const TYPES: Record<AdapterType, string> = { EDGE: "Edge", MESH: "Mesh" };

export interface AdapterActs {
  edit: (adapter: Adapter) => void;
  deploy: (adapter: Adapter) => void;
  undeploy: (adapter: Adapter) => void;
  remove: (adapter: Adapter) => Promise<void>;
  askDelete: (adapter: Adapter) => void;
  delete: (adapter: Adapter) => Promise<void>;
}

interface Props {
  adapter: Adapter;
  gone: boolean;
  viewer: Viewer;
  acts: AdapterActs;
}

export const AdapterRow = memo(function AdapterRow({ adapter, gone, viewer, acts }: Props) {
  const failed = adapter.deploymentState === "ERROR" || adapter.configurationState === "ERROR";
  const image = adapter.imageName.split("/").at(-1);
  const message =
    adapter.deploymentState === "ERROR" ? (adapter.lastError ?? adapter.statusMessage) : adapter.statusMessage;
  return (
    <Row gone={gone} farewell={<Farewell name={adapter.name} />}>
      <th scope="row" className="name">
        <button type="button" className="link" title={adapter.name} onClick={() => acts.edit(adapter)}>
          {adapter.name}
        </button>
        <small>{TYPES[adapter.type]}</small>
      </th>
      <td data-label="Communication">
        <State look={COMMUNICATION[adapter.communicationState]} />
        <small>
          {adapter.communicationStateTimestamp ? <Since moment={adapter.communicationStateTimestamp} /> : "never seen"}
        </small>
      </td>
      <td data-label="Configuration">
        <State look={CONFIGURATION[adapter.configurationState]} />
      </td>
      <td data-label="Deployment">
        <State look={DEPLOYMENT[adapter.deploymentState]} />
        <small>
          {adapter.deploymentState === "PENDING" ? (adapter.wanted ? "being deployed" : "being undeployed") : "\u00a0"}
        </small>
      </td>
      <td className="image" data-label="Image">
        <span className="line" title={`${adapter.imageName}:${adapter.imageVersion}`}>
          {image}
        </span>
        <small className="numbers">{adapter.imageVersion}</small>
      </td>
      <td className={failed ? "message bad" : "message"} data-label="Message">
        {message}
      </td>
      <td className="operations">
        <Menu
          label={`Operations on ${adapter.name}`}
          items={[
            { word: viewer.mayEdit ? "Edit" : "Show", icon: "edit", onAct: () => acts.edit(adapter) },
            {
              word: "Deploy",
              icon: "deploy",
              reason: whyNotDeployAdapter(viewer, adapter),
              onAct: () => acts.deploy(adapter),
            },
            {
              word: "Undeploy",
              icon: "undeploy",
              reason: whyNotUndeployAdapter(viewer, adapter),
              onAct: () => acts.undeploy(adapter),
            },
            {
              word: "Remove from pool",
              icon: "close",
              reason: whyNotTake(viewer, adapter),
              onAct: () => void acts.remove(adapter),
            },
            {
              word: "Delete",
              icon: "bin",
              danger: true,
              reason: whyNotTake(viewer, adapter),
              onAct: () => acts.askDelete(adapter),
            },
          ]}
        />
      </td>
    </Row>
  );
});

function Farewell({ name }: { name: string }) {
  return (
    <th scope="row" className="name" colSpan={7}>
      <span>{name}</span>
      <small>No longer in this pool.</small>
    </th>
  );
}
