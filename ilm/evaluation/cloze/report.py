"""The report of a cloze test: its files, and its tables for a terminal, a page and a paper, with notes."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.cloze.metrics import GROUPINGS, LEVELS, LOG_PROBABILITY, PSEUDO
from ilm.evaluation.figures import figure_style, reliability_figure, write_figures
from ilm.evaluation.models import seen_warnings
from ilm.evaluation.statistics import EXACT, FEWEST
from ilm.tables import TextTable

# Metrics in tables, and their headings.
HEADINGS = {"exact": "exact", "folded": "match", "top5": "top-5", "top10": "top-10", "mrr": "MRR"}
HEADINGS |= {"unigram_f1": "char F1", "bigram_f1": "bigram F1", LOG_PROBABILITY: "log p", PSEUDO: "PLL"}
PAIRED = ("folded", LOG_PROBABILITY, PSEUDO)  # those of the tables of pairs
OVERALL, PAIRS = "Cloze", "Pairs of models"

Tables = Mapping[str, pd.DataFrame]
"""cloze, comparisons, calibration, blanks: see docs/cloze.md."""


def write_report(folder: Path, header: Mapping[str, Any], tables: Tables) -> None:
    """Write all files of a cloze test."""
    reliability = tables["calibration"]
    panels = {
        model: (reliability[reliability["model"] == model], about["expected_calibration_error"])
        for model, about in header["models"].items()
    }
    with figure_style():
        figure = reliability_figure(
            panels, "answers", "mean probability of the first answer", "share of correct first answers"
        )
        write_figures(folder, {"calibration": figure})
    report.write_csv(folder / "blanks.csv", tables["blanks"])
    results = {name: tables[name] for name in ("cloze", "comparisons", "calibration")}
    report.write_pages(folder, "cloze", "Cloze", notes(header), text_tables(header, tables), ["calibration"])
    report.write_report(folder, header, results)


def print_tables(header: Mapping[str, Any], tables: Tables) -> None:
    """The overall table, the one by level, and the pairs over all blanks."""
    titles = (OVERALL, _by(LEVELS), PAIRS)
    report.print_tables([table for table in text_tables(header, tables) if table.title in titles], notes(header))


def text_tables(header: Mapping[str, Any], tables: Tables) -> list[TextTable]:
    """All tables that have rows. Models have short names, and a column each: six fit in 80 columns."""
    names = short_names(list(header["models"]))
    found = [
        _overall(header, tables["cloze"], names),
        *_by_group(tables["cloze"], names),
        *_pairs(tables["comparisons"], names),
        _failures(header, names),
        _models(header, names),
    ]
    return [table for table in found if table.rows]


def short_names(models: Sequence[str]) -> dict[str, str]:
    """The names without their common first and last parts (divided by : / _), such as A1, A2 for six runs."""
    parts = [re.findall(r"[^:/_]*[:/_]?", model)[:-1] for model in models]
    before = _alike(parts)
    after = _alike([own[before:][::-1] for own in parts])
    short = ["".join(own[before : len(own) - after]).rstrip(":/_") for own in parts]
    usable = all(short) and len(set(short)) == len(models)
    return dict(zip(models, short if usable else models, strict=True))


def _alike(sequences: Sequence[Sequence[str]]) -> int:
    """The number of entries that all of them begin with."""
    return sum(1 for _ in takewhile(lambda entries: len(set(entries)) == 1, zip(*sequences, strict=False)))


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences needed to read the tables: what was compared, and what was not."""
    models, unit, task = header["models"], header["unit"], header["configuration"]["task"]
    kinds = {about["kind"] for about in models.values()}
    about = [
        *report.described(header["source"]),
        f"{header['items']:,} items of {header['texts']:,} texts with {task['n_masks']} blank"
        f"{'s' * (task['n_masks'] > 1)} each",
        f"positions {task['positions']}, seed {task['seed']}",
        *(f"{count:,} {cause}" for cause, count in header["texts_counted"].items()),
    ]
    said = [
        f"{'; '.join(about)}.",
        *seen_warnings(models),
        f"± is one standard error, clustered by {unit}; failed blanks, without an answer, count as wrong.",
        "Unsure: lists that may lack a likelier answer, since the search could not expand all likely hypotheses. "
        "Tokenisations of a word add up, except those less likely than a tenth of the last word listed.",
        "Exact is case-sensitive; match, top-5, top-10, MRR and characters are not.",
        "log p, the mean log-probability of the learner's word in nats, compares models of one kind. It is over the "
        "blanks that have one; pairs of models are compared on those that both have.",
    ]
    if any(len(record["runs"]) > 1 for record in models.values()):
        said.append("With several seeds, n counts the answers of all, ± includes seeds, and pairs compare their means.")
    if "mlm" in kinds:
        said.append(
            "PLL, the pseudo-log-likelihood of masked models, is not the probability of a word among all words, and is "
            "not compared with log p. Only masked models were given each word's number of subtokens."
        )
    if len(models) > 1:
        said.append(
            f"Pairs are compared on the same blanks: p by flipping the signs of {unit}s' differences, exact up to "
            f"{EXACT} of them, none below {FEWEST}; intervals by a bootstrap over {unit}s, too short below 50. Holm's "
            "method adjusts for all pairs of a metric, not for several metrics."
        )
    if header["part_of_speech"].startswith("left out"):
        said.append(f"By part of speech: {header['part_of_speech']}.")
    return said


