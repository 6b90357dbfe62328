"""The compose file as compose itself reads it, and the images of this checkout in roots of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from chart import CASES, NoRegistry, Rendered, Renderer
from chart import build as build_chart_model
from image_roots import ROOT, ImageBuilder, Layer, NoRoots, debian_package, debootstrapped, require_roots

COMPOSE = ROOT / "deploy" / "compose.yaml"
PROFILES = ("gpu",)
# The first that has compose of today, in Go; it asks no more of the C library than bookworm has.
COMPOSE_RELEASE = "trixie"


def _go() -> str | None:
    beside = Path(sys.executable).with_name("go")
    return str(beside) if beside.is_file() else shutil.which("go")


@pytest.fixture(scope="session")
def compose_model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole compose file, all profiles, as the library of `docker compose` loads it; it refuses what is not valid."""
    go = _go()
    if go is None:
        pytest.skip("reading the compose file as compose does needs Go: run 'make setup'")
    program = tmp_path_factory.mktemp("compose") / "compose_model"
    source = Path(__file__).with_name("compose_model")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    built = subprocess.run(
        [go, "build", "-o", program, "."], cwd=source, env=environment, capture_output=True, text=True
    )
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip("the module proxy of Go is not reachable")
    assert not built.returncode, built.stderr
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "COMPOSE_"))}
    # Without the .env that `make up` writes: the defaults are what a reader sees.
    folder = tmp_path_factory.mktemp("deploy") / "deploy"
    folder.mkdir()
    shutil.copy(COMPOSE, folder)
    read = subprocess.run([program, folder / COMPOSE.name, *PROFILES], env=bare, capture_output=True, text=True)
    assert not read.returncode, read.stderr
    return json.loads(read.stdout.replace(str(folder.parent), str(ROOT)))


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """The Helm chart, and Helm's own library to render it."""
    go = _go()
    if go is None:
        pytest.skip("rendering the chart as Helm does needs Go: run 'make setup'")
    try:
        return Renderer(build_chart_model(go, tmp_path_factory.mktemp("chart")))
    except NoRegistry as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def charts(chart: Renderer) -> dict[str, Rendered]:
    """The chart with each of deploy/helm/penstock/ci, by name."""
    return dict(zip(CASES, chart.all_of(list(CASES.values()), lint=True), strict=True))


@pytest.fixture(scope="session")
def compose_client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words that run ``docker compose``: the system's, else those of the plugin in Debian's package, unpacked."""
    if shutil.which("docker") is not None:
        own = ["docker", "compose"]
        if subprocess.run([*own, "version"], capture_output=True).returncode == 0:
            return own
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("there is no docker compose, and no Debian to take it from")
    try:
        package = debian_package("docker-compose", tmp_path_factory.mktemp("debian"), COMPOSE_RELEASE)
    except NoRoots as reason:
        pytest.skip(str(reason))
    plugin = package / "usr" / "libexec" / "docker" / "cli-plugins" / "docker-compose"
    ran = subprocess.run([plugin, "version"], capture_output=True, text=True)
    if ran.returncode:
        pytest.skip(f"Debian's docker compose does not run here: {ran.stderr.strip()[-200:]}")
    return [str(plugin)]


@pytest.fixture(scope="session")
def roots() -> Iterator[Path]:
    """A folder for roots, in which nothing is left mounted."""
    try:
        require_roots()
    except NoRoots as reason:
        pytest.skip(str(reason))
    folder = Path(tempfile.mkdtemp(prefix="penstock-roots-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def images(roots: Path) -> dict[str, Layer]:
    """Every image of the checkout, by its Dockerfile."""
    go = _go()
    if go is None:
        pytest.skip("the edge's image stands on this machine's Go: run 'make setup'")
    home = subprocess.run([go, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    try:
        base = debootstrapped(roots)
    except NoRoots as reason:
        pytest.skip(str(reason))
    layers = roots / "layers"
    layers.mkdir()
    builder = ImageBuilder(base, layers, Path(home))
    paths = dockerfiles()
    # They wait for the registries, mostly.
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(builder.build, [ROOT / path for path in paths]))
    return dict(zip(paths, built, strict=True))


def dockerfiles() -> list[str]:
    """Return every Dockerfile of the checkout."""
    found = [
        *ROOT.glob("services/*/Dockerfile"),
        *ROOT.glob("services/gateway/edge/Dockerfile"),
        *ROOT.glob("deploy/*/Dockerfile"),
    ]
    return sorted(str(path.relative_to(ROOT)) for path in found)


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prometheus' own checker: the system's, else that of Debian's package, unpacked."""
    installed = shutil.which("promtool")
    if installed is not None:
        return Path(installed)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("there is no promtool, and no Debian to take it from")
    try:
        return debian_package("prometheus", tmp_path_factory.mktemp("debian")) / "usr" / "bin" / "promtool"
    except NoRoots as reason:
        pytest.skip(str(reason))
