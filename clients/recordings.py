"""Recordings: what each client asked, a request a line, with what is answered to it. ``make test`` asks it all again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
from answering import SLOWLY
from catalogue import Client
from client_stack import KEY, SPENT_KEY
from environments import HERE, ROOT
from recorder import Asked
from replay import KEY_IN_HEADERS, asked_again, packed

FOLDER = ROOT / "tests" / "integration" / "gateway" / "recorded_clients"
_PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/models")
_NOT_AGAIN = (SPENT_KEY, SLOWLY, "patience", '"previous_response_id": "', '"json_object"')
"""What is answered but once, late, or by what was kept."""
_MOST_OF_A_TEXT = 130
"""Longer than the question and the picture of our own scripts; what is longer is a client's own."""
_HOMES = re.compile(r"/tmp/penstock-client-\w+")
_ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


async def write_recording(client: Client, asked: list[Asked], port: int) -> int:
    """Ask again what a client asked, write both down, and return how many requests that are."""
    answered: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session:
        for request in _without_repeats(asked):
            said = await asked_again(session, f"http://127.0.0.1:{port}", request, KEY)
            answered.append({**request, "answer": said})
    FOLDER.mkdir(exist_ok=True)
    lines = [json.dumps({"client": client.name, "version": client.version}), *packed(answered)]
    (FOLDER / f"{name_of(client)}.jsonl").write_text("\n".join(lines) + "\n")
    return len(answered)


def name_of(client: Client) -> str:
    """Return what a client's recording is called."""
    return client.script.rpartition(".")[0]


def _without_repeats(asked: list[Asked]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for request in asked:
        written = json.dumps(
            {"method": request.method, "path": request.path, "headers": dict(request.headers), "body": request.body},
            ensure_ascii=False,
        )
        written = _ADDRESS.sub("127.0.0.1:8080", _HOMES.sub("/home/me", written.replace(KEY, KEY_IN_HEADERS)))
        written = written.replace(str(HERE), "/home/me/clients").replace(str(ROOT), "/home/me/penstock")
        if written not in seen and request.path.startswith(_PATHS) and not any(word in written for word in _NOT_AGAIN):
            seen.add(written)
            yield without_words(json.loads(written))


def without_words(value: Any) -> Any:
    """Return a request without what a client's makers have written: instructions and descriptions are told by their length."""
    if isinstance(value, dict):
        return {
            name: told(each) if name == "description" and isinstance(each, str) else without_words(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [without_words(each) for each in value]
    return told(value) if isinstance(value, str) and len(value) > _MOST_OF_A_TEXT else value


def told(text: str) -> str:
    """Return how long a text is."""
    return f"({len(text)} characters)"
