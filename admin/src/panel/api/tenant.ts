// One tenant as the panel sees it: questions and acts over HTTP, changes over one WebSocket.
import {
  type AnyVariables,
  Client,
  fetchExchange,
  type OperationResult,
  type OperationResultSource,
  type TypedDocumentNode,
} from "@urql/core";
import { createContext, useContext } from "react";
import type { ViewerQuery as ViewerAnswer } from "../../gql/graphql";
import { graphqlPath } from "../routes";
import { Connection, NEEDS_A_PERSON } from "./connection";
import { Failure } from "./failure";
import { ViewerQuery } from "./operations";
import { openSocket, type Socket } from "./socket";
import { authorization, token } from "./token";

export type Viewer = ViewerAnswer["viewer"];

// A server that takes the question and never answers is one that can't be reached.
const PATIENCE = 30_000;

export class Tenant {
  readonly connection = new Connection();
  readonly socket: Socket;
  private http: Client;

  constructor(readonly id: string) {
    this.http = asking(id);
    this.socket = openSocket(graphqlPath(id), this.connection, () => void this.ask(ViewerQuery, {}).catch(() => {}));
  }

  /** The answer to a query. Throws `Failure`. */
  async ask<D, V extends AnyVariables>(query: TypedDocumentNode<D, V>, variables: V): Promise<D> {
    return this.answer(this.http.query(query, variables));
  }

  /** The answer to a mutation; refusals are in it. Throws `Failure`. */
  async act<D, V extends AnyVariables>(mutation: TypedDocumentNode<D, V>, variables: V): Promise<D> {
    return this.answer(this.http.mutation(mutation, variables), ["UNAUTHENTICATED", "TENANT_NOT_FOUND"]);
  }

  /** Go on with another token, where one was. */
  renew(): void {
    // A client answers a question that it is asking already with what that one is told, by the token before.
    this.http = asking(this.id);
    this.connection.is({ trouble: null });
    this.socket.terminate();
    this.socket.hurry();
  }

  /** Leave: nothing is heard any more. */
  close(): void {
    void this.socket.dispose();
  }

  private async answer<D, V extends AnyVariables>(
    asked: OperationResultSource<OperationResult<D, V>>,
    grave = NEEDS_A_PERSON,
  ): Promise<D> {
    const presented = token();
    const { data, error } = await asked.toPromise();
    if (error || data === undefined) {
      const failure = error ? Failure.of(error) : new Failure("NETWORK", "The server gave no answer.");
      if (grave.includes(failure.code)) this.connection.failed(failure, presented);
      throw failure;
    }
    return data;
  }
}

function asking(id: string): Client {
  return new Client({
    url: graphqlPath(id),
    exchanges: [fetchExchange],
    preferGetMethod: false,
    requestPolicy: "network-only",
    fetchOptions: () => ({ headers: authorization() }),
    fetch: (input, init) => fetch(input, { ...init, signal: limited(init?.signal) }),
  });
}

function limited(signal: AbortSignal | null | undefined): AbortSignal {
  const limit = AbortSignal.timeout(PATIENCE);
  return signal ? AbortSignal.any([signal, limit]) : limit;
}

export interface Visit {
  tenant: Tenant;
  viewer: Viewer;
}

export const VisitContext = createContext<Visit | null>(null);

/** The tenant the page is about, and who looks at it. */
export function useVisit(): Visit {
  const visit = useContext(VisitContext);
  if (!visit) throw new Error("outside of a tenant");
  return visit;
}
