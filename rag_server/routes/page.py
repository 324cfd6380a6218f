"""The web page at ``/`` and the API's own at ``/docs``: nothing on either is loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

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

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(DOCS)

    @app.get("/docs/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    # The package carries Swagger UI's built files, which FastAPI itself would fetch from a CDN.
    app.mount("/docs/assets", StaticFiles(directory=str(files("fastapi_offline") / "static")))
    app.mount("/page", RevalidatedFiles(directory=PAGE))


class RevalidatedFiles(StaticFiles):
    """Files that a browser asks about each time: after an upgrade no page runs half of the old scripts and half of the new."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or 304 when the browser has it."""
        reply = super().file_response(*args, **kwargs)
        reply.headers["Cache-Control"] = "no-cache"
        return reply
