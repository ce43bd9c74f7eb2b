// Watching: changes as they come, without a gap and without a flood.
import { stringifyDocument, type TypedDocumentNode } from "@urql/core";
import type { ChangeKind } from "../../gql/graphql";
import { Failure } from "./failure";
import type { Tenant } from "./tenant";

export interface Change<E> {
  cursor: string;
  kind: ChangeKind;
  rtId?: string | null;
  entity?: E | null;
}

// Between two redrawings: an eye follows four steps a second, not fifty.
const CALM = 250;
const AGAIN_AFTER = 2_000;

/**
 * Hear the changes of a subscription, many at a time, until the returned function is called.
 *
 * After a cut the socket sends the same variables again, so the last cursor is kept in them: the server goes on
 * behind it, or says RESYNC and starts over.
 */
export function watch<E, V extends { after?: string | null }>(
  tenant: Tenant,
  document: TypedDocumentNode<{ changes: Change<E> }, V>,
  variables: V,
  hear: (changes: Change<E>[]) => void,
): () => void {
  const current = { ...variables };
  const inbox = calmly(hear);
  let timer: number | undefined;
  let over = false;
  let stop = () => {};

  function again() {
    if (!over) timer = window.setTimeout(start, AGAIN_AFTER);
  }

  function start() {
    stop = tenant.socket.subscribe<{ changes: Change<E> }>(
      { query: stringifyDocument(document), variables: current },
      {
        next: ({ data }) => {
          if (!data) return;
          current.after = data.changes.cursor;
          // After a refusal the socket is still the same one: nothing else says that this is live again.
          if (tenant.connection.now().phase !== "live") tenant.connection.is({ phase: "live" });
          inbox.put(data.changes);
        },
        error: (error) => {
          const refused = Array.isArray(error) ? error[0] : undefined;
          // A cursor of another time or tenant: begin with the present state, as the server would with RESYNC.
          if (refused && current.after) {
            inbox.put({ cursor: current.after, kind: "RESYNC" });
            current.after = null;
          }
          const code =
            refused?.extensions?.code ?? ((error as CloseEvent).code === 4401 ? "UNAUTHENTICATED" : "NETWORK");
          const failure = new Failure(code, refused?.message ?? "The connection was closed.");
          tenant.connection.failed(failure, tenant.socket.presented());
          tenant.connection.is({ phase: "reconnecting" });
          again();
        },
        complete: again,
      },
    );
  }

  start();
  return () => {
    over = true;
    clearTimeout(timer);
    inbox.close();
    stop();
  };
}

/** Hands over what was put in together: the first at the next frame, then at most every `CALM` milliseconds. */
function calmly<T>(hear: (items: T[]) => void): { put(item: T): void; close(): void } {
  let waiting: T[] = [];
  let last = 0;
  let timer: number | undefined;
  let frame: number | undefined;

  function cancel() {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
    timer = frame = undefined;
  }

  function deliver() {
    cancel();
    last = performance.now();
    const items = waiting;
    waiting = [];
    hear(items);
  }

  return {
    put(item) {
      waiting.push(item);
      if (timer !== undefined) return;
      const wait = Math.max(last + CALM - performance.now(), 0);
      if (!wait) frame = requestAnimationFrame(deliver);
      // A hidden page has no frames, also one that is hidden just now: what waits must not pile up there for days.
      timer = window.setTimeout(deliver, wait || CALM);
    },
    close: cancel,
  };
}
