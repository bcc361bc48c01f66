"""The report of a cloze test: its files, and its tables for a terminal, a page and a paper, with notes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.cloze.metrics import GROUPINGS, LEVELS, LOG_PROBABILITY, MATCHES, PSEUDO
from ilm.evaluation.figures import new_figure
from ilm.evaluation.models import seen_warnings
from ilm.evaluation.statistics import EXACT, FEWEST
from ilm.files import atomic_file
from ilm.tables import TextTable, show, wrap_name

# Metrics shown in per cent, and their headings.
SHARES = {"exact": "exact", "folded": "match", "top5": "top-5", "top10": "top-10"}
SHARES |= {"unigram_f1": "char F1", "bigram_f1": "bigram F1"}
HEADINGS = {**SHARES, "mrr": "MRR", LOG_PROBABILITY: "log p", PSEUDO: "PLL"}
OTHERS = ("unigram_f1", "bigram_f1", LOG_PROBABILITY, PSEUDO)
MAIN = ("folded", LOG_PROBABILITY, PSEUDO)  # where there is no room for all
_INCHES = 3.0  # of a panel of the plot

Tables = Mapping[str, pd.DataFrame]
"""cloze, comparisons, calibration, blanks: see docs/cloze.md."""


def write_report(folder: Path, header: Mapping[str, Any], tables: Tables) -> None:
    """Write all files of a cloze test."""
    with atomic_file(folder / "calibration.png") as temporary:
        _plot_calibration(tables["calibration"], header["models"], temporary)
    report.write_csv(folder / "blanks.csv", tables["blanks"])
    results = {name: tables[name] for name in ("cloze", "comparisons", "calibration")}
    report.write_report(
        folder, header, results, {"cloze.md": _markdown(header, tables), "cloze.tex": _latex(header, tables)}
    )


def print_tables(header: Mapping[str, Any], tables: Tables) -> None:
    """The overall table with a column per model (six models fit in 80 columns), the one by level, and the pairs."""
    names = short_names(list(header["models"]))
    overall = _overall(header, tables, names, "Cloze", (*MATCHES, *OTHERS))
    first, *others = zip(overall.columns, *overall.rows, strict=True)
    turned = TextTable(overall.title, first, others, "l" + "r" * (len(first) - 1))
    by_level = [table for table in _by_group(header, tables, names) if table.columns[0] == LEVELS]
    *shown, last = [turned, *by_level, *_pairs(tables, names, MAIN)[:1]]
    caption = " ".join([f"{'; '.join(described(header))}.", *notes(header)])
    show(*shown, replace(last, caption=caption))


def _markdown(header: Mapping[str, Any], tables: Tables) -> str:
    names = {model: model for model in header["models"]}
    shown = [
        _overall(header, tables, names, "Cloze", (*MATCHES, *OTHERS)),
        *_by_group(header, tables, names),
        *_pairs(tables, names, (*MATCHES, *OTHERS)),
        _failures(header, names),
        _models(header, names),
    ]
    parts = [f"# Cloze\n\n{'; '.join(described(header))}.\n", "".join(f"- {note}\n" for note in notes(header))]
    parts += [f"## {table.title}\n\n{table.markdown() if table.rows else 'None.'}\n" for table in shown]
    return "\n".join(parts) + "\n![calibration](calibration.png)\n"


def _latex(header: Mapping[str, Any], tables: Tables) -> str:
    """The main metrics with short names, for the text width of `article` and the packages booktabs and longtable."""
    names = short_names(list(header["models"]))
    first, *others = [
        _overall(header, tables, names, "Cloze: matches", MATCHES),
        _overall(header, tables, names, "Cloze: characters and probabilities", OTHERS),
        *_by_group(header, tables, names),
        *_pairs(tables, names, MAIN),
        _failures(header, names),
        # A paper needs no paths.
        _models(header, names, with_places=False),
    ]
    caption = (f"{'; '.join(described(header))}.", *notes(header))
    parts = ["% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,longtable}\n", first.latex(*caption)]
    return "\n".join([*parts, *(table.latex() for table in others if table.rows)])


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


def described(header: Mapping[str, Any]) -> list[str]:
    """The texts and items behind all numbers."""
    cloze = header["configuration"]["task"]
    blanks = f"{cloze['n_masks']} blank" + "s" * (cloze["n_masks"] > 1)
    return [
        *report.described(header["source"]),
        f"{header['items']:,} items of {header['texts']:,} texts with {blanks} each",
        f"positions {cloze['positions']}, seed {cloze['seed']}",
        *(f"{count:,} {cause}" for cause, count in header["texts_counted"].items()),
    ]


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences needed to read the tables: what was compared, and what was not."""
    models = header["models"]
    kinds, unit = {about["kind"] for about in models.values()}, header["unit"]
    seeds = any(len(about["runs"]) > 1 for about in models.values())
    said = [
        *seen_warnings(models),
        f"± is one standard error, clustered by {unit}; failed blanks, without an answer, count as wrong.",
        *(
            ["With several seeds, n counts the answers of all, ± includes seeds, and pairs compare means over seeds."]
            * seeds
        ),
        "Unsure: lists that may lack a likelier answer, since the search could not expand all likely hypotheses. "
        "Tokenisations of a word add up, except those less likely than a tenth of the last word listed.",
        "Exact is case-sensitive; match, top-5, top-10, MRR and characters are not.",
        "log p, the mean log-probability of the learner's word in nats, compares models of one kind. It is over the "
        "blanks that have one; pairs of models are compared on those that both have.",
    ]
    if "mlm" in kinds:
        said.append(
            "PLL, the pseudo-log-likelihood of masked models, is not the probability of a word among all words, and is "
            "not compared with log p."
        )
    if len(kinds) > 1 and "mlm" in kinds:
        said.append("Masked models were given each word's number of subtokens, the other models were not.")
    if len(models) > 1:
        said.append(
            f"Pairs are compared on the same blanks: p by flipping the signs of {unit}s' differences, exact up to "
            f"{EXACT} of them, none below {FEWEST}; intervals by a bootstrap over {unit}s, too short below 50. Holm's "
            "method adjusts for all pairs of a metric, not for several metrics."
        )
    if header["part_of_speech"].startswith("left out"):
        said.append(f"By part of speech: {header['part_of_speech']}.")
    return said


