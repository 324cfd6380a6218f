"""What operators and their machines ask: is it alive, is it ready, who answers, how much."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from rag_server.errors import RETRY_AFTER_SECONDS
from rag_server.services import CurrentPrincipal, CurrentServices

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(services: CurrentServices) -> JSONResponse:
    """Say whether questions can be answered, with one line on each neighbour, as last checked in the background."""
    health = services.health
    document = {"ready": health.is_ready, "dependencies": [asdict(dependency) for dependency in health.dependencies]}
    if health.is_ready:
        return JSONResponse(document)
    return JSONResponse(document, 503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


@router.get("/model/info")
async def model_info(services: CurrentServices, principal: CurrentPrincipal) -> dict[str, Any]:
    """Say who answers you: the adapter in Production, the base model, or nobody (then answers are extractive)."""
    settings = services.settings
    adapter = services.adapters.name(principal.user)
    base = settings.model.base_model if settings.model.base_url else None
    model = adapter or (base if settings.answering.use_base_model else None)
    dependency = next((one for one in services.health.dependencies if one.name == "model"), None)
    answering = model if dependency is not None and dependency.state == "ok" else None
    return {
        "mode": "llm" if answering else "extractive",
        "model": answering or "none",
        "adapter": adapter,
        "base_model": base,
        "detail": dependency.detail if dependency else "not checked yet",
    }


@router.get("/metrics", response_class=Response)
def metrics(services: CurrentServices) -> Response:
    """Return counters and timings for Prometheus."""
    return Response(services.metrics.as_text(), media_type=CONTENT_TYPE_LATEST)
