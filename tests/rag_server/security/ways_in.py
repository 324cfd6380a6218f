"""Every way in which a question can be asked, and what comes back, in one shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.rag_server.running_server import Server, parse_events
from tests.rag_server.security.attacks import Attack
from tests.rag_server.security.guarantees import Reply

ACCEPTS = {"Accept": "application/json, text/event-stream"}
EVENTS = {"sources", "token", "answer"}


def ask(server: Server, question: str, attack: Attack) -> Reply:
    begun = _earlier(server, attack)
    reply = server.ask(question, **begun)
    document = reply.json()
    return Reply("ask", reply.status_code, reply.text, document["answer"], "", document["citations"], None, document)


def stream(server: Server, question: str, attack: Attack) -> Reply:
    reply = server.ask(question, stream=True, **_earlier(server, attack))
    events = parse_events(reply.text)
    assert {name for name, _ in events} <= EVENTS
    assert [name for name, _ in events].count("answer") == 1, "a model forged an event"
    name, document = events[-1]
    assert name == "answer"
    shown = "".join(data["text"] for name, data in events if name == "token")
    sources = [one for name, data in events if name == "sources" for one in data["sources"]]
    return Reply("stream", reply.status_code, reply.text, document["answer"], shown, document["citations"], sources, document)


def chat(server: Server, question: str, attack: Attack) -> Reply:
    reply = server.client.post("/v1/chat/completions", json={"model": "code-assistant", "messages": _messages(question, attack)})
    document = reply.json()
    message, about = document["choices"][0]["message"], document["code_intelligence"]
    return Reply("chat", reply.status_code, reply.text, message["content"], "", message["citations"], about["sources"], about)


def chat_stream(server: Server, question: str, attack: Attack) -> Reply:
    body = {"model": "code-assistant", "messages": _messages(question, attack), "stream": True}
    reply = server.client.post("/v1/chat/completions", json=body)
    parts = reply.text.strip().split("\n\n")
    assert parts.pop() == "data: [DONE]"
    assert all(part.startswith("data: {") and "\n" not in part for part in parts), "a model forged an event"
    chunks = [json.loads(part.removeprefix("data: ")) for part in parts]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    text = "".join(delta.get("content", "") for delta in deltas)
    about = [chunk["code_intelligence"] for chunk in chunks if "code_intelligence" in chunk]
    sources = [one for part in about for one in part["sources"]]
    cited = next(delta["citations"] for delta in deltas if "citations" in delta)
    return Reply("chat stream", reply.status_code, reply.text, text, text, cited, sources, about[-1])


def mcp(server: Server, question: str, _: Attack) -> Reply:
    document, text, status, raw = call_tool(server, "ask_codebase", question=question)
    return Reply("mcp", status, raw, text, document["answer"], document["citations"], None, document)


WAYS: dict[str, Callable[[Server, str, Attack], Reply]] = {
    "ask": ask,
    "stream": stream,
    "chat": chat,
    "chat stream": chat_stream,
    "mcp": mcp,
}


def call_tool(server: Server, tool: str, **arguments: Any) -> tuple[dict[str, Any], str, int, str]:
    """Call an MCP tool; return its document, its text, the HTTP status and the whole body."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    reply = server.client.post("/mcp", json=body, headers=ACCEPTS)
    result = json.loads(reply.text.partition("data: ")[2])["result"]
    return result.get("structuredContent", {}), result["content"][0]["text"], reply.status_code, reply.text


def _earlier(server: Server, attack: Attack) -> dict[str, str]:
    """Begin a conversation with the attack where that is its place."""
    if attack.place != "history":
        return {}
    return {
        "conversation": server.ask(f"What does {attack.function} return? {attack.text}", conversation="new").json()[
            "conversation"
        ]
    }


def _messages(question: str, attack: Attack) -> list[dict[str, str]]:
    asked = [{"role": "user", "content": question}]
    if attack.place == "history":
        return [{"role": "user", "content": attack.text}, {"role": "assistant", "content": f"Yes. {attack.text}"}, *asked]
    return [{"role": "system", "content": attack.text}, *asked] if attack.place == "system message" else asked