def _overall(
    header: Mapping[str, Any], tables: Tables, names: Mapping[str, str], title: str, metrics: Sequence[str]
) -> TextTable:
    results = tables["cloze"]
    overall = results[results["grouping"] == "all"].set_index(["model", "metric"])
    columns = [metric for metric in metrics if metric in overall.index.get_level_values("metric")]
    with_error = LOG_PROBABILITY in metrics
    rows = []
    for model, about in header["models"].items():
        cells = [_cell(overall.loc[(model, m)], m) if (model, m) in overall.index else "" for m in columns]
        error = about["expected_calibration_error"]
        ece = [] if not with_error else [""] if error is None else [f"{100 * error:.1f}"]
        counts = (about["blanks"], sum(about["failures"].values()), about["incomplete_lists"])
        rows.append([names[model], *map(str, counts), *cells, *ece])
    headings = ["model", "n", "failed", "unsure", *(HEADINGS[m] for m in columns), *["ECE"] * with_error]
    return TextTable(title, headings, rows, "l" + "r" * (len(headings) - 1))


def _by_group(header: Mapping[str, Any], tables: Tables, names: Mapping[str, str]) -> list[TextTable]:
    """A row per group, a column per model. Grouped by their own subtokens, models differ in n."""
    results, models = tables["cloze"], header["models"]
    shown = []
    for grouping, said in GROUPINGS.items():
        part = results[(results["grouping"] == grouping) & (results["metric"] == "folded")]
        cells = {(row.model, row.group): _cell(row._asdict(), "folded") for row in part.itertuples()}
        rows = []
        for group, counts in part.groupby("group", sort=False)["n"]:
            n = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()}-{counts.max()}"
            rows.append([group, n, *(cells.get((model, group), "") for model in models)])
        if rows:
            first = "subtokens" if "subtokens" in grouping else said
            columns = [first, "n", *names.values()]
            shown.append(TextTable(f"Match by {said}", columns, rows, "l" + "r" * (len(columns) - 1)))
    return shown


