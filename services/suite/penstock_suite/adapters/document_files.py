"""Files of this machine, found for a knowledge base: folders through and through, less what rules leave out."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.ingest import FileRules, Found, FoundFile, Ignored, LeftOut, document_id

IGNORE_FILES = (".gitignore", ".penstockignore")
_NEVER = frozenset({".git", ".hg", ".svn"})
_MAGIC = "*?["
_LOOP = "It is a link to a folder that it lies in: take the link away."
_SPECIAL = "It is no regular file but a pipe, a socket or a device."


def found_files(paths: Sequence[str], rules: FileRules) -> Iterator[Found]:
    """Yield what is below the paths, in the order of their names; a pattern such as ``docs/**/*.md`` is a path, too.

    Raises:
        Misconfigured: if there is no such file or folder.
    """
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from _Walk(path, rules).below(path, (), ())
        elif os.path.lexists(path):
            yield _file(path, path.parent)
        elif any(character in text for character in _MAGIC):
            yield from _matching(text, rules)
        else:
            raise Misconfigured(f"there is no file or folder {text}")


def _matching(pattern: str, rules: FileRules) -> Iterator[Found]:
    parts = Path(pattern).parts
    fixed = next(at for at, part in enumerate(parts) if any(character in part for character in _MAGIC))
    root = Path(*parts[:fixed])
    # Path.glob cannot leave hidden files out.
    matches = sorted(glob.glob(pattern, recursive=True, include_hidden=rules.hidden))
    if not matches:
        raise Misconfigured(f"no file is like {pattern}")
    for match in matches:
        path = Path(match)
        if path.is_dir():
            continue
        yield Ignored(match, "link") if path.is_symlink() and not rules.follows_links else _file(path, root)


def _file(path: Path, root: Path) -> Found:
    name = _shown(path, root)
    try:
        kind = path.stat().st_mode
    except OSError as error:
        return LeftOut(name, "unreadable", f"{error.strerror}.")
    if not stat.S_ISREG(kind):
        return LeftOut(name, "special", _SPECIAL)
    return FoundFile(name=name, id=document_id(os.fsencode(_relative(path, root))), path=path)


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if root.parts else path


def _shown(path: Path, root: Path) -> str:
    # A name that is no UTF-8 is a name all the same.
    return os.fsencode(_relative(path, root)).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class _Spec:
    """An ignore file, and the folder that it speaks of."""

    folder: Path
    patterns: GitIgnoreSpec


class _Walk:
    """Goes through one folder."""

    def __init__(self, root: Path, rules: FileRules) -> None:
        self._root = root
        self._rules = rules

    def below(self, folder: Path, specs: tuple[_Spec, ...], above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
        """Yield what is in the folder; ``above`` says which folders it lies in, so that no link leads round."""
        try:
            here = folder.stat()
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            yield LeftOut(_shown(folder, self._root), "unreadable", f"{error.strerror}.")
            return
        place = (here.st_dev, here.st_ino)
        if place in above:
            yield LeftOut(_shown(folder, self._root), "loop", _LOOP)
            return
        specs = (*specs, *self._specs(folder, names))
        for name in names:
            yield from self._one(folder / name, specs, (*above, place))

    def _one(self, path: Path, specs: tuple[_Spec, ...], above: tuple[tuple[int, int], ...]) -> Iterator[Found]:
        is_folder = path.is_dir()
        rule = self._rule(path, specs, is_folder=is_folder)
        if rule:
            yield Ignored(_shown(path, self._root), rule)
        elif is_folder:
            yield from self.below(path, specs, above)
        else:
            yield _file(path, self._root)

    def _rule(self, path: Path, specs: tuple[_Spec, ...], *, is_folder: bool) -> str:
        """Return what leaves it out; empty where nothing does."""
        if path.name in _NEVER or (path.name.startswith(".") and not self._rules.hidden):
            return "hidden"
        if path.is_symlink() and not self._rules.follows_links:
            return "link"
        if path.name in IGNORE_FILES:
            return "hidden"
        # The nearest file that says anything of it decides.
        for spec in reversed(specs):
            said = spec.patterns.check_file(f"{path.relative_to(spec.folder)}{'/' if is_folder else ''}").include
            if said is not None:
                return "ignored" if said else ""
        return ""

    def _specs(self, folder: Path, names: Sequence[str]) -> Iterator[_Spec]:
        if not self._rules.reads_ignore_files:
            return
        for name in IGNORE_FILES:
            if name in names:
                text = (folder / name).read_bytes().decode(errors="replace")
                yield _Spec(folder, GitIgnoreSpec.from_lines(text.splitlines()))
