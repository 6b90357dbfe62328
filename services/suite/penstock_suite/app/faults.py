"""`penstock faults`: scripted upstreams and a bad network, by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.named import SCRIPTS
from penstock_faults.reading import ScriptError, script_of, script_text
from penstock_faults.record import Record, Seen
from penstock_faults.tcp import FaultProxy, Faults
from penstock_suite.adapters.addresses import parse_address
from penstock_suite.adapters.operating_system import on_signals
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import Misconfigured, NotThere, SuiteFailure
from penstock_suite.domain.requests import PlayRequest, ProxyRequest

ShowSeen = Callable[[dict[str, Any]], None]
ShowPlace = Callable[[str], None]


def known_scripts() -> dict[str, str]:
    """Return what each script by name does."""
    return {name: script.about for name, script in SCRIPTS.items()}


def written_script(name: str) -> str:
    """Return a script as YAML.

    Raises:
        NotThere: if none has that name.
    """
    if name not in SCRIPTS:
        raise NotThere(f"there is no script '{name}'; 'penstock faults scripts' lists them")
    return script_text(SCRIPTS[name])


async def play(request: PlayRequest, show_place: ShowPlace, show_seen: ShowSeen) -> None:
    """Play a script until a signal asks for the end; each request is told once it is over.

    Raises:
        Misconfigured: if the script or the address cannot be read.
        SuiteFailure: if the address cannot be listened at.
    """
    try:
        script = script_of(request.script)
    except ScriptError as error:
        raise Misconfigured(str(error)) from None
    listen = parse_address(request.listen, "--listen")
    record = Record(lambda seen: show_seen(_told(seen, record)))
    where: dict[str, Any] = {"host": listen.host, "port": listen.port, "record": record}
    if request.wire == "triton":
        # What it speaks with is loaded where somebody wants a Triton.
        from penstock_faults.triton import TritonUpstream, plays

        if not plays(script):
            raise Misconfigured(f"the script '{request.script}' does what only HTTP can do wrong")
        triton = TritonUpstream(script, **where)
        await _until_a_signal(_opened(triton, request.listen), lambda: triton.target, show_place)
        return
    upstream = ScriptedUpstream(script, wire=request.wire, **where)
    await _until_a_signal(_opened(upstream, request.listen), lambda: upstream.base_url, show_place)


async def proxy(request: ProxyRequest, show_place: ShowPlace) -> None:
    """Pass connections on until a signal asks for the end.

    Raises:
        Misconfigured: if an address cannot be read.
        SuiteFailure: if the address cannot be listened at.
    """
    listen, target = parse_address(request.listen, "--listen"), parse_address(request.to, "--to")
    faults = Faults(
        latency_seconds=request.latency.total_seconds(),
        jitter_seconds=request.jitter.total_seconds(),
        bytes_per_second=request.bytes_per_second,
        slice_bytes=request.slice_bytes,
        cut_after_bytes=request.cut_after_bytes,
        cut_by=request.cut_by,  # pyright: ignore[reportArgumentType] - the command line has read it
    )
    up, down = (faults if wanted else None for wanted in (request.up, request.down))
    passing = FaultProxy(str(target), up=up, down=down, host=listen.host, port=listen.port)
    await _until_a_signal(_opened(passing, request.listen), lambda: passing.address, show_place)


def _told(seen: Seen, record: Record) -> dict[str, Any]:
    return {"event": "request", **seen.document(), "concurrent": record.concurrent + 1}


@asynccontextmanager
async def _opened(server: Any, listen: str) -> AsyncGenerator[None]:
    try:
        await server.__aenter__()
    except (OSError, RuntimeError) as error:
        raise SuiteFailure(f"nothing can listen at {listen}: {error}; name another with --listen") from None
    try:
        yield
    finally:
        await server.__aexit__(None, None, None)


async def _until_a_signal(opened: Any, where: Callable[[], str], show_place: ShowPlace) -> None:
    ending = Ending()
    # Nothing is reloaded: a hang-up ends it, as it does elsewhere.
    with on_signals(ending.ask, ending.ask):
        async with opened:
            show_place(where())
            await ending.wait()
