"""The lock covers what the packages ask for, and nothing that must not be there."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = sorted(
    path for pattern in ("libs/*", "proto/python", "services/*") for path in ROOT.glob(f"{pattern}/pyproject.toml")
)
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
ROLES = sorted((ROOT / "requirements" / "roles").glob("*.txt"))


def _wanted() -> dict[str, Requirement]:
    lines = [line.partition(" #")[0].strip() for line in (ROOT / "requirements" / "base.in").read_text().splitlines()]
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def _locked() -> dict[str, list[str]]:
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "base.txt").read_text(), re.MULTILINE
    ):
        locked.setdefault(canonicalize_name(name), []).append(version)
    return locked


def _asked(path: Path) -> list[str]:
    """Return what a package and the whole stack need; other extras are a deployment's own business."""
    project = tomllib.loads(path.read_text())["project"]
    extras = project.get("optional-dependencies", {})
    needed = [text for name in ("up", "sql", "qdrant", "qdrant-edge") for text in extras.get(name, [])]
    return [*project["dependencies"], *needed]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_every_package_finds_what_it_asks_for_in_the_lock(path):
    locked, wanted = _locked(), _wanted()
    for text in _asked(path):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name.startswith("penstock-"):
            continue
        assert name in wanted, f"requirements/base.in misses {text}"
        assert requirement.extras <= wanted[name].extras, f"requirements/base.in misses an extra of {text}"
        assert all(version in requirement.specifier for version in locked[name]), f"{text}: {locked[name]} is locked"


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_every_dependency_has_an_upper_bound(path):
    for text in _asked(path):
        requirement = Requirement(text)
        if not requirement.name.startswith("penstock-"):
            assert "<" in str(requirement.specifier), text


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.stem)
def test_the_part_of_a_role_holds_what_its_packages_ask_for(path):
    names = path.read_text().split()
    assert names == sorted(set(names))
    assert set(names) <= set(_locked()), "requirements/base.txt does not pin all of it: run 'make lock'"
    packages = ("libs/common", "libs/faults", "proto/python", f"services/{path.stem}", "services/suite")
    for package in packages:
        for text in tomllib.loads((ROOT / package / "pyproject.toml").read_text())["project"]["dependencies"]:
            name = canonicalize_name(Requirement(text).name)
            assert name.startswith("penstock-") or name in names, f"{path.name} misses {name}: run 'make lock'"


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_has_hashes_no_registry_and_no_torch(path):
    text = path.read_text()
    packages = re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)
    assert packages
    assert text.count("--hash=sha256:") >= len(packages)
    assert "://" not in text
    assert "--index-url" not in text
    assert "torch" not in packages
    assert not any(name.startswith("nvidia-cu") for name in packages)
