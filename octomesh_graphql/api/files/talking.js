// How the explorer talks to the API of its tenant, which has the address of the page itself.

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

// A query or mutation. Gives the HTTP status and the body: an object, or text if a proxy answered with something else.
export async function ask(request, { token, signal } = {}) {
  const response = await fetch(location.pathname, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...bearer(token) },
    body: JSON.stringify(request),
    signal,
  });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch {
    return { status: response.status, body: text };
  }
}

// A subscription. Calls `next` with each result and `ended` once, with a sentence; returns how to stop it.
export function watch(request, { token, started, next, ended }) {
  const url = new URL(location.pathname, location.href.replace(/^http/, "ws"));
  const socket = new WebSocket(url, "graphql-transport-ws");
  const send = (message) => socket.send(JSON.stringify(message));
  let over = false;

  function end(why, failed = false) {
    if (over) return;
    over = true;
    socket.close(1000);
    ended(why, failed);
  }

  const answers = {
    connection_ack() {
      send({ id: "1", type: "subscribe", payload: request });
      started();
    },
    ping: () => send({ type: "pong" }),
    next: ({ payload }) => next(payload),
    error({ payload }) {
      next({ errors: payload });
      end("The server refused it.", true);
    },
    complete: () => end("The server has nothing more to tell."),
  };
  socket.onopen = () => send({ type: "connection_init", payload: bearer(token) });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (!over) answers[message.type]?.(message);
  };
  socket.onclose = ({ code, reason }) => end(dropped(code, reason), true);
  return () => end("Stopped.");
}

function dropped(code, reason) {
  // A browser does not tell pages why a handshake failed: it is 1006 as well.
  if (code === 1006) return "The connection could not be made, or broke (1006). Run it again to go on.";
  if (code === 1012) return "The server stopped or starts anew (1012). Run it again in a moment.";
  return `The server closed the connection (${code}${reason && `: ${reason}`}).`;
}
