"""What one client may take of the server, in the order in which a request meets it.

Each is a guard of what stands behind it: the connection is bounded before anything of it is read, the head before the
body, the body before it is parsed, the document before it is validated, all of it before it runs. Defaults are for the
Admin Panel and operators with room to spare, on a server that others depend on; `OCTOMESH_LIMITS_…` changes them.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field


def _from(least: int, most: int, default: float) -> Any:
    return Field(default, ge=least, le=most, title=f"a number from {least} to {most}")


class Limits(BaseModel):
    """The limits of a server. What meets one is refused with a code, or, where nobody could read one, dropped.

    A field's `title` completes the sentence "it must be …", its `description` is what stands below it.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    # A connection: api/listening.py, api/connections.py, api/pace.py

    connections: int = _from(10, 1_000_000, 2_000)
    """Connections at once; more are answered 503, which is better than slowness for all."""

    idle_seconds: int = _from(1, 3_600, 15)
    """From an answer to the next request on a connection, which is closed then. Browsers open another unasked."""

    head_seconds: float = _from(1, 3_600, 10)
    """For a head, from its first byte or the opening of the connection; then it is closed. Usual is one round trip."""

    head_bytes: int = _from(1_024, 1_048_576, 64 * 1024)
    """Of a head; a larger one is answered 431. The longest token and query string fit twice."""

    stalled_seconds: float = _from(1, 3_600, 10)
    """In this time a peer has to read 64 KiB of what was written to it, or all there is; else the connection is dropped
    with all it holds. Who has read ahead may rest up to three times as long."""

    # A request: api/over_http.py

    query_string_bytes: int = _from(256, 1_048_576, 16 * 1024)
    """URI_TOO_LONG. Proxies take no more, and whoever has more to say can post it."""

    body_bytes: int = _from(1_024, 67_108_864, 1024 * 1024)
    """PAYLOAD_TOO_LARGE. The longest document and a few configurations fit several times."""

    body_seconds: float = _from(1, 3_600, 10)
    """TIMEOUT, from the end of the head to that of the body. The largest arrives in it at 1 Mbit/s."""

    # A WebSocket: api/endpoint.py, api/over_websocket.py

    sockets: int = _from(1, 1_000_000, 1_500)
    """WebSockets at once, of tenants and agents together; more are answered 503. The rest of `connections` is for the
    others: whoever opens sockets without end keeps nobody from asking."""

    init_seconds: float = _from(1, 3_600, 10)
    """From the opening of a WebSocket to `connection_init`; then it is closed with 4408."""

    message_bytes: int = _from(1_024, 67_108_864, 1024 * 1024)
    """Of a message; a larger one closes the WebSocket with 1009. As much as a body."""

    ping_seconds: float = _from(1, 3_600, 20)
    """Between pings; who answers none within half of it is dropped. Proxies cut what is silent for a minute."""

    subscriptions: int = _from(1, 10_000, 50)
    """RATE_LIMITED: operations under way on one WebSocket. A page of the Admin Panel needs three."""

    # A document: api/extents.py. GRAPHQL_PARSE_FAILED for the first three, QUERY_TOO_COMPLEX for the others.

    source_characters: int = _from(1_000, 10_000_000, 100_000)
    """Of a document. Those of the Admin Panel have 2,000 at most."""

    tokens: int = _from(500, 1_000_000, 2_000)
    """Words and brackets. GraphiQL's question about the schema has 400."""

    comments: int = _from(0, 1_000_000, 200)
    """Comments, which tokens do not count."""

    operations: int = _from(1, 1_000, 50)
    """Operations, of which one is run: a tab of GraphiQL may hold several."""

    fragments: int = _from(1, 1_000, 50)
    """Fragments. Clients that make one for each part of a page have a dozen."""

    variables: int = _from(1, 1_000, 100)
    """Variables declared."""

    directives: int = _from(0, 1_000, 50)
    """Directives written down; `@include` and `@skip` are all there are."""

    aliases: int = _from(0, 10_000, 50)
    """Fields under another name: the one way to ask for the same thing often."""

    introspection_aliases: int = _from(0, 1_000, 2)
    """The same where the schema is asked about itself, which is the longest answer there is. Tools use none."""

    fields: int = _from(100, 100_000, 1_000)
    """Fields written down, those of a fragment once."""

    pairs: int = _from(100, 1_000_000, 10_000)
    """Pairs of fields that are one in the answer, because validation compares each two. Thirty components that ask for
    the same five fields of a thing make 2,175; the limit takes some 60 ms."""

    depth: int = _from(14, 100, 16)
    """Fields inside fields. The question about the schema needs 14, a pool's adapters' pool 6."""

    cost: int = _from(1_000, 10_000_000, 50_000)
    """Values that an answer may have in the worst case, rows multiplied: 500 pools with everything flat are about
    20,000, 50 pools with 20 adapters each about 35,000. The largest takes a second of one processor."""

    event_cost: int = _from(500, 10_000_000, 5_000)
    """The same for each event of a subscription, because a change may make one for everybody who watches. Those of the
    Admin Panel have 33 at most; a pool with 200 adapters and what the panel shows of them would have about 4,000."""

    # An operation: api/schema.py

    operation_seconds: float = _from(1, 3_600, 30)
    """TIMEOUT. Usual are milliseconds: no operation waits for a cluster, and MongoDB has ten seconds for each step."""


DEFAULT: Final = Limits()
"""For a server that nobody has told otherwise."""
