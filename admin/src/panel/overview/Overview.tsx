// The overview: one row for each pool, problems first.
import { useEffect, useState } from "react";
import { useVisit } from "../api/tenant";
import { counted, type Pool, readOnly } from "../arranging";
import { Act } from "../parts/Act";
import { Icon } from "../parts/Icon";
import { Pager } from "../parts/Pager";
import { DeletePoolDialog } from "../pool/DeletePoolDialog";
import { go, poolPath, useQueryString } from "../routes";
import { useTitle } from "../titling";
import { type Choice, choiceOf, choose, isFiltered, PAGE } from "./choosing";
import { CreatePoolDialog } from "./CreatePoolDialog";
import { EmptyTenant, NothingFound } from "./Empty";
import { Filters } from "./Filters";
import { PoolTable } from "./PoolTable";
import { SelectionBar } from "./SelectionBar";
import { UndeployDialog } from "./UndeployDialog";
import { useCounts } from "./useCounts";
import { type PoolsPage, usePools } from "./usePools";

type Opened = { dialog: "create" } | { dialog: "delete"; pool: Pool } | { dialog: "undeploy"; pools: Pool[] } | null;

export function Overview() {
  const { tenant, viewer } = useVisit();
  const choice = choiceOf(useQueryString());
  const page = usePools(tenant, choice);
  const counts = useCounts(tenant, choice.search, page);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [opened, setOpened] = useState<Opened>(null);
  const rows = page.rows?.order.map((rtId) => page.rows!.byId.get(rtId)!) ?? null;
  const chosen =
    rows?.filter(({ entity, gone }) => !gone && selected.has(entity.rtId)).map(({ entity }) => entity) ?? [];
  const empty = rows?.length === 0 && !page.loading;

  useTitle("Pools", viewer.tenantName);
  // What is selected is what one sees selected; also what was chosen while these rows were on their way.
  useEffect(
    () => setSelected((before) => new Set([...before].filter((rtId) => page.rows?.byId.has(rtId)))),
    [page.pageInfo],
  );

  return (
    <>
      <div className="page-head">
        <h1>Pools</h1>
        <Act kind="primary" icon="plus" reason={readOnly(viewer)} onAct={() => setOpened({ dialog: "create" })}>
          Create pool
        </Act>
      </div>
      <Filters choice={choice} counts={counts} />
      <div className="above-rows">
        {chosen.length > 0 ? (
          <SelectionBar
            pools={chosen}
            onUndeploy={(pools) => setOpened({ dialog: "undeploy", pools })}
            onClear={() => setSelected(new Set())}
          />
        ) : (
          <Tidings page={page} choice={choice} />
        )}
      </div>
      {empty && isFiltered(choice) && <NothingFound onClear={() => go(location.pathname)} />}
      {empty && !isFiltered(choice) && choice.from === 0 && (
        <EmptyTenant reason={readOnly(viewer)} onCreate={() => setOpened({ dialog: "create" })} />
      )}
      {!empty && (
        <PoolTable
          rows={rows}
          stale={page.loading && rows !== null}
          choice={choice}
          selected={selected}
          onSelect={setSelected}
          onDelete={(pool) => setOpened({ dialog: "delete", pool })}
          onUndeploy={(pool) => setOpened({ dialog: "undeploy", pools: [pool] })}
        />
      )}
      <Pages page={page} />
      {opened?.dialog === "create" && (
        <CreatePoolDialog onClose={() => setOpened(null)} onCreated={(rtId) => go(poolPath(tenant.id, rtId))} />
      )}
      {opened?.dialog === "delete" && <DeletePoolDialog pool={opened.pool} onClose={() => setOpened(null)} />}
      {opened?.dialog === "undeploy" && <UndeployDialog pools={opened.pools} onClose={() => setOpened(null)} />}
    </>
  );
}

/** What is shown, and what a reload would show: said, never done to somebody who is reading. */
function Tidings({ page, choice }: { page: PoolsPage; choice: Choice }) {
  const { failure, news, total } = page;
  if (failure) {
    return (
      <p className="wrong" role="alert">
        <Icon name="octagon" />
        <span>The pools could not be loaded: {failure} It is tried again.</span>
      </p>
    );
  }
  return (
    <>
      <span className="quiet numbers">
        {page.rows && total ? `${counted(total, "pool")}${isFiltered(choice) ? " found" : ""}, ${ordered(choice)}` : "\u00a0"}
      </span>
      {news && (
        <Act kind="quiet" icon="refresh" onAct={page.reload}>
          {news.added ? `${news.added} new – show` : "The order has changed – sort again"}
        </Act>
      )}
    </>
  );
}

const ORDERS: Record<Choice["order"], string> = {
  HEALTH: "problems first",
  NAME: "by name",
  COMMUNICATION_STATE: "by communication state",
  DEPLOYMENT_STATE: "by deployment state",
  CHANGED: "by their last change",
  CREATED: "by age",
  COMMUNICATION_STATE_TIMESTAMP: "by the last change of communication",
  CONFIGURATION_STATE: "by configuration state",
};

function ordered({ order, descending }: Choice): string {
  if (order === "HEALTH" && !descending) return "problems last";
  return ORDERS[order];
}

function Pages({ page }: { page: PoolsPage }) {
  const { choice, pageInfo, rows, total } = page;
  if (!pageInfo || !rows) return null;
  const { startCursor, endCursor, hasNextPage, hasPreviousPage } = pageInfo;
  // Seen from the last row, whatever is in front is "previous", and the other way round.
  const back = (choice.before ? hasPreviousPage : Boolean(choice.after)) && startCursor;
  const on = (choice.before ? true : hasNextPage) && endCursor;
  const turn = (change: Partial<Choice>) => {
    choose(choice, change);
    window.scrollTo(0, 0);
  };
  return (
    <Pager
      what="pools"
      from={choice.from}
      shown={rows.order.length}
      total={total}
      onBack={
        back
          ? () => turn(choice.from <= PAGE ? {} : { before: startCursor, from: Math.max(0, choice.from - PAGE) })
          : undefined
      }
      onOn={on ? () => turn({ after: endCursor, from: choice.from + rows.order.length }) : undefined}
    />
  );
}
