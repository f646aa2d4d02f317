"""The table and the file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Result:
    """One measurement. `ratio` is value / baseline; `target` is what it should be, in words."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Value divided by baseline."""
        return None if not self.baseline else round(self.value / self.baseline, 3)


@dataclass
class Results:
    """What was measured so far, printed as it comes."""

    all: list[Result] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        baseline: float | None = None,
        least: float | None = None,
        most: float | None = None,
        of_ratio: bool = False,
    ) -> None:
        """Note a measurement; `least` and `most` bound the value, or with `of_ratio` the ratio."""
        result = Result(name, value, unit, baseline)
        judged = (result.ratio or 0) if of_ratio else value
        target, met = "", None
        if least is not None:
            target, met = f"≥ {least:g}", judged >= least
        elif most is not None:
            target, met = f"≤ {most:g}", judged <= most
        if target:
            target += " ×" if of_ratio else f" {unit}"
        self.all.append(Result(name, round(value, 3), unit, _rounded(baseline), target, met))
        print(f"  {name}: {value:,.6g} {unit}" + (f" ({result.ratio} ×)" if baseline else ""))

    def print(self) -> None:
        """The table."""
        table = Table(title="Benchmarks")
        for column in ("what", "value", "unit", "baseline", "ratio", "target", ""):
            justify = "right" if column in ("value", "baseline", "ratio") else "left"
            table.add_column(column, justify=justify)
        for one in self.all:
            table.add_row(
                one.name,
                f"{one.value:,.6g}",
                one.unit,
                "" if one.baseline is None else f"{one.baseline:,.6g}",
                "" if one.ratio is None else f"{one.ratio:.3f}",
                one.target,
                "" if one.met is None else "met" if one.met else "MISSED",
            )
        Console(width=118).print(table)

    def write(self) -> None:
        """The file that programs read."""
        rows = [
            {key: asdict(one)[key] for key in ("name", "value", "unit", "baseline")}
            | {"ratio": one.ratio}
            for one in self.all
        ]
        FILE.write_text(json.dumps(rows, indent=2) + "\n")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
