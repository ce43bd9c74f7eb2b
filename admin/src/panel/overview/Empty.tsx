import { Act } from "../parts/Act";

export function EmptyTenant({ reason, onCreate }: { reason: string | null; onCreate: () => void }) {
  return (
    <section className="empty" aria-labelledby="no-pools">
      <h2 id="no-pools">No pools yet</h2>
      <ol>
        <li>
          <strong>Create a pool</strong> for a place where adapters shall run.
        </li>
        <li>
          <strong>Apply its manifest</strong> in the cluster there; the page of the pool shows it. A Communication
          Operator then serves the pool, and it comes online.
        </li>
        <li>
          <strong>Add adapters and deploy them.</strong>
        </li>
      </ol>
      <Act icon="plus" reason={reason} onAct={onCreate}>
        Create the first pool
      </Act>
    </section>
  );
}

export function NothingFound({ onClear }: { onClear: () => void }) {
  return (
    <section className="empty">
      <h2>No pool matches</h2>
      <p>Search looks in names and descriptions; filters narrow it further.</p>
      <Act onAct={onClear}>Clear search and filters</Act>
    </section>
  );
}
