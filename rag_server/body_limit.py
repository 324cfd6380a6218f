"""Bodies that are too large are refused before they fill the memory."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_server.errors import error_document, error_reply


class BodyLimit:
    """ASGI middleware: reads a request's body up to ``max_bytes``, else answers 413 (RFC 9110, section 15.5.14)."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_bytes or _announced(scope) > self.max_bytes:
                document = error_document(f"the body is larger than {self.max_bytes} bytes (rag.max_body_bytes)", "too_large")
                await error_reply(413, document, {"Connection": "close"})(scope, receive, send)
                return
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()  # nothing but the disconnect is left to come
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0
