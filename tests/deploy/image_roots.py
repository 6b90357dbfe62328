"""Images without a container engine: the instructions of a Dockerfile, run in a root that Debian's packages make.

A base image is replaced by a debootstrapped root of the same Debian with the same Python; Go's is that root with the
Go of this machine. Each stage is an overlay; each RUN has namespaces of its own for mounts and processes, and the
host's network. What is not shown here: the base images themselves, the engine, its networks and its limits.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from dockerfile_steps import Dockerfile, Stage, Step, pairs_of, substituted, words_of

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
# What python:3.11-slim-bookworm has over debian:bookworm-slim, which is Debian's essential packages and apt.
PACKAGES = ("python3", "python3-venv", "libpython3.11", "ca-certificates")
# How a build here reaches the registries; an engine hands the same on with --build-arg, or is set up so.
_FROM_HOST = (
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_DEFAULT_TIMEOUT",
    "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOFLAGS", "GOSUMDB",
)  # fmt: skip
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_PLAIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NoRoots(Exception):
    """This machine cannot make roots; the message says why."""


def require_roots() -> None:
    """Raise NoRoots where nothing can be mounted or no tool fetches Debian."""
    if os.geteuid() != 0:
        raise NoRoots("making a root needs the right to mount: run the tests as root")
    for tool in ("unshare", "chroot", "mount", "apt-get", "dpkg-deb", "perl"):
        if shutil.which(tool) is None:
            raise NoRoots(f"making a root needs {tool}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise NoRoots("making a root needs overlayfs")
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode:
        raise NoRoots(f"this machine allows no namespaces: {tried.stderr.strip()}")


def debian_package(name: str, folder: Path, release: str = RELEASE) -> Path:
    """Return the folder that a package of Debian was unpacked to; nothing is installed.

    Raises:
        NoRoots: if Debian's registry is not reachable.
    """
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={_keyring()}] {MIRROR} {release} main\n")
    options = [
        "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Etc::sourcelist={folder}/sources.list",
        "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Sandbox::User=root",
    ]  # fmt: skip
    for command in (["update", "-qq"], ["download", "-qq", name]):
        ran = subprocess.run(["apt-get", *options, *command], cwd=folder, capture_output=True, text=True, timeout=120)
        if ran.returncode:
            raise NoRoots(f"Debian's registry is not reachable: {ran.stderr.strip()[-200:]}")
    (archive,) = folder.glob(f"{name}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder / name], check=True)
    return folder / name


def _keyring() -> Path:
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        if (path := Path("/usr/share/keyrings") / name).is_file():
            return path
    raise NoRoots("making a root needs Debian's keyring: install debian-archive-keyring")


def debootstrapped(folder: Path) -> Path:
    """Return a new Debian with Python, in about half a minute.

    Raises:
        NoRoots: if Debian's registry is not reachable.
    """
    tool = debian_package("mmdebstrap", folder) / "usr" / "bin" / "mmdebstrap"
    base = folder / "debian"
    command = [
        "perl", tool, "--quiet", "--variant=apt", "--format=directory", f"--include={','.join(PACKAGES)}",
        RELEASE, base, f"deb [signed-by={_keyring()}] {MIRROR} {RELEASE} main",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400)
    if ran.returncode:
        raise NoRoots(f"no Debian could be made: {ran.stderr.strip()[-300:]}")
    return base


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine inside a root."""

    source: Path
    target: str
    read_only: bool = True


