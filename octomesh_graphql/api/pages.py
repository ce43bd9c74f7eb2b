"""The pages for browsers, built from `admin/`: the Admin Panel, GraphiQL, and what both load. None asks another host.

A page is the same for every tenant and every caller; who may see what is decided where the page asks, in the API.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT: Final = Path(__file__).parents[1] / "_web"
"""Where `make web` puts its output, and where a wheel carries it."""

_NOT_BUILT: Final = Path(__file__).parent / "files" / "not_built.html"

_PANEL_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
# Its editor writes style elements, its fonts are inside its style sheet, and it checks syntax in workers.
_GRAPHIQL_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
_FOREVER: Final = "public, max-age=31536000, immutable"
"""For files with a hash of their content in their name; a year is the longest that means anything."""

_ONE_SLASH_SHORT: Final = re.compile(r"/tenants/[a-z0-9-]+")  # of the panel of a tenant

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class Pages:
    """The built pages of one directory; a plain one that says how to build them where they are missing."""

    def __init__(self, built: Path = BUILT, *, default_tenant: str | None = None) -> None:
        self._built = built
        self._default_tenant = default_tenant

    def routes(self) -> list[BaseRoute]:
        """Every address of the panel, and what the pages load."""
        return [
            Route("/", self._front),
            Route("/tenants/{tenant_id}/", self._panel),
            Route("/tenants/{tenant_id}/pools", self._panel),
            Route("/tenants/{tenant_id}/pools/{rt_id}", self._panel),
            Route("/third-party-notices.md", self._notices),
            Mount("/assets", _Assets(directory=self._built / "assets", check_dir=False)),
        ]

    def graphiql(self) -> Response:
        """What a browser gets on the URL of a tenant's API."""
        return self._page("graphiql.html", _GRAPHIQL_POLICY)

    async def _front(self, request: Request) -> Response:
        """The panel, which asks for a tenant; or the default one at once, unless `?` says to ask nevertheless."""
        if self._default_tenant and not request.url.query:
            return RedirectResponse(f"/tenants/{self._default_tenant}/", headers={"Cache-Control": "no-store"})
        return await self._panel(request)

    async def _panel(self, _: Request) -> Response:
        return self._page("index.html", _PANEL_POLICY)

    async def nowhere(self, request: Request, _: Exception) -> Response:
        """There is nothing at this address. The panel tells people so, and leads them back; or it is one slash away."""
        if _ONE_SLASH_SHORT.fullmatch(request.scope["path"]):
            return RedirectResponse(f"{request.scope['path']}/")
        if "text/html" in request.headers.get("accept", "") and request.url.path.startswith("/tenants/"):
            return self._page("index.html", _PANEL_POLICY, status=404)
        return PlainTextResponse("Not Found", status_code=404)

    async def _notices(self, _: Request) -> Response:
        """Whose code is in the pages, and under which licences."""
        notices = self._built / "third-party-notices.md"
        if not notices.exists():
            return Response(status_code=404)
        return FileResponse(notices, media_type="text/plain; charset=utf-8", headers=_HEADERS)

    def _page(self, name: str, policy: str, status: int = 200) -> Response:
        page = self._built / name
        headers = _HEADERS | {"Cache-Control": "no-store", "Content-Security-Policy": policy}
        return FileResponse(page if page.exists() else _NOT_BUILT, status_code=status, headers=headers)


class _Assets(StaticFiles):
    """Scripts, styles and fonts; compressed, where the build did that and the browser takes it."""

    async def check_config(self) -> None:
        """All is well: before the first build there is no directory, and so no file."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file of the build."""
        more = _HEADERS | {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        path = Path(full_path)
        compressed = path.with_name(f"{path.name}.gz")
        if "gzip" not in Headers(scope=scope).get("accept-encoding", "") or not compressed.exists():
            return _with(super().file_response(path, stat_result, scope, status_code), more)
        response = super().file_response(compressed, compressed.stat(), scope, status_code)
        kind = FileResponse(path).headers["content-type"]
        return _with(response, more | {"Content-Type": kind, "Content-Encoding": "gzip"})


def _with(response: Response, headers: dict[str, Any]) -> Response:
    response.headers.update(headers)
    return response
