"""Reads the standard library's own source: every module, class and function, as plain facts.

Nothing is imported or run; the files are parsed. Each object becomes one document with nested facts.
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Facts = dict[str, Any]

LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "turtledemo", "__pycache__"}
QUICK = {"asyncio", "collections", "concurrent", "csv", "email", "gzip", "http", "json", "logging", "pathlib", "queue"}

BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.BoolOp, ast.Assert)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = (*FUNCTIONS, ast.ClassDef)


def modules(quick: bool = False) -> list[Path]:
    """Source files of the standard library; a few packages only when ``quick``."""
    root = Path(sysconfig.get_path("stdlib"))
    return [
        path
        for path in sorted(root.rglob("*.py"))
        if LEFT_OUT.isdisjoint(path.relative_to(root).parts)
        and (not quick or path.relative_to(root).parts[0].removesuffix(".py") in QUICK)
    ]


def objects(paths: Iterable[Path]) -> Iterator[Facts]:
    """The module, classes and functions of each file; those defined inside functions are left out."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in paths:
        relative = path.relative_to(root)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        yield _module(tree, module, str(relative))
        yield from _members(tree, module, module, str(relative))


def _members(parent: ast.AST, prefix: str, module: str, file: str) -> Iterator[Facts]:
    seen = set()
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, NAMED) or node.name in seen:
            continue
        seen.add(node.name)
        path = f"{prefix}.{node.name}"
        yield _member(node, path, module, file)
        if isinstance(node, ast.ClassDef):
            yield from _members(node, path, module, file)


def _module(tree: ast.Module, module: str, file: str) -> Facts:
    lines = max((getattr(node, "end_lineno", 0) or 0 for node in tree.body), default=0)
    return _facts(tree, module, "module", module, {"file": file, "line": 1, "lines": lines})


def _member(node: Any, path: str, module: str, file: str) -> Facts:
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    lines = node.end_lineno - node.lineno + 1
    facts = _facts(node, path, kind, module, {"file": file, "line": node.lineno, "lines": lines})
    facts["decorators"] = [ast.unparse(decorator) for decorator in node.decorator_list]
    if kind == "class":
        facts["bases"] = [ast.unparse(base) for base in node.bases]
        facts["signature"] = f"class {node.name}({', '.join(facts['bases'])})"
    else:
        facts["signature"] = f"{node.name}({ast.unparse(node.args)})"
        facts["arguments"] = [{"name": arg.arg, "typed": arg.annotation is not None} for arg in _arguments(node.args)]
        facts["behaviour"] = _behaviour(node)
    return facts


def _facts(node: Any, path: str, kind: str, module: str, source: Facts) -> Facts:
    docstring = ast.get_docstring(node) or ""
    return {
        "_id": path,
        "kind": kind,
        "name": path.rsplit(".", 1)[-1],
        "module": module,
        "package": module.partition(".")[0],
        "summary": docstring.strip().partition("\n")[0],
        "docstring": docstring,
        "source": source,
        "metrics": _metrics(node),
    }


def _metrics(node: ast.AST) -> Facts:
    inside = list(ast.walk(node))
    arguments = _arguments(node.args) if isinstance(node, FUNCTIONS) else []
    return {
        "arguments": len(arguments),
        "branches": sum(isinstance(item, BRANCHES) for item in inside),
        "calls": sum(isinstance(item, ast.Call) for item in inside),
        "statements": sum(isinstance(item, ast.stmt) for item in inside),
    }


def _behaviour(node: Any) -> Facts:
    inside = list(ast.walk(node))
    return {
        "generator": any(isinstance(item, (ast.Yield, ast.YieldFrom)) for item in inside),
        "coroutine": isinstance(node, ast.AsyncFunctionDef),
        "raises": sorted({name for item in inside if isinstance(item, ast.Raise) and (name := _raised(item))}),
    }


def _raised(node: ast.Raise) -> str | None:
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return ast.unparse(error) if isinstance(error, (ast.Name, ast.Attribute)) else None


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
