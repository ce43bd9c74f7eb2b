// The one WebSocket of the page. It comes back by itself, later each time, and at once when the network does.
import { type Client, createClient } from "graphql-ws";
import type { Connection } from "./connection";
import { authorization, token } from "./token";

const PING_EVERY = 10_000;
// A socket that is silent this long after a ping is dead, though nobody closed it: a laptop slept, a route changed.
const PONG_WITHIN = 5_000;
const LONGEST_WAIT = 15_000;

export interface Socket extends Client {
  /** Try now instead of waiting any longer. */
  hurry(): void;
  /** The token that was shown last. */
  presented(): string | null;
}

export function openSocket(path: string, connection: Connection, probe: () => void): Socket {
  let silence: number | undefined;
  let hurry = () => {};
  let presented: string | null = null;

  const client = createClient({
    url: () => new URL(path, location.href.replace(/^http/, "ws")).href,
    connectionParams: () => {
      presented = token();
      return authorization();
    },
    connectionAckWaitTimeout: 10_000,
    keepAlive: PING_EVERY,
    // Closing one subscription and opening the next, as from page to page, keeps the socket.
    lazyCloseTimeout: 3_000,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (retries) => {
      // The handshake does not tell a page why it was refused; a query does.
      probe();
      const wait = Math.min(500 * 2 ** retries, LONGEST_WAIT) * (0.75 + Math.random() / 2);
      connection.is({ phase: "reconnecting", retryAt: Date.now() + wait });
      return new Promise<void>((resolve) => {
        const timer = setTimeout(go, wait);
        function go() {
          clearTimeout(timer);
          connection.is({ retryAt: null });
          resolve();
        }
        hurry = go;
      });
    },
    on: {
      connected: () => {
        connection.heard();
        connection.is({ phase: "live", retryAt: null });
      },
      message: () => connection.heard(),
      ping: (received) => {
        if (!received) silence = window.setTimeout(() => client.terminate(), PONG_WITHIN);
      },
      pong: (received) => {
        if (received) clearTimeout(silence);
      },
      closed: (event) => {
        clearTimeout(silence);
        if ((event as CloseEvent).code !== 1000) connection.is({ phase: "reconnecting" });
      },
    },
  });
  const online = () => hurry();
  const offline = () => client.terminate();
  window.addEventListener("online", online);
  window.addEventListener("offline", offline);
  const dispose = client.dispose;
  return Object.assign(client, {
    hurry: () => hurry(),
    presented: () => presented,
    dispose: () => {
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
      return dispose();
    },
  });
}
