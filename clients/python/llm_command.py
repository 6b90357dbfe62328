"""llm, the command, with the stack named in its extra-openai-models.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import BASE_URL, KEY, MODEL, SENTENCE, check, equal, run

HOME = Path(tempfile.mkdtemp(prefix="penstock-llm-"))
(HOME / "extra-openai-models.yaml").write_text(
    f"- model_id: ours\n  model_name: {MODEL}\n  api_base: {BASE_URL}\n  api_key_name: ours\n"
)


def llm(*arguments: str, text: str = "") -> str:
    program = Path(sys.executable).parent / "llm"
    done = subprocess.run(
        [program, *arguments],
        input=text,
        env={**os.environ, "LLM_USER_PATH": str(HOME)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise AssertionError(done.stderr.strip()[-300:])
    return done.stdout.strip()


@check
def prompt() -> None:
    llm("keys", "set", "ours", "--value", KEY)
    equal(llm("-m", "ours", "--no-stream", "What does a penstock do?"), SENTENCE)


@check
def stream_from_standard_input() -> None:
    equal(llm("-m", "ours", text="What does a penstock do?"), SENTENCE)


run()
