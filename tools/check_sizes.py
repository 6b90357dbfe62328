"""Holds modules, functions and signatures to the sizes of CONTRIBUTING.md, "Sizes"."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_MODULE_LINES = 400
WANTED_MODULE_LINES = 300
MAX_APP_LINES = 150
MAX_BODY_LINES = 40
MAX_SERVICER_BODY_LINES = 12
MAX_PARAMETERS = 5
MAX_NESTING = 3
MAX_MEDIAN_BODY_LINES = 10

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    """Print every fault; return 1 if there is one."""
    faults: list[str] = []
    body_lines: list[int] = []
    for path in sorted(_sources()):
        text = path.read_text(encoding="utf-8")
        where = path.relative_to(ROOT)
        faults += _module_faults(where, len(text.splitlines()))
        for owner, function in _functions(ast.parse(text)):
            lines = _body_lines(function)
            body_lines.append(lines)
            faults += [f"{where}:{function.lineno}: {function.name}: {fault}" for fault in _faults(owner, function)]
    median = statistics.median(body_lines)
    if median >= MAX_MEDIAN_BODY_LINES:
        faults.append(f"the median function body has {median} lines, under {MAX_MEDIAN_BODY_LINES} are wanted")
    print("\n".join(faults) or f"sizes: {len(body_lines)} functions, median body {median} lines")
    return 1 if faults else 0


def _sources() -> Iterator[Path]:
    for folder in ("libs", "services", "tools"):
        yield from (ROOT / folder).rglob("*.py")


def _module_faults(where: Path, lines: int) -> list[str]:
    if where.name == "app.py" and lines > MAX_APP_LINES:
        return [f"{where}: {lines} lines, a composition root has at most {MAX_APP_LINES}"]
    if lines > MAX_MODULE_LINES:
        return [f"{where}: {lines} lines, at most {MAX_MODULE_LINES}"]
    return []


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield every function with the name of the class around it, or an empty string."""
    for node in ast.walk(tree):
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _FUNCTIONS):
                yield owner, child


def _faults(owner: str, function: Function) -> Iterator[str]:
    lines = _body_lines(function)
    is_rpc = owner.endswith("Servicer") and function.name[0].isupper()
    most = MAX_SERVICER_BODY_LINES if is_rpc else MAX_BODY_LINES
    if lines > most:
        yield f"{lines} lines in its body, at most {most}"
    parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    count = len([name for name in parameters if name not in ("self", "cls")])
    if count > MAX_PARAMETERS and function.name != "__exit__":
        yield f"{count} parameters, at most {MAX_PARAMETERS}"
    depth = _nesting(function)
    if depth > MAX_NESTING:
        yield f"nested {depth} deep, at most {MAX_NESTING}"


def _body_lines(function: Function) -> int:
    """Return the lines of the body, the docstring and nested functions not counted."""
    body = function.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if not body:
        return 0
    lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
    return lines - sum(
        (node.end_lineno or 0) - node.lineno
        for node in ast.walk(function)
        if isinstance(node, _FUNCTIONS) and node is not function
    )


def _nesting(node: ast.AST, depth: int = 0) -> int:
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            continue
        # An elif is an If inside the orelse of an If; it nests no deeper for the reader.
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, _nesting(child, depth + (isinstance(child, _BLOCKS) and not is_elif)))
    return deepest


if __name__ == "__main__":
    sys.exit(main())
