// Search and filters. What they are set to is in the query string.
import { useEffect, useRef, useState } from "react";
import type { HealthLevel } from "../../gql/graphql";
import { Icon } from "../parts/Icon";
import { Pick } from "../parts/Pick";
import { COMMUNICATION, DEPLOYMENT, HEALTH } from "../parts/State";
import { type Choice, choose } from "./choosing";
import type { Counts } from "./useCounts";

// Between two keys of somebody who types: the server is asked when they pause.
const PAUSE = 250;

export function Filters({ choice, counts }: { choice: Choice; counts: Counts | null }) {
  return (
    <search className="filters">
      <SearchField choice={choice} />
      <div className="levels" role="group" aria-label="Health">
        {([null, "CRITICAL", "WARN", "UNKNOWN", "OK"] as const).map((level) => (
          <Level key={level} level={level} choice={choice} count={counts?.[level ?? "ALL"]} />
        ))}
      </div>
      <span className="picks">
        <Pick
          label="Communication"
          any="Any communication"
          options={COMMUNICATION}
          value={choice.communication}
          onPick={(communication) => choose(choice, { communication })}
        />
        <Pick
          label="Deployment"
          any="Any deployment"
          options={DEPLOYMENT}
          value={choice.deployment}
          onPick={(deployment) => choose(choice, { deployment })}
        />
      </span>
    </search>
  );
}

function Level({ level, choice, count }: { level: HealthLevel | null; choice: Choice; count: number | undefined }) {
  const [word, icon, tone] = level ? HEALTH[level] : (["All", null, "none"] as const);
  return (
    <button
      type="button"
      className={`level ${tone}`}
      aria-pressed={choice.health === level}
      onClick={() => choose(choice, { health: level })}
    >
      {icon && <Icon name={icon} />}
      <span>{word}</span>
      <span className="count numbers">{count?.toLocaleString() ?? "–"}</span>
    </button>
  );
}

function SearchField({ choice }: { choice: Choice }) {
  const [typed, setTyped] = useState(choice.search);
  // A filter that is picked during the pause is kept.
  const latest = useRef(choice);
  latest.current = choice;

  // The back button may bring another one.
  useEffect(() => setTyped(choice.search), [choice.search]);

  useEffect(() => {
    if (typed === choice.search) return;
    const timer = setTimeout(() => choose(latest.current, { search: typed }, { replace: true }), PAUSE);
    return () => clearTimeout(timer);
  }, [typed]);

  return (
    <div className="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label="Search names and descriptions"
        placeholder="Search names and descriptions"
        spellCheck={false}
        maxLength={200}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
    </div>
  );
}
