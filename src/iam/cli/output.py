"""How commands print: tables for people, JSON lines for programs."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; a terminal's width is respected, a pipe gets every character."""
    if not rows:
        print(f"{title}: none.")
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=240)
    console.print(table)


def print_json(value: object) -> None:
    """One JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False, default=str))