def _overall(header: Mapping[str, Any], results: pd.DataFrame, names: Mapping[str, str]) -> TextTable:
    """A row per count and metric."""
    models = header["models"].values()
    cells = _cells(results[results["grouping"] == "all"], "metric", names)
    errors = [about["expected_calibration_error"] for about in models]
    rows = [
        ["n", *(str(about["blanks"]) for about in models)],
        ["failed", *(str(sum(about["failures"].values())) for about in models)],
        ["unsure", *(str(about["incomplete_lists"]) for about in models)],
        *([heading, *cells[metric]] for metric, heading in HEADINGS.items() if metric in cells),
        ["ECE", *("" if error is None else f"{100 * error:.1f}" for error in errors)],
    ]
    return TextTable(OVERALL, ["model", *names.values()], rows, "l" + "r" * len(names))


def _by_group(results: pd.DataFrame, names: Mapping[str, str]) -> list[TextTable]:
    """A row per group. Grouped by their own subtokens, models differ in n."""
    shown = []
    for grouping, said in GROUPINGS.items():
        part = results[(results["grouping"] == grouping) & (results["metric"] == "folded")]
        cells, rows = _cells(part, "group", names), []
        for group, counts in part.groupby("group", sort=False)["n"]:
            n = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()}-{counts.max()}"
            rows.append([group, n, *cells[group]])
        columns = ["subtokens" if "subtokens" in grouping else said, "n", *names.values()]
        shown.append(TextTable(_by(said), columns, rows, "l" + "r" * (len(columns) - 1)))
    return shown


def _by(grouping: str) -> str:
    return f"Match by {grouping}"


def _cells(results: pd.DataFrame, column: str, models: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each value of `column` a cell per model, which may be empty."""
    cells = {(row[column], row["model"]): _cell(row) for row in results.to_dict("records")}
    return {value: [cells.get((value, model), "") for model in models] for value in results[column].unique()}


def _pairs(comparisons: pd.DataFrame, names: Mapping[str, str]) -> list[TextTable]:
    """The pairs over all blanks, and within each level, a table for each metric."""
    overall: list[list[str]] = []
    by_level: dict[str, list[list[str]]] = {metric: [] for metric in PAIRED}
    for row in comparisons[comparisons["metric"].isin(PAIRED)].itertuples():
        pair, (scale, digits) = f"{names[row.a]} − {names[row.b]}", _scale(row.metric)
        cells = report.paired_cells(row, digits, scale)
        if row.grouping == "all":
            overall.append([pair, HEADINGS[row.metric], *cells])
        else:
            by_level[row.metric].append([row.group, pair, *cells])
    return [
        TextTable(PAIRS, ["pair", "metric", *report.PAIRED], overall, "plrrrrr"),
        *(
            TextTable(f"{PAIRS} by {LEVELS}: {HEADINGS[metric]}", [LEVELS, "pair", *report.PAIRED], rows, "lprrrrr")
            for metric, rows in by_level.items()
        ),
    ]


def _failures(header: Mapping[str, Any], names: Mapping[str, str]) -> TextTable:
    rows = []
    for model, about in header["models"].items():
        causes = (("no answer (wrong)", about["failures"]), ("no log p", about["without_log_probability"]))
        for what, counts in causes:
            rows += [[names[model], what, cause, str(count)] for cause, count in counts.items()]
    return TextTable(
        "Blanks without an answer or a log-probability", ["model", "what", "cause", "blanks"], rows, "llpr"
    )


def _models(header: Mapping[str, Any], names: Mapping[str, str]) -> TextTable:
    """The whole name of each model, and whether it was trained on the texts."""
    rows = []
    for model, about in header["models"].items():
        seen = about["texts_seen_in_training"]
        rows.append([names[model], model, "unknown" if seen is None else f"{seen:,}"])
    return TextTable("Models", ["model", "name", "texts seen in training"], rows, "llp")


def _cell(row: Mapping[str, Any]) -> str:
    scale, digits = _scale(row["metric"])
    error = row["standard_error"]
    plus_minus = "" if pd.isna(error) else f" ±{scale * error:.{digits}f}"
    return f"{scale * row['value']:.{digits}f}{plus_minus}"


def _scale(metric: str) -> tuple[int, int]:
    """(Factor, decimals) for showing a metric: shares in per cent."""
    return (1, 3) if metric == "mrr" else (1, 2) if metric in (LOG_PROBABILITY, PSEUDO) else (100, 1)
