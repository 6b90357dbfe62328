"""schemathesis: requests made from the OpenAPI document, valid and broken, and what must hold of every answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from checks import KEY, ORIGIN, check, run

# A key may spend its allowance while it is tried, so that a valid request may be refused; and what a typed API calls
# unimplemented or gone is 501 and 404. Everything else of schemathesis holds.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"
)


def schemathesis(*more: str) -> None:
    program = str(Path(sys.executable).parent / "schemathesis")
    arguments = ["run", f"{ORIGIN}/openapi.json", "--checks", CHECKS, "--seed", "7", "--max-examples", "25", *more]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:], file=sys.stderr)
        raise AssertionError(done.stdout.strip().splitlines()[-1])


@check
def with_a_key() -> None:
    schemathesis("--header", f"Authorization: Bearer {KEY}")


@check
def without_a_key() -> None:
    schemathesis()


run()
