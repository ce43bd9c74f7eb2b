// What is known about a pool: read-only, because only agents say it.
import { COMMUNICATION, CONFIGURATION, DEPLOYMENT, HEALTH, State } from "../parts/State";
import { Moment, Since } from "../parts/Time";
import type { WholePool } from "./usePool";

export function Facts({ pool }: { pool: WholePool }) {
  const { operator, health } = pool;
  return (
    <section className="card facts" aria-label="State">
      <dl>
        <dt>Communication</dt>
        <dd>
          <State look={COMMUNICATION[pool.communicationState]} />
          <p className="quiet">
            {pool.communicationStateTimestamp ? (
              <>
                since <Moment moment={pool.communicationStateTimestamp} />
              </>
            ) : (
              "never seen"
            )}
          </p>
        </dd>
        <dt>Deployment</dt>
        <dd>
          <State look={DEPLOYMENT[pool.deploymentState]} />
        </dd>
        <dt>Configuration</dt>
        <dd>
          <State look={CONFIGURATION[pool.configurationState]} />
        </dd>
        <dt>Health</dt>
        <dd>
          <State look={HEALTH[health.level]} />
          <ul className="reasons">
            {health.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </dd>
        <dt>Operator</dt>
        <dd>
          {operator ? (
            <>
              <strong>{operator.id}</strong> <span className="quiet">{operator.version}</span>
              <br />
              {operator.cluster}, namespace {operator.namespace}
              <br />
              <span className="quiet">
                serving it <Since moment={operator.since} />
                {pool.communicationState !== "ONLINE" && (
                  <>
                    , silent <Since moment={operator.lastSeen} />
                  </>
                )}
              </span>
            </>
          ) : (
            "none serves it yet"
          )}
        </dd>
        <dt>Created</dt>
        <dd className="numbers">
          <Moment moment={pool.rtCreationDateTime} />
        </dd>
      </dl>
    </section>
  );
}