@dataclass
class Layer:
    """What a stage has put over its base."""

    lower: Path
    upper: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PLAIN_PATH})
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list[str])
    command: list[str] = field(default_factory=list[str])
    healthcheck: list[str] = field(default_factory=list[str])
    mounts: list[Mount] = field(default_factory=list[Mount])

    def saved(self) -> str:
        """Return the layer as text, for another process."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def loaded(cls, text: str) -> Layer:
        """Return what another process has saved."""
        values = json.loads(text)
        values["mounts"] = [
            Mount(Path(mount["source"]), mount["target"], mount["read_only"]) for mount in values["mounts"]
        ]
        return cls(**values | {"lower": Path(values["lower"]), "upper": Path(values["upper"])})


class ImageBuilder:
    """Builds Dockerfiles of this checkout."""

    def __init__(self, base: Path, folder: Path, go: Path) -> None:
        self._base = base
        self._folder = folder
        self._go = go
        self._begun: dict[tuple[object, ...], Path] = {}
        self._beginning = threading.Lock()

    def build(self, path: Path) -> Layer:
        """Return the image.

        Raises:
            RuntimeError: if an instruction fails, with the end of what it said.
        """
        dockerfile = Dockerfile.read(path)
        stages: dict[str, Layer] = {}
        for number, stage in enumerate(dockerfile.stages):
            layer = self._start(stage)
            stages[stage.name or str(number)] = layer
            variables: dict[str, str] = {}
            shared = self._begin_alike(stage, layer, variables)
            for step in stage.steps[shared:]:
                self._apply(step, layer, variables, stages)
        return layer

    def _begin_alike(self, stage: Stage, layer: Layer, variables: dict[str, str]) -> int:
        """Apply the steps before the first COPY, once for all stages that begin so; return how many they are.

        An engine keeps its layers likewise.
        """
        shared = next((number for number, step in enumerate(stage.steps) if step.name == "COPY"), 0)
        beginning = stage.steps[:shared]
        if not any(step.name == "RUN" for step in beginning):
            return 0
        key = (stage.base, *beginning)
        with self._beginning:
            known = self._begun.get(key)
            for step in beginning:
                if known is None or step.name != "RUN":
                    self._apply(step, layer, variables, {})
            if known is None:
                self._begun[key] = layer.upper.parent / "begun"
                shutil.copytree(layer.upper, self._begun[key], symlinks=True)
            else:
                shutil.copytree(known, layer.upper, symlinks=True, dirs_exist_ok=True)
        return shared

    def _start(self, stage: Stage) -> Layer:
        folder = Path(tempfile.mkdtemp(prefix="layer-", dir=self._folder))
        (folder / "upper").mkdir()
        (folder / "empty").mkdir()
        layer = Layer(folder / "empty" if stage.base == "scratch" else self._base, folder / "upper")
        if stage.base.startswith("golang:"):
            layer.environment["PATH"] = f"/usr/local/go/bin:{_PLAIN_PATH}"
            layer.mounts.append(Mount(self._go, "/usr/local/go"))
            for variable in ("GOMODCACHE", "GOCACHE"):
                cache = subprocess.run(
                    [self._go / "bin" / "go", "env", variable], capture_output=True, text=True, check=True
                )
                layer.environment[variable] = f"/root/{variable}"
                layer.mounts.append(Mount(Path(cache.stdout.strip()), f"/root/{variable}", read_only=False))
        elif stage.base != "scratch" and not stage.base.startswith("python:3.11-slim-bookworm"):
            raise ValueError(f"nothing here can stand for {stage.base}")
        return layer

    def _apply(self, step: Step, layer: Layer, variables: dict[str, str], stages: Mapping[str, Layer]) -> None:
        known = {**variables, **layer.environment}
        rest = substituted(step.rest, known) if step.name != "RUN" else step.rest
        match step.name:
            case "ARG":
                name, _, value = rest.partition("=")
                variables[name] = value
            case "ENV":
                layer.environment |= pairs_of(rest)
            case "WORKDIR":
                layer.workdir = rest
                (layer.upper / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                layer.user = rest
            case "COPY":
                self._copy(shlex.split(rest), layer, stages)
            case "RUN":
                self._run(rest, layer, variables)
            case "ENTRYPOINT":
                layer.entrypoint = words_of(rest)
            case "CMD":
                layer.command = words_of(rest)
            case "HEALTHCHECK":
                layer.healthcheck = words_of(rest[rest.index("CMD ") + 4 :])

    def _copy(self, words: list[str], layer: Layer, stages: Mapping[str, Layer]) -> None:
        source_layer = None
        if words[0].startswith("--from="):
            source_layer = stages[words.pop(0).partition("=")[2]]
        *sources, target = words
        into = layer.upper / (Path(layer.workdir) / target).as_posix().lstrip("/")
        for source in sources:
            place = ROOT / source if source_layer is None else _found(source_layer, source)
            destination = into / place.name if target.endswith("/") else into
            destination.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                shutil.copytree(place, destination, symlinks=True, dirs_exist_ok=True, ignore=_ignored)
            else:
                shutil.copy2(place, destination)

    def _run(self, command: str, layer: Layer, variables: Mapping[str, str]) -> None:
        handed = {name: os.environ[name] for name in _FROM_HOST if name in os.environ} | _registry_settings()
        environment = {**{name: value for name, value in variables.items() if value}, **layer.environment, **handed}
        ran = subprocess.run(
            inside(layer, ["/bin/sh", "-c", command], environment=environment, writable=True),
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if ran.returncode:
            raise RuntimeError(f"RUN {command}\n{ran.stdout[-1500:]}\n{ran.stderr[-1500:]}")


def _found(layer: Layer, path: str) -> Path:
    for place in (layer.upper, layer.lower):
        if (found := place / path.lstrip("/")).exists():
            return found
    raise FileNotFoundError(f"COPY --from: no {path}")


def _ignored(folder: str, names: list[str]) -> set[str]:
    # What .dockerignore keeps from every image; a test holds the two together.
    return {
        name for name in names if name in {"__pycache__", "build", ".venv", "Dockerfile"} or name.endswith(".egg-info")
    }


def inside(
    layer: Layer,
    command: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    mounts: tuple[Mount, ...] = (),
    writable: bool = False,
    user: str = "",
    network: int | None = None,
) -> list[str]:
    """Return the argv that runs a command inside a root that is read-only but for /tmp, unless it is being built.

    Nothing of this machine is in it but the network, or that of the process ``network``.
    """
    folder = layer.upper.parent
    mounts = (*layer.mounts, *mounts, *(_for_building() if writable else ()))
    points = Path(tempfile.mkdtemp(prefix="points-", dir=folder))
    for mount in mounts:
        _make_point(points / mount.target.lstrip("/"), is_file=mount.source.is_file())
    for name in ("proc", "dev", "tmp"):
        (points / name).mkdir(exist_ok=True)
    (folder / "merged").mkdir(exist_ok=True)
    (folder / "work").mkdir(exist_ok=True)
    lower = f"{points}:{layer.lower}"
    over = f"lowerdir={lower},upperdir={layer.upper},workdir={folder / 'work'}"
    plan = {
        "root": str(folder / "merged"),
        "overlay": over if writable else f"lowerdir={layer.upper}:{lower}",
        "mounts": [[str(mount.source), mount.target, mount.read_only] for mount in mounts],
        "user": user or layer.user,
        "workdir": layer.workdir,
        "environment": {**layer.environment, **(environment or {})},
        "command": command,
    }
    (points.parent / f"{points.name}.json").write_text(json.dumps(plan))
    entering = [] if network is None else ["nsenter", f"--net=/proc/{network}/ns/net"]
    script = Path(__file__).with_name("enter_root.py")
    return [
        *entering, "unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable, str(script),
        str(points.parent / f"{points.name}.json"),
    ]  # fmt: skip


def _for_building() -> tuple[Mount, ...]:
    """Return what lets a build reach the registries: names, and the authorities that this machine's pip trusts."""
    mounts = [Mount(Path("/etc") / name, f"/etc/{name}") for name in ("resolv.conf", "hosts")]
    if authorities := _trusted_authorities():
        mounts.append(Mount(Path(authorities), _AUTHORITIES))
    return tuple(mounts)


def _registry_settings() -> dict[str, str]:
    """Return what pip and uv are told inside a build, which has no configuration file of theirs."""
    settings: dict[str, str] = {}
    if index := _pip_settings().get("index-url"):
        settings["PIP_INDEX_URL"] = index
    if _trusted_authorities():
        settings |= {"PIP_CERT": _AUTHORITIES, "SSL_CERT_FILE": _AUTHORITIES}
    return settings


def _trusted_authorities() -> str:
    return os.environ.get("SSL_CERT_FILE") or _pip_settings().get("cert", "")


@cache
def _pip_settings() -> dict[str, str]:
    """Return pip's own settings on this machine, those of the environment before those of files."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    pairs = re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
    return dict(reversed(pairs))


def _make_point(place: Path, *, is_file: bool) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_file:
        place.touch()
    else:
        place.mkdir(exist_ok=True)


def container_of(process: subprocess.Popen[bytes]) -> int:
    """Return the id, on this machine, of the process that is the first inside."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        if process.poll() is not None:
            raise RuntimeError("it has ended")
    return int(found[0])
