// States, told three times: by the shape of an icon, by a word, and by a colour.
import { useState, type ReactNode } from "react";
import type { CommunicationState, ConfigurationState, DeploymentState, HealthLevel } from "../../gql/graphql";
import { Icon, type IconName } from "./Icon";

type Tone = "good" | "busy" | "bad" | "warn" | "none";
type Look = readonly [word: string, icon: IconName, tone: Tone];

export const COMMUNICATION: Record<CommunicationState, Look> = {
  ONLINE: ["Online", "dot", "good"],
  OFFLINE: ["Offline", "crossed", "bad"],
  UNREGISTERED: ["Unregistered", "dashed", "none"],
};

export const DEPLOYMENT: Record<DeploymentState, Look> = {
  DEPLOYED: ["Deployed", "check", "good"],
  PENDING: ["Pending", "working", "busy"],
  ERROR: ["Error", "octagon", "bad"],
  UNDEPLOYED: ["Undeployed", "empty", "none"],
};

export const CONFIGURATION: Record<ConfigurationState, Look> = {
  CONFIGURED: ["Configured", "check", "good"],
  PENDING: ["Pending", "working", "busy"],
  ERROR: ["Error", "octagon", "bad"],
  UNCONFIGURED: ["Unconfigured", "empty", "none"],
};

export const HEALTH: Record<HealthLevel, Look> = {
  CRITICAL: ["Critical", "octagon", "bad"],
  WARN: ["Warning", "triangle", "warn"],
  UNKNOWN: ["Unknown", "question", "none"],
  OK: ["OK", "check", "good"],
};

export function State({ look: [word, icon, tone], children }: { look: Look; children?: ReactNode }) {
  return (
    <Fresh value={word}>
      <span className={`state ${tone}`}>
        <Icon name={icon} />
        <span className="word">{word}</span>
        {children}
      </span>
    </Fresh>
  );
}

/** Lights up for a moment when the value has changed; not when it appears. */
export function Fresh({ value, children }: { value: string | number; children: ReactNode }) {
  const [shown, setShown] = useState(value);
  const [times, setTimes] = useState(0);
  if (shown !== value) {
    setShown(value);
    setTimes(times + 1);
  }
  return (
    <span key={times} className={times ? "value fresh" : "value"}>
      {children}
    </span>
  );
}
