"""The head of a result as text for a terminal and as plain HTML for a notebook."""

from __future__ import annotations

import html
import shutil
import unicodedata
from typing import Any

ROWS = 20
CELL_WIDTH_MAX = 60
CELL_WIDTH_MIN = 16
NULL = "NULL"


def text(preview: dict[str, Any], width: int | None = None) -> str:
    """Lay the cells out as wide as the terminal; columns that do not fit even when shrunk are left out."""
    width = width or shutil.get_terminal_size((120, 24)).columns
    names = [name for name, _ in preview["columns"]]
    types = [_short(kind) for _, kind in preview["columns"]]
    rows = [[_line(cell) for cell in row] for row in preview["rows"]]
    columns = list(zip(names, types, *rows, strict=True))
    right = [_is_number(kind) for kind in types]
    widths = _shrunk([min(max(map(_columns, column)), CELL_WIDTH_MAX) for column in columns], width)
    cells = [[_cut(cell, one) for cell in column] for column, one in zip(columns, widths, strict=True)]
    shown = _fitting(widths, width)
    lines = [
        _row([cells[i][line] for i in shown], [widths[i] for i in shown], [right[i] for i in shown])
        for line in range(len(rows) + 2)
    ]
    rule = "-+-".join("-" * widths[i] for i in shown)
    return "\n".join([*lines[:2], f"-{rule}-", *lines[2:], _footer(preview, len(names) - len(shown))])


def page(preview: dict[str, Any]) -> str:
    """Return an HTML table without script or style."""
    head = "".join(
        f"<th>{html.escape(name)}<br><small>{html.escape(_short(kind))}</small></th>"
        for name, kind in preview["columns"]
    )
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cut(_line(cell), CELL_WIDTH_MAX))}</td>" for cell in row) + "</tr>"
        for row in preview["rows"]
    )
    footer = html.escape(_footer(preview, 0))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{footer}</p>"


def _footer(preview: dict[str, Any], hidden: int) -> str:
    count = len(preview["rows"])
    rows = f"first {count} rows" if preview["more"] else f"{count} row{'' if count == 1 else 's'}"
    return f"({rows}, {hidden} more column{'' if hidden == 1 else 's'})" if hidden else f"({rows})"


def _shrunk(widths: list[int], width: int) -> list[int]:
    """Take from the widest columns until all fit, or all are as narrow as is still readable."""
    widths = list(widths)
    while sum(widths) + 3 * len(widths) > width:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= CELL_WIDTH_MIN:
            break
        widths[widest] -= 1
    return widths


def _fitting(widths: list[int], width: int) -> list[int]:
    shown: list[int] = []
    used = 0
    for place, one in enumerate(widths):
        used += one + 3
        if shown and used > width:
            break
        shown.append(place)
    return shown


def _row(cells: list[str], widths: list[int], right: list[bool]) -> str:
    parts = []
    for cell, width, at_right in zip(cells, widths, right, strict=True):
        pad = " " * (width - _columns(cell))
        parts.append(pad + cell if at_right else cell + pad)
    return f" {' | '.join(parts)} ".rstrip()


def _line(cell: str | None) -> str:
    if cell is None:
        return NULL
    return "".join(char if char.isprintable() else " " for char in cell)


def _cut(cell: str, width: int) -> str:
    if _columns(cell) <= width:
        return cell
    while _columns(cell) > width - 1:
        cell = cell[:-1]
    return cell + "\u2026"


def _columns(cell: str) -> int:
    return sum(_char_columns(char) for char in cell)


def _char_columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _short(kind: str) -> str:
    return kind if len(kind) <= 32 else kind[:31] + "\u2026"


def _is_number(kind: str) -> bool:
    return kind.startswith(("Int", "UInt", "Float", "Decimal"))
