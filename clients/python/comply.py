"""llm-comply: a public suite that holds answers against OpenAI's published schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from checks import BASE_URL, KEY, REASONING_MODEL, check, run


@check
def every_test_of_openai_chat() -> None:
    program = str(Path(sys.executable).parent / "llm-comply")
    arguments = ["--format", "openai-chat", "-u", BASE_URL, "-k", KEY, "-m", REASONING_MODEL, "--json"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    summary = report.get("summary", report)
    print(json.dumps(summary), file=sys.stderr)
    failed = [test for test in report.get("results", []) if test.get("status") != "passed"]
    if failed or done.returncode:
        raise AssertionError("; ".join(str(test.get("name", test.get("id"))) for test in failed) or done.stderr[-300:])


run()
