"""Installs peers, each in a folder of its own under the cache, where nothing of ours sees it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from peers import Peer
from programs import CACHE

_MOST_SECONDS = 1200
_STAMP = ".installed"


class NotInstalled(Exception):
    """A peer cannot be had here; the message is the end of what the installer said."""


def installed(peer: Peer) -> Path:
    """Return the folder that a peer is in, installed if it was not.

    Raises:
        NotInstalled: if that fails.
    """
    folder = CACHE / "peers" / peer.installation
    stamp = folder / _STAMP
    wanted = json.dumps([peer.installer, *peer.packages])
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    {"pip": _by_pip, "npm": _by_npm, "debian": _by_debian}[peer.installer](peer.packages, folder)
    stamp.write_text(wanted)
    return folder


def versions(peer: Peer, folder: Path) -> dict[str, str]:
    """Return the version that is there of each package."""
    found = {"pip": _pip_version, "npm": _npm_version, "debian": _debian_version}[peer.installer]
    return {name: found(name, folder) for name in map(_bare_name, peer.packages)}


def _bare_name(package: str) -> str:
    return re.split(r"(?<=.)@|==|\[", package)[0]


def _by_pip(packages: tuple[str, ...], folder: Path) -> None:
    if not (folder / "bin" / "pip").is_file():
        _run([sys.executable, "-m", "venv", str(folder)], folder)
    _run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages], folder)


def _pip_version(name: str, folder: Path) -> str:
    program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return _run([str(folder / "bin" / "python"), "-c", program, name], folder)


def _by_npm(packages: tuple[str, ...], folder: Path) -> None:
    pins = dict(package.rsplit("@", 1) for package in packages)
    first = next(iter(pins))
    overrides = {name: version for name, version in pins.items() if name != first}
    document = {"private": True, "dependencies": pins, "overrides": overrides}
    (folder / "package.json").write_text(json.dumps(document))
    _run(["npm", "install", "--no-audit", "--no-fund"], folder)


def _npm_version(name: str, folder: Path) -> str:
    return json.loads((folder / "node_modules" / name / "package.json").read_text())["version"]


def _by_debian(packages: tuple[str, ...], folder: Path) -> None:
    _run(["apt-get", "download", *packages], folder)
    for archive in folder.glob("*.deb"):
        _run(["dpkg", "--extract", archive.name, "."], folder)


def _debian_version(name: str, folder: Path) -> str:
    (archive, *_) = folder.glob(f"{name}_*.deb")
    return archive.name.split("_")[1]


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from None
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip()[-600:])
    return done.stdout.strip()
