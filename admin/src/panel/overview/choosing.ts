// Which pools are shown, and in which order: read from the query string and written to it, nowhere else.
import type {
  CommunicationState,
  DeploymentState,
  HealthLevel,
  PoolFilter,
  PoolOrder,
  PoolOrderField,
} from "../../gql/graphql";
import { go } from "../routes";

export const PAGE = 50;

export interface Choice {
  search: string;
  health: HealthLevel | null;
  communication: CommunicationState | null;
  deployment: DeploymentState | null;
  order: PoolOrderField;
  descending: boolean;
  after: string | null;
  before: string | null;
  /** How many rows are in front of this page; for the eye only. */
  from: number;
}

const HEALTH: HealthLevel[] = ["CRITICAL", "WARN", "UNKNOWN", "OK"];
const COMMUNICATION: CommunicationState[] = ["ONLINE", "OFFLINE", "UNREGISTERED"];
const DEPLOYMENT: DeploymentState[] = ["ERROR", "PENDING", "DEPLOYED", "UNDEPLOYED"];
const ORDERS: PoolOrderField[] = ["HEALTH", "NAME", "COMMUNICATION_STATE", "DEPLOYMENT_STATE", "CHANGED"];

// Problems first; only what differs from that is written into the URL.
const FIRST: PoolOrderField = "HEALTH";

export function choiceOf(query: URLSearchParams): Choice {
  const one = <T extends string>(key: string, words: T[]): T | null => {
    const word = query.get(key)?.toUpperCase() as T | undefined;
    return word && words.includes(word) ? word : null;
  };
  const order = one("order", ORDERS) ?? FIRST;
  const direction = query.get("direction");
  return {
    search: query.get("search") ?? "",
    health: one("health", HEALTH),
    communication: one("communication", COMMUNICATION),
    deployment: one("deployment", DEPLOYMENT),
    order,
    descending: direction ? direction === "desc" : beginsDescending(order),
    after: query.get("after"),
    before: query.get("before"),
    from: Math.max(0, Number.parseInt(query.get("from") ?? "0", 10) || 0),
  };
}

/** Whether an order is more useful from its end: the worst, the latest. */
export function beginsDescending(order: PoolOrderField): boolean {
  return order !== "NAME";
}

/** Show others. Whatever changes but the page begins at the first page again. */
export function choose(choice: Choice, change: Partial<Choice>, options?: { replace?: boolean }): void {
  const next = { ...choice, after: null, before: null, from: 0, ...change };
  const query = new URLSearchParams();
  const put = (key: string, value: string | null) => value && query.set(key, value.toLowerCase());
  if (next.search) query.set("search", next.search);
  put("health", next.health);
  put("communication", next.communication);
  put("deployment", next.deployment);
  if (next.order !== FIRST) put("order", next.order);
  if (next.descending !== beginsDescending(next.order)) query.set("direction", next.descending ? "desc" : "asc");
  if (next.after) query.set("after", next.after);
  if (next.before) query.set("before", next.before);
  if (next.from) query.set("from", String(next.from));
  const text = query.toString();
  go(location.pathname + (text && `?${text}`), options);
}

export function isFiltered(choice: Choice): boolean {
  return Boolean(choice.search || choice.health || choice.communication || choice.deployment);
}

/** The choice as the API takes it. */
export function variablesOf(choice: Choice) {
  const filter: PoolFilter = {
    ...(choice.health && { health: [choice.health] }),
    ...(choice.communication && { communicationState: [choice.communication] }),
    ...(choice.deployment && { deploymentState: [choice.deployment] }),
  };
  const orderBy: PoolOrder[] = [{ field: choice.order, direction: choice.descending ? "DESC" : "ASC" }];
  if (choice.order !== "NAME") orderBy.push({ field: "NAME", direction: "ASC" });
  return {
    ...(choice.before ? { last: PAGE, before: choice.before } : { first: PAGE, after: choice.after }),
    filter,
    search: choice.search || null,
    orderBy,
  };
}