def _pairs(tables: Tables, names: Mapping[str, str], metrics: Sequence[str]) -> list[TextTable]:
    """The pairs over all blanks in `metrics`, and within each level in the main ones, a table for each."""
    comparisons = tables["comparisons"]
    if not len(comparisons):
        return []
    overall = comparisons[(comparisons["grouping"] == "all") & comparisons["metric"].isin(metrics)]
    by_level = comparisons[comparisons["grouping"] == "cefr_level"]
    columns = ["difference", "95 % interval", "p", "p (Holm)", "n"]

    def pair(row: Any) -> str:
        return f"{names[row.a]} − {names[row.b]}"

    shown = [
        TextTable(
            "Pairs of models",
            ["pair", "metric", *columns],
            [[pair(row), HEADINGS[row.metric], *_compared(row)] for row in overall.itertuples()],
            "plrrrrr",
        )
    ]
    for metric in MAIN:
        rows = [[row.group, pair(row), *_compared(row)] for row in by_level.itertuples() if row.metric == metric]
        if rows:
            title = f"Pairs of models by {LEVELS}: {HEADINGS[metric]}"
            shown.append(TextTable(title, [LEVELS, "pair", *columns], rows, "lprrrrr"))
    return shown


def _compared(row: Any) -> list[str]:
    scale, digits = _scale(row.metric)
    difference, low, high = (f"{scale * value:+.{digits}f}" for value in (row.difference, row.low, row.high))
    shown = ["", "", ""] if pd.isna(row.p) else [f"{low} to {high}", _p(row.p), _p(row.p_holm)]
    return [difference, *shown, str(row.n)]


def _failures(header: Mapping[str, Any], names: Mapping[str, str]) -> TextTable:
    rows = []
    for model, about in header["models"].items():
        causes = (("no answer (wrong)", about["failures"]), ("no log p", about["without_log_probability"]))
        for what, counts in causes:
            rows += [[names[model], what, cause, str(count)] for cause, count in counts.items()]
    return TextTable(
        "Blanks without an answer or a log-probability", ["model", "what", "cause", "blanks"], rows, "llpr"
    )


def _models(header: Mapping[str, Any], names: Mapping[str, str], *, with_places: bool = True) -> TextTable:
    """The use of each model, and whether it was trained on the texts."""
    rows = []
    for model, about in header["models"].items():
        usage, seen = about["usage"], about["texts_seen_in_training"]
        how = {"mlm": "masks", "ilm": f"blank [{usage.get('blank')}]"}
        known = seen["why_unknown"] or f"{seen['texts']:,} in the training split of {seen['corpus']}"
        places = [about["model"]] * with_places
        rows.append([names[model], *places, how.get(about["kind"], "span"), known])
    columns = ["model", *["from"] * with_places, "used with", "texts seen in training"]
    return TextTable("Models", columns, rows, "lplp" if with_places else "llp")


def _cell(row: Mapping[str, Any], metric: str) -> str:
    scale, digits = _scale(metric)
    error = row["standard_error"]
    plus_minus = "" if pd.isna(error) else f" ±{scale * error:.{digits}f}"
    return f"{scale * row['value']:.{digits}f}{plus_minus}"


def _scale(metric: str) -> tuple[int, int]:
    """(Factor, decimals) for showing a metric."""
    return (100, 1) if metric in SHARES else (1, 3 if metric == "mrr" else 2)


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _plot_calibration(reliability: pd.DataFrame, models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A panel per model: the share of correct first answers against their mean probability, by bin.

    Areas are the bins' shares of the answers, bars one standard error. `reliability` has the columns of
    `ilm.evaluation.statistics.calibration`, and `model`; `models` are the models' records.
    """
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    figure = new_figure(max(4.0, _INCHES * columns + 0.4), (_INCHES + 0.6) * rows + 0.3)
    figure.set_layout_engine("constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel, (model, about) in zip(panels, models.items(), strict=False):
        own = reliability[reliability["model"] == model]
        panel.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        panel.errorbar(own["confidence"], own["correct"], own["standard_error"].fillna(0), color="C0", linewidth=1)
        areas = 15 + 250 * own["n"] / max(1, own["n"].sum())
        panel.scatter(own["confidence"], own["correct"], s=areas, color="C0", alpha=0.6, clip_on=False, zorder=3)
        error = about["expected_calibration_error"]
        said = "no answers" if error is None else f"ECE {100 * error:.1f} %, {own['n'].sum():,} answers"
        panel.set_title("\n".join([*wrap_name(model, 30), said]), fontsize=8)
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"], fontsize=8)
        panel.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"], fontsize=8)
    for panel in panels[len(models) :]:
        panel.set_visible(False)
    figure.supxlabel("mean probability of the first answer", fontsize=9)
    figure.supylabel("share of correct first answers", fontsize=9)
    figure.savefig(path, dpi=150, format="png")
