"""ghz: many calls at once, by reflection."""

from __future__ import annotations

import json
import subprocess

from checks import GRPC, KEY, MODEL, check, equal, run

QUESTION = {"input": {"model": MODEL, "messages": [{"role": "ROLE_USER", "parts": [{"text": "Hello"}]}]}}


def ghz(method: str, calls: int) -> None:
    arguments = ["--insecure", "--call", method, "--format", "json", "-n", str(calls), "-c", "50"]
    arguments += ["-d", json.dumps(QUESTION), "-m", json.dumps({"authorization": f"Bearer {KEY}"}), GRPC]
    done = subprocess.run(["ghz", *arguments], capture_output=True, text=True, check=False, timeout=120)
    report = json.loads(done.stdout)
    equal(report["statusCodeDistribution"], {"OK": calls})


@check
def unary_calls_fifty_at_once() -> None:
    ghz("penstock.gateway.v1.ChatService.Chat", 500)


@check
def streams_fifty_at_once() -> None:
    ghz("penstock.gateway.v1.ChatService.StreamChat", 500)


run()
