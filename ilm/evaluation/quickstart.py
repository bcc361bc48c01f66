"""The last step of `make quickstart`: the perplexities before and after training, beside those to expect."""

import math
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ilm.files import read_json
from ilm.models.scoring import KINDS
from ilm.runs.folder import RunFolder


def comparison(run: RunFolder, expected: dict[str, dict[str, float]]) -> Table:
    """Validation perplexities of a finished run before training and at its best, and those of `expected`."""
    status = run.status
    table = Table(title=f"Validation perplexity of {run.path.name}", title_justify="left")
    table.add_column("")
    for column in ("before training", "expected", "after training", "expected"):
        table.add_column(column, justify="right")
    for kind in KINDS:
        before, after = math.exp(status["first"][kind]), math.exp(status["best"][kind])
        cells = (before, expected["before"][kind], after, expected["after"][kind])
        table.add_row(kind, *(f"{value:,.1f}" for value in cells))
    return table


if __name__ == "__main__":
    Console().print(comparison(RunFolder(Path(sys.argv[1])), read_json(Path(sys.argv[2]))))
