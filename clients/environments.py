"""Installs clients, each in a folder of its own, where nothing of ours sees it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from catalogue import Client

ROOT = Path(__file__).parent.parent
HERE = ROOT / ".clients"
SCRIPTS = Path(__file__).parent
SNIPPETS = SCRIPTS / "snippets"
_MOST_SECONDS = 900
_STAMP = ".installed"
_NEEDED = {"pip": sys.executable, "npm": "npm", "go": "go"}


class NotInstalled(Exception):
    """A client cannot be had here; the message says why."""


def installed(client: Client) -> Path:
    """Return the folder that a client is in, installed if it was not.

    Raises:
        NotInstalled: if that fails.
    """
    if shutil.which(_NEEDED[client.installer]) is None:
        raise NotInstalled(f"{_NEEDED[client.installer]} is not on the path")
    folder = HERE / _name_of(client.packages[0])
    stamp = folder / _STAMP
    if stamp.is_file() and stamp.read_text() == json.dumps(client.packages):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    {"pip": _by_pip, "npm": _by_npm, "go": _by_go}[client.installer](client.packages, folder)
    stamp.write_text(json.dumps(client.packages))
    return folder


def command(client: Client, folder: Path) -> list[str]:
    """Return what runs a client's script."""
    if client.script.endswith(".mjs"):
        # A module finds its packages beside itself only.
        for script in (SCRIPTS / "node").iterdir():
            shutil.copy(script, folder)
        return ["node", str(folder / client.script)]
    python = folder / "bin" / "python" if client.installer == "pip" else Path(sys.executable)
    return [str(python), str(SCRIPTS / "python" / client.script)]


def snippet_command(client: Client, folder: Path, home: Path, base_url: str) -> list[str]:
    """Return what runs a client's snippet of the docs, unchanged but for where the stack is."""
    text = (SNIPPETS / client.snippet).read_text().replace("http://127.0.0.1:8080/v1", base_url)
    text = text.replace("http://127.0.0.1:8080", base_url.removesuffix("/v1"))
    program = {"py": str(folder / "bin" / "python"), "mjs": "node", "sh": "bash"}[client.snippet.rpartition(".")[2]]
    place = (folder if program == "node" else home) / f"snippet-{client.snippet}"
    place.write_text(text)
    return [program, str(place)]


def search_path(client: Client, folder: Path) -> str:
    """Return the PATH that a client's script has: what it installed stands first."""
    commands = {"pip": folder / "bin", "npm": folder / "node_modules" / ".bin", "go": folder}[client.installer]
    return os.pathsep.join([str(commands), os.environ["PATH"]])


def _name_of(package: str) -> str:
    """Return the folder of what begins with this package: one for all scripts that use it."""
    return re.sub(r"[^a-z0-9]+", "-", package.rpartition("/")[2] if ".com/" in package else package).strip("-")


def _by_pip(packages: tuple[str, ...], folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], folder)
    _run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages], folder)


def _by_npm(packages: tuple[str, ...], folder: Path) -> None:
    dependencies = dict(package.rsplit("@", 1) for package in packages)
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": dependencies}))
    _run(["npm", "install", "--no-audit", "--no-fund", "--silent"], folder)


def _by_go(packages: tuple[str, ...], folder: Path) -> None:
    for package in packages:
        _run(["go", "install", package], folder, {"GOBIN": str(folder)})


def _run(arguments: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip()[-300:])
