"""llm-comply: a public suite that holds answers against vendors' published schemas. Each of its tests is a check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from checks import BASE_URL, KEY, REASONING_MODEL, tell

_PASSED = "passed"


def main(form: str = "openai-chat", model: str = REASONING_MODEL) -> int:
    """Tell of every test of a format; return 1 where one has not passed."""
    program = str(Path(sys.executable).parent / "llm-comply")
    arguments = ["--format", form, "-u", BASE_URL, "-k", KEY, "-m", model, "--json"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300)
    print(done.stderr, file=sys.stderr)
    results = json.loads(done.stdout[done.stdout.index("{") :])["results"]
    for test in results:
        wrong = "; ".join(test.get("errors") or [test["status"]])
        tell(test["name"], "" if test["status"] == _PASSED else wrong)
    return int(bool(done.returncode) or any(test["status"] != _PASSED for test in results))


if __name__ == "__main__":
    sys.exit(main())
