"""The web page at ``/`` and the API's own at ``/docs``: nothing on either is loaded from elsewhere."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

PAGE = Path(__file__).resolve().parent.parent / "page"

DOCS = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Code Intelligence Assistant: API</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<div id="api"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});\n'


def install_pages(app: FastAPI) -> None:
    """Add the pages to ``app``."""

    version = _version()
    index = (PAGE / "index.html").read_text().replace('"/page/', f'"/page/{version}/')

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(index, headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(DOCS)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    # The package carries Swagger UI's built files, which FastAPI itself would fetch from a CDN.
    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.mount("/page", PageFiles(version))


class PageFiles(StaticFiles):
    """The page's files, which a browser keeps for good under their version: an upgrade replaces all of them at once."""

    def __init__(self, version: str) -> None:
        super().__init__(directory=PAGE)
        self.version = version

    def get_path(self, scope: Scope) -> str:
        """Return the path within the folder, without a version before it."""
        version, _, rest = (path := super().get_path(scope)).partition(os.sep)
        return rest if version == self.version else path

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, to be kept when it was asked for by version, and otherwise to be asked for again."""
        reply = await super().get_response(path, scope)
        kept = f"/page/{self.version}/" in scope["path"]
        reply.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        return reply


def _version() -> str:
    """Return what stands for the contents of the page's files."""
    files = sorted(path for path in PAGE.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
