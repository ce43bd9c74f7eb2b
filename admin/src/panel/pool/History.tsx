// The history of a pool and its adapters: who did what, from which state to which, and why.
import { useCallback, useEffect, useRef, useState } from "react";
import type { TransitionAspect, TransitionsQuery as TransitionsAnswer } from "../../gql/graphql";
import { sentence } from "../api/failure";
import { PoolNamesQuery, TransitionsQuery } from "../api/operations";
import { type Tenant, useVisit } from "../api/tenant";
import { counted } from "../arranging";
import { useSteadily } from "../overview/useSteadily";
import { Act } from "../parts/Act";
import { Note } from "../parts/Note";
import { clockTime, dayOf, exactly } from "../parts/Time";

type Page = NonNullable<TransitionsAnswer["pool"]>["transitions"];
type Transition = Page["nodes"][number];

const PAGE = 20;
// What the API gives at once, and more than anybody reads here.
const MOST = 500;

const WORDS: Record<TransitionAspect, string> = {
  EXISTENCE: "Existence",
  MEMBERSHIP: "Membership",
  WISH: "Wish",
  COMMUNICATION: "Communication",
  CONFIGURATION: "Configuration",
  DEPLOYMENT: "Deployment",
};

export function History({ rtId, stirred }: { rtId: string; stirred: number }) {
  const { tenant } = useVisit();
  const [depth, setDepth] = useState(PAGE);
  const [page, setPage] = useState<Page | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const names = usePoolNames(tenant, page);

  // Always from the newest on and in one piece: it has no gaps, and does not grow by itself.
  const read = useCallback(async () => {
    try {
      const { pool } = await tenant.ask(TransitionsQuery, { rtId, first: depth });
      if (!pool) return;
      setFailure(null);
      setPage((before) => (before && before.nodes.length > depth ? before : pool.transitions));
    } catch (error) {
      setFailure(sentence(error));
    }
  }, [tenant, rtId, depth]);

  useEffect(() => void read(), [read]);
  useSteadily(stirred, read);

  return (
    <section className="card history" aria-labelledby="history">
      <header>
        <h2 id="history">History</h2>
        <span className="quiet numbers">{page ? `${counted(page.totalCount, "change")} in 90 days` : "\u00a0"}</span>
      </header>
      {failure && <Note tone="bad">The history could not be read: {failure}</Note>}
      <table className="rows transitions">
        <thead>
          <tr>
            <th>When</th>
            <th>What</th>
            <th>From → to</th>
            <th>Why</th>
            <th>Who</th>
          </tr>
        </thead>
        <tbody>
          {page?.nodes.map((transition) => (
            <tr key={transition.id}>
              <td className="numbers when" data-label="When">
                <time dateTime={transition.at} title={exactly(transition.at)}>
                  {clockTime(transition.at)}
                  <small>{dayOf(transition.at)}</small>
                </time>
              </td>
              <td className="what" data-label="What">
                <span className="line" title={transition.entityName}>
                  {transition.entityRtId === rtId ? "This pool" : transition.entityName}
                </span>
                <small>{WORDS[transition.what]}</small>
              </td>
              <td data-label="From → to">
                <Step transition={transition} names={names} />
              </td>
              <td className="why" data-label="Why">
                {transition.reason ?? ""}
              </td>
              <td className="who" data-label="Who">
                <span className="line" title={transition.who}>
                  {transition.who.replace(/^(adapter) .*/, "$1 itself")}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {page?.nodes.length === 0 && <p className="quiet">Nothing has happened yet.</p>}
      {page?.pageInfo.hasNextPage && (
        <Act
          reason={depth < MOST ? null : `These are the newest ${MOST}. The API has older ones.`}
          onAct={() => setDepth(Math.min(2 * depth, MOST))}
        >
          Show older
        </Act>
      )}
    </section>
  );
}

function Step({ transition, names }: { transition: Transition; names: ReadonlyMap<string, string> }) {
  const { what, from, to } = transition;
  if (what === "EXISTENCE") return <strong>{to ? "Created" : "Deleted"}</strong>;
  return (
    <>
      {stateWord(what, from, names)} → <strong>{stateWord(what, to, names)}</strong>
    </>
  );
}

function stateWord(
  what: TransitionAspect,
  state: string | null | undefined,
  names: ReadonlyMap<string, string>,
): string {
  if (what === "MEMBERSHIP") return state == null ? "no pool" : (names.get(state) ?? `pool ${state}`);
  return state == null ? "nothing" : state.charAt(0) + state.slice(1).toLowerCase();
}

/** The names of the pools that adapters came from or went to; transitions hold their ids. */
function usePoolNames(tenant: Tenant, page: Page | null): ReadonlyMap<string, string> {
  const [names, setNames] = useState<ReadonlyMap<string, string>>(new Map());
  const asked = useRef(new Set<string>());
  useEffect(() => {
    const ids = new Set(
      page?.nodes
        .filter(({ what }) => what === "MEMBERSHIP")
        .flatMap(({ from, to }) => [from, to])
        .filter((id) => typeof id === "string" && !asked.current.has(id)),
    );
    if (!ids.size) return;
    const rtIds = ([...ids] as string[]).slice(0, 100);
    for (const rtId of rtIds) asked.current.add(rtId);
    tenant
      .ask(PoolNamesQuery, { rtIds })
      .then(({ pools }) =>
        setNames((before) => new Map([...before, ...pools.nodes.map((pool) => [pool.rtId, pool.name] as const)])),
      )
      // Without names the ids are shown.
      .catch(() => {});
  }, [tenant, page]);
  return names;
}
