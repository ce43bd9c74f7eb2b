// Where in the panel one is: said by the URL alone, so that a link, a reload and the back button do what people expect.
import { useMemo, useSyncExternalStore } from "react";

export type Route =
  | { view: "start" }
  | { view: "overview"; tenantId: string }
  | { view: "pool"; tenantId: string; rtId: string }
  | { view: "nowhere" };

/** The front page, where one chooses a tenant. A server with a default tenant goes on to that without the question. */
export const START = "/?choose";

export function overviewPath(tenantId: string): string {
  return `/tenants/${encodeURIComponent(tenantId)}/`;
}

// The overview as it was seen last, with its filters and page.
let overviewSeen = "";

/** Back to the overview from one of its pools: as it was left, not as it begins. */
export function backPath(tenantId: string): string {
  const path = overviewPath(tenantId);
  return overviewSeen.split("?")[0] === path ? overviewSeen : path;
}

export function poolPath(tenantId: string, rtId: string): string {
  return `${overviewPath(tenantId)}pools/${encodeURIComponent(rtId)}`;
}

export function graphqlPath(tenantId: string): string {
  return `${overviewPath(tenantId)}graphql`;
}

export function routeOf(pathname: string): Route {
  if (pathname === "/") return { view: "start" };
  const found = /^\/tenants\/([^/]+)(?:\/(?:pools(?:\/([^/]+)?)?\/?)?)?$/.exec(pathname);
  const tenantId = decoded(found?.[1]);
  if (tenantId === undefined) return { view: "nowhere" };
  const rtId = decoded(found?.[2]);
  return rtId === undefined ? { view: "overview", tenantId } : { view: "pool", tenantId, rtId };
}

function decoded(part: string | undefined): string | undefined {
  try {
    return part && decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

const listeners = new Set<() => void>();
const unsaved = new Set<object>();
let shown = location.pathname;

window.addEventListener("popstate", () => {
  // The browser has gone back already: the page that keeps what was typed gets its address again.
  if (mayLeave(location.pathname)) tell();
  else history.pushState(null, "", shown);
});

/** Something was typed on this page: leaving it asks first, until the returned function is called. */
export function askBeforeLeaving(): () => void {
  const mark = {};
  unsaved.add(mark);
  return () => unsaved.delete(mark);
}

function mayLeave(pathname: string): boolean {
  return !unsaved.size || pathname === shown || window.confirm("Leave without saving what you typed?");
}

function tell(): void {
  shown = location.pathname;
  seen();
  for (const listener of listeners) listener();
}

function seen(): void {
  if (routeOf(location.pathname).view === "overview") overviewSeen = location.pathname + location.search;
}

seen();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Go there; `replace` leaves no step for the back button, as while somebody types a search. */
export function go(path: string, { replace = false } = {}): void {
  if (path === location.pathname + location.search || !mayLeave(path.split("?")[0]!)) return;
  if (replace) history.replaceState(history.state, "", path);
  else history.pushState(null, "", path);
  tell();
}

export function useRoute(): Route {
  const pathname = useSyncExternalStore(subscribe, () => location.pathname);
  return useMemo(() => routeOf(pathname), [pathname]);
}

export function useQueryString(): URLSearchParams {
  const search = useSyncExternalStore(subscribe, () => location.search);
  return useMemo(() => new URLSearchParams(search), [search]);
}
