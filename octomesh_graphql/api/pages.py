"""The pages for browsers: a start page, and an explorer that needs nothing from the internet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

_FILES: Final = Path(__file__).parent / "files"

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def start(_: Request) -> Response:
    """What this server is and where to go from here."""
    return FileResponse(_FILES / "start.html", headers=_HEADERS)


def explorer() -> Response:
    """A page to write queries and see answers, on the URL of the API itself."""
    return FileResponse(_FILES / "explorer.html", headers=_HEADERS)


def files() -> StaticFiles:
    """Scripts and styles of the pages."""
    return _Files(directory=_FILES)


class _Files(StaticFiles):
    def file_response(self, *args: Any, **more: Any) -> Response:
        response = super().file_response(*args, **more)
        response.headers.update(_HEADERS)
        return response
