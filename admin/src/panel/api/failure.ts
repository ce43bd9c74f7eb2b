// What goes wrong beside the refusals that mutations answer with: no server, no tenant, no right, our own fault.
import type { CombinedError } from "@urql/core";

export class Failure extends Error {
  constructor(
    /** The `extensions.code` of the API, or NETWORK when the server could not be asked at all. */
    readonly code: string,
    message: string,
    readonly requestId?: string,
  ) {
    super(message);
  }

  static of(error: CombinedError): Failure {
    const first = error.graphQLErrors[0];
    if (first) {
      const { code, requestId } = first.extensions as { code?: string; requestId?: string };
      return new Failure(code ?? "INTERNAL", first.message, requestId);
    }
    const status = (error.response as Response | undefined)?.status;
    if (status === 401) return new Failure("UNAUTHENTICATED", "The server does not know who you are.");
    if (status === 403) return new Failure("FORBIDDEN", "You may not do that.");
    if (status === 404) return new Failure("TENANT_NOT_FOUND", "There is no such tenant.");
    return new Failure("NETWORK", status ? `The server answered with ${status}.` : "The server can't be reached.");
  }
}

/** A sentence for people, with what leads to the log if the fault is the server's. */
export function sentence(error: unknown): string {
  if (!(error instanceof Failure)) return error instanceof Error ? error.message : String(error);
  return error.requestId ? `${error.message} (request ${error.requestId})` : error.message;
}
