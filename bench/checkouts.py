"""Another commit of this repository, ready to run beside this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from programs import CACHE, CHECKOUT
from shapes import Side


def commit_of(checkout: Path) -> str:
    """Return the short name of what is checked out, with a mark if files have changed since."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def built(commit: str) -> Side:
    """Return a commit in a work tree of its own, set up as ``make setup-dev`` does; quick when it is there."""
    resolved = subprocess.run(
        ["git", "-C", str(CHECKOUT), "rev-parse", "--verify", f"{commit}^{{commit}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if resolved.returncode:
        sys.exit(f"there is no commit '{commit}' here: {resolved.stderr.strip()}")
    sha = resolved.stdout.strip()
    where = CACHE / "checkouts" / sha[:12]
    if not where.is_dir():
        subprocess.run(["git", "-C", str(CHECKOUT), "worktree", "prune"], check=True)
        subprocess.run(["git", "-C", str(CHECKOUT), "worktree", "add", "--detach", str(where), sha], check=True)
    subprocess.run([str(where / "scripts" / "setup.sh"), "--dev", "--without-triton"], check=True, stdout=sys.stderr)
    return Side(sha[:7], where)
