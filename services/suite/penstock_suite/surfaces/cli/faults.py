"""`penstock faults`: scripted upstreams of every wire, a proxy, and the scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from penstock_suite.domain.requests import PlayRequest, ProxyRequest
from penstock_suite.surfaces.cli.options import JsonOption, group, read_choice, read_duration, read_number
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

ShowPlace = Callable[[str], None]
ShowSeen = Callable[[dict[str, Any]], None]

_MOST_BYTES = 1 << 40
_HTTP_HELP = """Play a script as an upstream that speaks {}, until Ctrl-C.

The path of a request decides, so that it speaks the other formats as well. Each request is told once it is over: what was asked, how much was sent, and whether the client left before the end.
"""
_TRITON_HELP = """Play a script as a Triton with the tensors of the vLLM backend, until Ctrl-C.

What only HTTP can do wrong cannot be played; put 'penstock faults proxy' before it for broken connections.
"""
_PROXY_HELP = """Pass TCP connections on, badly, until Ctrl-C.

Faults hold for both directions, unless --up or --down names one: what clients send, or what they get.
"""
_HTTP = {
    "openai": "OpenAI's chat completions, responses and embeddings",
    "azure": "Azure OpenAI, by deployments and by its v1 paths",
    "anthropic": "Anthropic's messages",
    "gemini": "Gemini's generateContent",
    "bedrock": "Amazon Bedrock's Converse",
    "ollama": "Ollama's own /api",
}
_ListenOption = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Port 0 takes a free one.")]
_ScriptOption = Annotated[
    str,
    typer.Option(
        "--script", metavar="NAME|FILE", help="'penstock faults scripts' lists names; files are YAML or JSON."
    ),
]
_SizeOption = "BYTES"


class Ending(StrEnum):
    """How a proxy's connection ends."""

    RESET = "reset"
    CLOSE = "close"
    HALF_CLOSE = "half_close"
    BLACK_HOLE = "black_hole"


@dataclass(frozen=True)
class Work:
    """What the commands do."""

    play: Callable[[PlayRequest, ShowPlace, ShowSeen], None]
    proxy: Callable[[ProxyRequest, ShowPlace], None]
    scripts: Callable[[], dict[str, str]]
    script: Callable[[str], str]


def faults(work: Work) -> typer.Typer:
    """Return the commands."""
    cli = group("Upstreams and networks that fail as they are told, to rehearse with.")
    for wire, about in _HTTP.items():
        _add_upstream(cli, work, wire, _HTTP_HELP.format(about))
    _add_upstream(cli, work, "triton", _TRITON_HELP)
    _add_proxy(cli, work)
    _add_scripts(cli, work)
    return cli


def _add_upstream(cli: typer.Typer, work: Work, wire: str, about: str) -> None:
    @cli.command(wire, help=about)
    def play(
        *, listen: _ListenOption = "127.0.0.1:0", script: _ScriptOption = "good", as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            show = print_json if as_json else _show_seen
            work.play(PlayRequest(wire, listen, script), _place(f"'{script}' plays at", as_json=as_json), show)


def _add_proxy(cli: typer.Typer, work: Work) -> None:
    @cli.command("proxy", help=_PROXY_HELP)
    def proxy(
        *,
        to: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="Whom to pass connections on to.")],
        listen: _ListenOption = "127.0.0.1:0",
        latency: Annotated[str, typer.Option(metavar="TIME", help="Bytes come so much later.")] = "0s",
        jitter: Annotated[str, typer.Option(metavar="TIME", help="And up to so much later again, by chance.")] = "0s",
        bandwidth: Annotated[str, typer.Option(metavar=_SizeOption, help="So many a second.")] = "",
        slices: Annotated[str, typer.Option("--slice", metavar=_SizeOption, help="No more at once.")] = "",
        cut_after: Annotated[str, typer.Option(metavar=_SizeOption, help="Of each connection; then it ends.")] = "",
        by: Annotated[str, typer.Option(metavar="HOW", help=f"How it ends: {', '.join(Ending)}.")] = Ending.RESET,
        up: Annotated[bool, typer.Option("--up", help="Only what clients send.")] = False,
        down: Annotated[bool, typer.Option("--down", help="Only what clients get.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        request = ProxyRequest(
            listen=listen,
            to=to,
            latency=read_duration(latency, "--latency"),
            jitter=read_duration(jitter, "--jitter"),
            bytes_per_second=_bytes(bandwidth, "--bandwidth") or 0,
            slice_bytes=_bytes(slices, "--slice") or 0,
            cut_after_bytes=_bytes(cut_after, "--cut-after"),
            cut_by=read_choice(by, "--by", Ending),
            up=up or not down,
            down=down or not up,
        )
        with failures_told(as_json=as_json):
            work.proxy(request, _place(f"connections to {to} pass through", as_json=as_json))


def _add_scripts(cli: typer.Typer, work: Work) -> None:
    @cli.command(
        "scripts", help="List the scripts by name; with a NAME, write that one as YAML, to begin your own with."
    )
    def scripts(
        *,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Of a script.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if name:
                typer.echo(work.script(name), nl=False)
                return
            known = work.scripts()
            if as_json:
                print_json([{"name": one, "about": about} for one, about in known.items()])
            else:
                print_table(("name", "what it does"), ((escape(one), escape(about)) for one, about in known.items()))


def _bytes(text: str, option: str) -> int | None:
    return read_number(text, option, _MOST_BYTES) if text else None


def _place(what: str, *, as_json: bool) -> ShowPlace:
    def show(address: str) -> None:
        print_json({"event": "ready", "address": address}) if as_json else note(f"{what} {address}; Ctrl-C ends it")

    return show


def _show_seen(seen: dict[str, Any]) -> None:
    left = seen["left_at_seconds"]
    asked = f"{seen['model']} {'streamed' if seen['streams'] else 'whole'}"
    ended = "the client left" if left is not None else "to its end"
    console().print(
        f"{seen['at_seconds']:9.3f} s  #{seen['request']} on connection {seen['connection']}  {escape(seen['path'])}  "
        f"{escape(asked)}  {seen['sent_bytes']:,} bytes, {ended}"
    )
