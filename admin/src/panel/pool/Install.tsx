import { Copy } from "../parts/Copy";
import type { WholePool } from "./usePool";

/** What to apply in a cluster so that its operator serves this pool. Open as long as nobody does. */
export function Install({ pool }: { pool: WholePool }) {
  const name = /^ {2}name: (\S+)$/m.exec(pool.installManifest)?.[1] ?? "pool";
  const served = pool.communicationState === "ONLINE" ? pool.operator : null;
  return (
    <details className="card install" open={!pool.operator}>
      <summary>
        <h2>Install in a cluster</h2>
        <span className="quiet">
          {pool.operator
            ? `installed in the cluster ${pool.operator.cluster}, namespace ${pool.operator.namespace}`
            : "not installed yet"}
        </span>
      </summary>
      {served && (
        <p>
          There is nothing to do: <strong>{served.id}</strong> serves this pool. Another operator can take it over once
          that one is gone.
        </p>
      )}
      <ol>
        <li>
          <p>Once in each cluster, run a Communication Operator. It needs the definition of the resource below:</p>
          <Copy what="command" text="octomesh operator --print-crd | kubectl apply -f -" />
        </li>
        <li>
          <p>
            Save this as <code>{name}.yaml</code>:
          </p>
          <Copy what="manifest" text={pool.installManifest} />
        </li>
        <li>
          <p>
            Apply it in the namespace where the adapters shall run.{!served && " The pool comes online within seconds."}
          </p>
          <Copy
            what="kubectl command"
            text={`kubectl apply --namespace ${pool.operator?.namespace ?? "NAMESPACE"} -f ${name}.yaml`}
          />
        </li>
      </ol>
    </details>
  );
}
