"""`octomesh healthcheck`: run every few seconds in a container, so it needs nothing but the standard library."""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final

from octomesh_graphql.cli import FAILED

_SECONDS: Final = 3.0
"""Usual are milliseconds; Docker and Kubernetes give up after 5 and 1 by themselves."""

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""To listen on every address is no address to ask; loopback is among them."""


def healthcheck() -> int:
    """Ask the server for its health; returns the exit code."""
    host = os.environ.get("OCTOMESH_HOST") or "127.0.0.1"
    port = os.environ.get("OCTOMESH_PORT") or "8000"
    if "://" in port:  # not a setting: Kubernetes says where a Service named octomesh is
        port = "8000"
    trouble = _trouble(_ANY.get(host, host), port)
    if trouble:
        print(f"octomesh: The server on {host}, port {port}, {trouble}.", file=sys.stderr)
        return FAILED
    print("healthy")
    return 0


def _trouble(host: str, port: str) -> str | None:
    """What is wrong with the server, if anything."""
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=_SECONDS)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except TimeoutError:
        return f"did not answer within {_SECONDS:.0f} s"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"can't be asked: {error}"
    return None if status == http.client.OK else f"answered {status}"
