// The table of pools. On narrow screens its rows become cards; the elements stay the same.
import { useCallback, useMemo, useRef } from "react";
import type { PoolOrderField } from "../../gql/graphql";
import { useVisit } from "../api/tenant";
import type { Pool } from "../arranging";
import { wish } from "../deploying";
import { Icon } from "../parts/Icon";
import { beginsDescending, type Choice, choose } from "./choosing";
import type { Row } from "./live";
import { PoolRow, type PoolActs } from "./PoolRow";

// As many as fill most screens.
const SKELETONS = 12;

interface Props {
  /** Null while nothing was loaded. */
  rows: Row<Pool>[] | null;
  stale: boolean;
  choice: Choice;
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
  onDelete: (pool: Pool) => void;
  onUndeploy: (pool: Pool) => void;
}

export function PoolTable({ rows, stale, choice, selected, onSelect, onDelete, onUndeploy }: Props) {
  const { tenant, viewer } = useVisit();
  const present = useMemo(() => rows?.filter((row) => !row.gone).map((row) => row.entity.rtId) ?? [], [rows]);
  const all = present.length > 0 && present.every((rtId) => selected.has(rtId));

  // The same functions for ever, so that a row is drawn again only when its pool changes.
  const latest = useRef({ selected, onSelect, onDelete, onUndeploy });
  latest.current = { selected, onSelect, onDelete, onUndeploy };
  const select = useCallback((rtId: string, on: boolean) => {
    const next = new Set(latest.current.selected);
    if (on) next.add(rtId);
    else next.delete(rtId);
    latest.current.onSelect(next);
  }, []);
  const acts = useMemo<PoolActs>(
    () => ({
      deploy: (pool) => void wish(tenant, "deploy", [pool]),
      undeploy: (pool) => latest.current.onUndeploy(pool),
      delete: (pool) => latest.current.onDelete(pool),
    }),
    [tenant],
  );

  return (
    <table className={`rows pools${stale ? " stale" : ""}`} aria-busy={stale || rows === null}>
      <caption className="unseen">Pools</caption>
      <thead>
        <tr>
          <th className="pick-all">
            <input
              type="checkbox"
              aria-label="Select all pools on this page"
              checked={all}
              disabled={!viewer.mayEdit}
              ref={(box) => {
                if (box) box.indeterminate = !all && selected.size > 0;
              }}
              onChange={() => onSelect(new Set(all ? [] : present))}
            />
          </th>
          <Sortable field="NAME" choice={choice}>
            Pool
          </Sortable>
          <Sortable field="COMMUNICATION_STATE" choice={choice}>
            Communication
          </Sortable>
          <Sortable field="DEPLOYMENT_STATE" choice={choice}>
            Deployment
          </Sortable>
          <th>Adapters</th>
          <Sortable field="HEALTH" choice={choice}>
            Health
          </Sortable>
          <th>Operator</th>
          <th>
            <span className="unseen">Operations</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {rows
          ? rows.map(({ entity, gone }) => (
              <PoolRow
                key={entity.rtId}
                pool={entity}
                gone={gone}
                tenantId={tenant.id}
                viewer={viewer}
                selected={selected.has(entity.rtId)}
                onSelect={select}
                acts={acts}
              />
            ))
          : Array.from({ length: SKELETONS }, (_, index) => <Skeleton key={index} />)}
      </tbody>
    </table>
  );
}

function Sortable({ field, choice, children }: { field: PoolOrderField; choice: Choice; children: string }) {
  const here = choice.order === field;
  return (
    <th aria-sort={here ? (choice.descending ? "descending" : "ascending") : undefined}>
      <button
        type="button"
        className="sort"
        onClick={() =>
          choose(choice, { order: field, descending: here ? !choice.descending : beginsDescending(field) })
        }
      >
        {children}
        {here && <Icon name={choice.descending ? "down" : "up"} />}
      </button>
    </th>
  );
}

/** As high as a row, so that nothing jumps when it comes. */
function Skeleton() {
  return (
    <tr className="skeleton" aria-hidden="true">
      <td colSpan={8}>
        <span />
      </td>
    </tr>
  );
}
