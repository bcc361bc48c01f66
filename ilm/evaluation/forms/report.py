"""The report of forms: its files, and its tables for a terminal and a page, with notes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.forms.results import ALL, GROUPINGS, LEVEL, UNKNOWN
from ilm.evaluation.forms.scoring import NO_EDIT
from ilm.evaluation.models import seen_warnings
from ilm.tables import TextTable

TITLES = {"kind": "kind of edit", "words": "words of the longer form", "position": "place in the text", "l1": "L1"}


def write_report(
    folder: Path, header: Mapping[str, Any], results: pd.DataFrame, pairs: pd.DataFrame, edits: pd.DataFrame
) -> None:
    """Write all files: edits.csv with every edit under every run, both tables, the page, report.json."""
    report.write_csv(folder / "edits.csv", edits)
    tables = [*(_by(results, name) for name in _known(results)), *([_pairs(pairs)] if len(pairs) else [])]
    report.write_pages(folder, "forms", "Learners' forms and corrected ones", notes(header), tables)
    report.write_report(folder, header, {"forms": results, "comparisons": pairs})


def print_tables(header: Mapping[str, Any], results: pd.DataFrame) -> None:
    """Print means by level and by kind of edit, as far as they are known."""
    shown = [name for name in (LEVEL, "kind") if name in _known(results)] or [LEVEL]
    report.print_tables([_by(results, name) for name in shown], notes(header))


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences needed to read the tables."""
    options, models, unit = header["configuration"]["task"], header["models"], header["unit"]
    around = "the learner's text with its other errors" if options["context"] == "learner" else "the corrected text"
    not_scored = [f"{cause} ({count:,})" for cause, count in header["counts"].items() if cause != NO_EDIT]
    conditioned = any(about["condition"] for about in models.values())
    left_out = [
        f"{run} left out {', '.join(f'{n:,} ({cause})' for cause, n in about['left_out'].items())}"
        for run, about in models.items()
        if about["left_out"]
    ]
    about = [*report.described(header["source"]), f"{header['edits']:,} edits of {header['texts']:,} texts"]
    about += [f"{NO_EDIT}: {header['counts'][NO_EDIT]:,}"] if NO_EDIT in header["counts"] else []
    return [
        f"{'; '.join(about)}.",
        *([f"Not scored: {'; '.join(not_scored)}."] if not_scored else []),
        *([f"{'; '.join(left_out)}."] if left_out else []),
        *seen_warnings(models),
        *([f"Conditioned models: task.condition={options['condition']}."] if conditioned else []),
        f"Log-odds: log p(learner's form + end) - log p(corrected form + end) in nats, in the same blank of {around}; "
        "above 0 the learner's form is likelier. In brackets its 95 % interval over "
        f"{unit}s (too short below 50 of them, none below 6) and the share of edits with log-odds above 0.",
    ]


def _known(results: pd.DataFrame) -> list[str]:
    """The groupings with a group that is known."""
    return [name for name in GROUPINGS if set(results["group"][results["grouping"] == name]) - {UNKNOWN}]


def _by(results: pd.DataFrame, grouping: str) -> TextTable:
    """A row per group and one for all edits; a column per run."""
    runs = list(dict.fromkeys(results["run"]))
    cells = {(row.grouping, row.group, row.run): row for row in results.itertuples()}
    own = results[results["grouping"] == grouping]
    groups = [(grouping, group) for group in dict.fromkeys(own["group"])] + [(ALL, ALL)]
    rows = []
    for key in groups:
        found = [cells.get((*key, run)) for run in runs]
        n = max(row.n for row in found if row is not None)
        rows.append([key[1], f"{n:,}", *("" if row is None else _cell(row) for row in found)])
    columns = [TITLES.get(grouping, "level"), "edits", *runs]
    return TextTable(f"Log-odds of learners' forms by {columns[0]}", columns, rows, "l" + "r" * (len(columns) - 1))


def _cell(row: Any) -> str:
    return f"{report.with_interval(row.log_odds, row.low, row.high, '+.2f')} ({100 * row.preferred:.0f} %)"


def _pairs(pairs: pd.DataFrame) -> TextTable:
    rows = [[row.group, f"{row.a} − {row.b}", *report.paired_cells(row)] for row in pairs.itertuples()]
    columns = ["level", "pair", *report.PAIRED]
    return TextTable("Pairs of models: difference in log-odds", columns, rows, "lprrrrr")
