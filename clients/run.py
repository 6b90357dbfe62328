"""Runs the clients that people have against the real stack, unchanged but for a base URL and a key.

The stack is started as a user starts it, once for each kind of provider, which provider.py plays over a socket. Every
client is fetched from its registry in the version that catalogue.py names. What each did is printed; with ``--publish`` it
becomes docs/clients.md, and what was asked becomes the recordings that ``make test`` plays again. Exit 1 where a check
failed or, with ``--all``, a client could not be had.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from answering import SENTENCE, SLOWLY, AnsweringProvider
from catalogue import CLIENTS, Client
from client_stack import UPSTREAMS, stack
from conversation import CITY
from environments import NotInstalled, command, installed, search_path, snippet_command
from outcome import Outcome, kept_with
from page import write_pages
from recorder import Recorder, recorder
from recordings import write_recording

_MOST_SECONDS = 600
_SEEN_TO_LEAVE_SECONDS = 20
_THE_SNIPPET = "the snippet"
_THE_LEAVING = "the provider sees that the client left"


async def run(client: Client, known: dict[str, str], kind: str, provider: AnsweringProvider) -> Outcome:
    """Return what one client did."""
    try:
        folder = await asyncio.to_thread(installed, client)
    except NotInstalled as error:
        return Outcome(client, kind, not_run=str(error))
    with tempfile.TemporaryDirectory(prefix="penstock-client-") as home:
        environment = _environment(client, folder, known, home)
        before = len(provider.record.requests)
        code, output, errors = await _ended(command(client, folder), environment, home)
        told = [json.loads(line) for line in output.splitlines() if line.startswith('{"check"')]
        outcome = Outcome(client, kind, {each["check"]: each["error"] for each in told}, log=errors)
        if (code and outcome.passed) or not told:
            outcome.checks["the whole script"] = errors.strip()[-300:] or f"exit {code}"
        left = [seen for seen in provider.record.requests[before:] if SLOWLY.encode() in seen.raw_body]
        if left:
            outcome.checks[_THE_LEAVING] = await _stayed(left)
        if client.snippet:
            arguments = snippet_command(client, folder, Path(home), known["PENSTOCK_BASE_URL"])
            code, output, errors = await _ended(arguments, environment, home)
            said = any(word in " ".join(output.split()) for word in (SENTENCE, CITY))
            outcome.checks[_THE_SNIPPET] = "" if said and not code else (errors or output).strip()[-300:]
    return outcome


def _environment(client: Client, folder: Path, known: dict[str, str], home: str) -> dict[str, str]:
    """Return what a client sees: a home of its own, nothing that it could call home about, nobody's keys."""
    own = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
    quiet = {"DO_NOT_TRACK": "1", "NO_COLOR": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
    return {**own, **quiet, **known, "HOME": home, "TMPDIR": home, "PATH": search_path(client, folder)}


async def _ended(arguments: list[str], environment: dict[str, str], folder: str) -> tuple[int, str, str]:
    """Return exit, output and errors of a program, which is killed with all that it began where it does not end."""
    process = await asyncio.create_subprocess_exec(
        *arguments, env=environment, cwd=folder, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _MOST_SECONDS)
    except TimeoutError:
        return 1, "", f"did not end in {_MOST_SECONDS} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")


async def _stayed(left: list) -> str:
    """Return why a provider has not seen its clients leave, "" where it has."""
    try:
        async with asyncio.timeout(_SEEN_TO_LEAVE_SECONDS):
            for seen in left:
                await seen.left.wait()
    except TimeoutError:
        return f"it still answers after {_SEEN_TO_LEAVE_SECONDS} s"
    return ""


def tell(outcome: Outcome) -> None:
    """Print what a client did."""
    mark = "–" if outcome.not_run else "✓" if outcome.passed else "✗"
    told = outcome.not_run or f"{len(outcome.checks)} checks"
    print(f"{mark} {outcome.kind}: {outcome.client.name}: {told}", flush=True)
    for name, error in outcome.checks.items():
        if error:
            print(f"    {name}: {error}", flush=True)
    if not outcome.passed and outcome.log:
        print(outcome.log[-4000:], file=sys.stderr, flush=True)


async def run_before(kind: str, chosen: list[Client], *, records: bool) -> list[Outcome]:
    """Return what every client did before one kind of provider; with ``records``, what they asked is written."""
    outcomes: list[Outcome] = []
    async with AnsweringProvider() as provider, stack(kind, provider) as known:
        port = int(known["PENSTOCK_BASE_URL"].rsplit(":", 1)[1].partition("/")[0])
        async with recorder(port) as recording:
            seen = {**known, "PENSTOCK_BASE_URL": f"http://127.0.0.1:{recording.port}/v1"}
            for client in chosen:
                outcomes.append(await run(client, seen, kind, provider))
                tell(outcomes[-1])
                kept_with(outcomes[-1:])
                await _keep(client, recording, port, records=records and outcomes[-1].passed)
    return outcomes


async def _keep(client: Client, recording: Recorder, port: int, *, records: bool) -> None:
    asked = recording.taken()
    if records and client.recorded:
        print(f"    {await write_recording(client, asked, port)} requests recorded", flush=True)


async def main() -> int:
    """Run, tell, and publish if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of the clients to run; all without")
    parser.add_argument("--before", action="append", choices=UPSTREAMS, help="the kinds of providers; all without")
    parser.add_argument(
        "--publish", action="store_true", help="write the pages, from this run and what earlier ones saw"
    )
    parser.add_argument("--record", action="store_true", help="write what was asked before the first kind of provider")
    parser.add_argument("--all", action="store_true", help="fail where a client cannot be had")
    arguments = parser.parse_args()
    chosen = [
        client
        for client in CLIENTS
        if not arguments.names or any(name.lower() in client.name.lower() for name in arguments.names)
    ]
    # Whoever ends this ends what it began.
    running = asyncio.current_task()
    assert running is not None, "it runs"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    outcomes: list[Outcome] = []
    known: list[Outcome] = []
    first = next(iter(UPSTREAMS))
    for kind in arguments.before or UPSTREAMS:
        asked = [client for client in chosen if kind == first or not client.once]
        records = kind == first and (arguments.publish or arguments.record)
        outcomes += await run_before(kind, asked, records=records)
        known = kept_with(outcomes)
    if arguments.publish:
        write_pages(known)
    return int(any(not outcome.passed and (arguments.all or not outcome.not_run) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
