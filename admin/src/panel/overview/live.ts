// The rows of a page and what happens to them: pure functions over what subscriptions say.
import type { Change } from "../api/watching";

export interface Row<E> {
  entity: E;
  /** It does not exist any more; the row keeps its place until the page is loaded anew. */
  gone: boolean;
}

// Rows that keep their place though they are gone. A page is left open for days: the oldest of them go in the end.
const MOST_GONE = 20;

export interface Rows<E> {
  order: readonly string[];
  byId: ReadonlyMap<string, Row<E>>;
  /** While a snapshot is being told: what it named so far. */
  told: ReadonlySet<string> | null;
}

export function rowsOf<E extends { rtId: string }>(entities: readonly E[]): Rows<E> {
  return {
    order: entities.map((entity) => entity.rtId),
    byId: new Map(entities.map((entity) => [entity.rtId, { entity, gone: false }])),
    told: new Set(),
  };
}

/**
 * The rows after these changes. No row moves; `belongs` says which new ones are appended.
 *
 * What a whole snapshot did not name is gone.
 */
export function applied<E extends { rtId: string }>(
  rows: Rows<E>,
  changes: readonly Change<E>[],
  belongs: (entity: E) => boolean,
): Rows<E> {
  const byId = new Map(rows.byId);
  const order = [...rows.order];
  let told = rows.told && new Set(rows.told);
  for (const { kind, rtId, entity } of changes) {
    if (kind === "RESYNC") told = new Set();
    else if (kind === "LIVE") {
      for (const [known, row] of byId) if (told && !told.has(known)) byId.set(known, { ...row, gone: true });
      told = null;
    } else if (rtId && entity) {
      if (kind === "SNAPSHOT") (told ??= new Set()).add(rtId);
      const stays = kind !== "DELETED" && belongs(entity);
      const known = byId.get(rtId);
      if (!known && !stays) continue;
      if (!known) order.push(rtId);
      // The same again, as a snapshot tells it, redraws nothing.
      if (known && known.gone === !stays && same(known.entity, entity)) continue;
      byId.set(rtId, { entity: kind === "DELETED" && known ? known.entity : entity, gone: !stays });
    }
  }
  return { order: withoutOldest(order, byId), byId, told };
}

/** Forgets the rows that are gone, but for the last few. */
function withoutOldest<E>(order: string[], byId: Map<string, Row<E>>): string[] {
  const gone = order.filter((rtId) => byId.get(rtId)?.gone);
  if (gone.length <= MOST_GONE) return order;
  for (const rtId of gone.slice(0, -MOST_GONE)) byId.delete(rtId);
  return order.filter((rtId) => byId.has(rtId));
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
