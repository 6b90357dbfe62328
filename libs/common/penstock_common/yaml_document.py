"""One YAML document: its value, and the line of every key, so that a fault can say where it is.

What YAML lets pass and people do not mean is refused: a key given twice, of
which it would keep the last, and a document that refers to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from yaml.parser import ParserError
from yaml.scanner import ScannerError

from penstock_common.faults import ConfigurationError, Fault, KeyPath, dotted

MAX_NODES = 100_000
"""Bound on what a document may hold, written out: few lines of references to references would be gigabytes."""
MAX_DEPTH = 64
"""Bound on nesting, looked at before anything is built: libyaml's own depth ends the process."""

_MERGE = "tag:yaml.org,2002:merge"
# libyaml's, where the wheel brings it: a twentieth of the time.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A value and where its parts stand."""

    value: Any
    lines: dict[KeyPath, int]
    """By path; counted from 1."""


def read_yaml(text: str, source: str) -> YamlDocument:
    """Return the document in the text; its value is None where there is none.

    Raises:
        ConfigurationError: with every fault that keeps it from being read; quotes nothing of the text but keys.
    """
    loader = _LOADER(text)
    try:
        _refuse_depth(text, source)
        node = loader.get_single_node()
        if node is None:
            return YamlDocument(None, {})
        walk = _Walk(source)
        walk.visit(node, ())
        if walk.faults:
            raise ConfigurationError(*walk.faults)
        return YamlDocument(loader.construct_document(node), walk.lines)
    except yaml.YAMLError as error:
        raise ConfigurationError(_unreadable(error, source)) from None
    except (RecursionError, ValueError):
        # A date that is none, or a nesting that no configuration has.
        raise ConfigurationError(Fault(_CANNOT_READ, file=source)) from None
    finally:
        loader.dispose()


def _refuse_depth(text: str, source: str) -> None:
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigurationError(Fault(f"it is nested deeper than {MAX_DEPTH}", file=source, line=_line(event)))


class _Walk:
    """Notes the line of every key and item, and what is wrong with them."""

    def __init__(self, source: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[Fault] = []
        self._source = source
        self._visited = 0
        self._open: set[int] = set()
        self._told: set[int] = set()

    def visit(self, node: Any, path: KeyPath) -> None:
        """Walk a node that stands at ``path``."""
        self._visited += 1
        if self._visited > MAX_NODES:
            raise ConfigurationError(
                Fault(f"it holds more than {MAX_NODES:,} values, references written out", file=self._source)
            )
        if id(node) in self._open:
            raise ConfigurationError(self._fault(node, path, "an anchor holds a reference to itself"))
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = _line(item)
                self.visit(item, (*path, index))
        self._open.discard(id(node))

    def _visit_mapping(self, node: Any, path: KeyPath) -> None:
        merged = [value for key, value in node.value if key.tag == _MERGE]
        for value in merged:
            # First, as the mapping's own keys stand over them.
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                self.visit(part, path)
        if len(merged) > 1:
            self.faults.append(self._fault(node, path, "'<<' is given twice: write one, with a list of references"))
        seen: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(self._fault(key, path, "a key must be a word, and a list or mapping stands there"))
                continue
            here, line = (*path, str(key.value)), _line(key)
            if key.value in seen and id(key) not in self._told:
                # A mapping that is referred to is walked once more at each place.
                self._told.add(id(key))
                text = f"'{dotted(here)}' is given twice, in line {seen[key.value]} and in line {line}: keep one"
                self.faults.append(Fault(text, dotted(here), self._source, line))
            seen.setdefault(key.value, line)
            self.lines[here] = line
            self.visit(value, here)

    def _fault(self, node: Any, path: KeyPath, message: str) -> Fault:
        where = f"'{dotted(path)}': " if path else ""
        return Fault(where + message, dotted(path), self._source, _line(node))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


_CANNOT_READ = "it is not valid YAML: it cannot be read here; put in quotes what begins with * & ! % @ or `"


def _unreadable(error: yaml.YAMLError, source: str) -> Fault:
    """Return what is wrong without the text around it, which may be a secret."""
    mark: Any = getattr(error, "problem_mark", None)
    line = 0 if mark is None else int(mark.line) + 1
    if isinstance(error, ScannerError | ParserError):
        # The other kinds of error quote the names of aliases and tags.
        column = "" if mark is None else f" in column {mark.column + 1}"
        return Fault(f"it is not valid YAML: {error.problem}{column}", file=source, line=line)
    if getattr(error, "problem", "") == "but found another document":
        return Fault("a second document begins here, and a configuration is one", file=source, line=line)
    return Fault(_CANNOT_READ, file=source, line=line)
