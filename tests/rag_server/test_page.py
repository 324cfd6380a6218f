"""The pages load nothing from elsewhere and allow nothing that they do not need."""

from __future__ import annotations

import re

import pytest

from rag_server.routes.page import PAGE
from tests.rag_server.running_server import Server

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_the_page_carries_the_strict_policy(server: Server) -> None:
    reply = server.client.get("/")
    assert reply.status_code == 200
    assert reply.headers["content-security-policy"] == STRICT
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_errors_and_answers_carry_the_headers_too(server: Server) -> None:
    for reply in (server.client.get("/nothing"), server.ask(""), server.client.get("/v1/repositories")):
        assert reply.headers["content-security-policy"] == STRICT
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_everything_a_page_loads_is_here(server: Server, path: str) -> None:
    page = server.client.get(path).text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    for address in addresses:
        assert address.startswith("/"), f"{address} is elsewhere"
        assert server.client.get(address).status_code == 200
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\ssrc=)", page), "an inline script, which the policy forbids"
    assert not re.search(r"\son\w+=", page)


def test_the_scripts_never_write_markup(server: Server) -> None:
    scripts = sorted(path.name for path in PAGE.glob("*.js"))
    assert len(scripts) > 10
    for name in scripts:
        script = server.client.get(f"/page/{name}")
        assert script.status_code == 200
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|createContextualFragment|eval\(|Function\(|cssText",
            script.text,
        ), name


def test_an_upgrade_replaces_all_of_the_pages_files_at_once(server: Server) -> None:
    page = server.client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    (script,) = re.findall(r'src="(/page/[0-9a-f]{12}/app\.js)"', page.text)
    assert "immutable" in server.client.get(script).headers["cache-control"]
    assert server.client.get("/page/app.js").headers["cache-control"] == "no-cache"
    assert server.client.get("/page/000000000000/app.js").status_code == 404


def test_the_page_folder_gives_nothing_else_away(server: Server) -> None:
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/", "/docs/assets/"):
        assert server.client.get(path).status_code == 404


def test_the_api_describes_its_routes(server: Server) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    assert {"/v1/ask", "/v1/search", "/v1/sources/{repo}/{path}", "/v1/repositories", "/model/info"} <= set(paths)
