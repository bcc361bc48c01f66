"""The last step of `make quickstart`: perplexities before and after training, beside the expected ones."""

import math
import sys
from pathlib import Path

from ilm.files import read_json
from ilm.models.scoring import KINDS
from ilm.runs.folder import RunFolder
from ilm.tables import TextTable, show


def comparison(run: RunFolder, expected: dict[str, dict[str, float]]) -> TextTable:
    """Validation perplexities of a finished run before training and at its best, and those of `expected`."""
    status, rows = run.status, []
    for kind in KINDS:
        before, after = math.exp(status["first"][kind]), math.exp(status["best"][kind])
        cells = (before, expected["before"][kind], after, expected["after"][kind])
        rows.append((kind, *(f"{value:,.1f}" for value in cells)))
    columns = ("", "before training", "expected", "after training", "expected")
    return TextTable(f"Validation perplexity of {run.path.name}", columns, rows, "lrrrr")


if __name__ == "__main__":
    show(comparison(RunFolder(Path(sys.argv[1])), read_json(Path(sys.argv[2]))))
