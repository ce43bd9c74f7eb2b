// How the connection to the server is, for everybody who wants to show it.
import { useSyncExternalStore } from "react";
import type { Failure } from "./failure";
import { token } from "./token";

export interface Standing {
  phase: "connecting" | "live" | "reconnecting";
  /** When the server was heard last: what is shown is that old, at most. */
  heardAt: number | null;
  /** When the next attempt is made; null while one is under way. */
  retryAt: number | null;
  /** What a person has to do something about. */
  trouble: Failure | null;
}

/** Codes that no retry mends: the page says what to do instead. */
export const NEEDS_A_PERSON = ["TENANT_NOT_FOUND", "UNAUTHENTICATED", "FORBIDDEN"];

export class Connection {
  private standing: Standing = { phase: "connecting", heardAt: null, retryAt: null, trouble: null };
  private readonly listeners = new Set<() => void>();

  readonly now = (): Standing => this.standing;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Heard of the server; too frequent to redraw for, and shown only once it is silent. */
  heard(): void {
    (this.standing as { heardAt: number }).heardAt = Date.now();
  }

  is(change: Partial<Standing>): void {
    this.standing = { ...this.standing, ...change };
    for (const listener of this.listeners) listener();
  }

  /** What was refused to a token that another one has taken the place of is nobody's trouble any more. */
  failed(failure: Failure, presented: string | null): void {
    if (presented === token() && NEEDS_A_PERSON.includes(failure.code)) this.is({ trouble: failure });
  }
}

export function useStanding(connection: Connection): Standing {
  return useSyncExternalStore(connection.subscribe, connection.now);
}
