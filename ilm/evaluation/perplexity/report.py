"""The report of perplexities: report.json, perplexity.csv, perplexity.md, and tables for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.comparison.report import write_comparison
from ilm.evaluation.comparison.study import Study
from ilm.evaluation.comparison.tables import About
from ilm.examples.cuts import LevelCuts, advice, cut_lines
from ilm.models.scoring import KINDS
from ilm.tables import TextTable

# The models of one table share these: only level and seed differ. `masks` is the folder of their masks.
FAMILY = ("model", "objective", "masking", "experiment", "masks")


def write_report(
    folder: Path, header: Mapping[str, Any], results: pd.DataFrame, comparison: tuple[Study, About] | None = None
) -> None:
    """Write all files of an evaluation.

    `header` records how the numbers were made; `results` has one row per run, level, kind and mask type.
    """
    shown = [*tables(header, results, list(dict.fromkeys(results["level"]))), _by_mask_type(results)]
    report.write_pages(folder, "perplexity", "Perplexity", [], shown)
    compared = write_comparison(folder, *comparison) if comparison else {}
    report.write_report(folder, header, {"perplexity": results} | compared)


def tables(header: Mapping[str, Any], results: pd.DataFrame, levels: Sequence[str]) -> list[TextTable]:
    """Perplexities, a table per (model, objective, masking, experiment, masks): a row per run and kind, a column per
    level. Runs are named by level and seed, so that six levels take at most 80 columns.
    """
    shown = []
    overall = results[results["mask_type"] == "all"]
    families = overall.groupby(list(FAMILY), dropna=False)
    # Masks of one name may have been drawn with other settings; only their hash differs.
    several = families.ngroups > overall.groupby(list(FAMILY[:-1]), dropna=False).ngroups
    for key, group in families:
        title = ", ".join(str(part) for part in (key if several else key[:-1]) if not pd.isna(part))
        wide = group.pivot_table(index=["run", "kind"], columns="level", values="perplexity", sort=False)
        columns = [level for level in levels if level in wide]
        rows: list[tuple[str, ...]] = []
        sections = []
        for run, label in _labels(group).items():
            sections.append(len(rows))
            for kind in (kind for kind in KINDS if (run, kind) in wide.index):
                name = "" if len(rows) > sections[-1] else label
                rows.append((name, kind, *map(_number, wide.loc[(run, kind), columns])))
        align = "ll" + "r" * len(columns)
        head = ("run", "perplexity", *columns)
        shown.append(TextTable(f"Perplexity: {title}", head, rows, align, caption(header, group), sections[1:]))
    return shown


def caption(header: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """The texts, masks and length that these rows were measured on, to accompany every number."""
    task, limit = header["configuration"]["task"], header["configuration"]["limit"]
    masks = " or ".join(str(count) for count in sorted(rows["masks_per_document"].unique()))
    chosen = (
        f"the first {task['max_examples']:,} examples by hash"
        if task.get("max_examples")
        else f"{masks} {'mask' if masks == '1' else 'masks'} a document, "
        + (f"{limit:,} documents a level" if limit else "all documents")
    )
    # The counts of a run are repeated for each kind and level.
    runs = rows[rows["kind"] == "infill"]
    said = [*report.described(header["source"]), chosen]
    said += [f"{column} {' or '.join(values)} only" for column, values in (task["only"] or {}).items()]
    said += [f"masks {task['masks']}"] if task["masks"] else []
    if task["fitting"] != "complete":
        said += _cuts(runs, task["max_length"])
    counts = runs.drop_duplicates("run")[["dropped_examples", "unfitting_examples", "left_over_examples"]].sum()
    dropped, unfitting, left_over = map(int, counts)
    said += [f"{dropped:,} dropped, since two spans share a token"] if dropped else []
    if task["fitting"] == "complete":
        said.append(f"{unfitting:,} left out, since a model truncates them")
    elif task["fitting"]:
        said.append(f"{unfitting:,} left out, since their {task['fitting']} row is longer")
    if task.get("drop_last"):
        said.append(f"{left_over:,} left out, the last partial batch of {task['batch_size']}")
    if (origin := header["training_corpus"]) and "shared" in origin:
        shared = origin["shared"]["texts"]
        said.append(f"models trained on {origin['corpus']}, whose training split has {shared:,} of these texts")
    return "; ".join(said)


def _cuts(runs: pd.DataFrame, max_length: int) -> list[str]:
    """What truncation removed, by level; the models of one table have the same examples."""
    rows = runs[(runs["run"] == runs["run"].iloc[0]) & (runs["mask_type"] == "all")]
    rows = rows.dropna(subset=["answer_tokens"])  # a level may have no examples
    cuts = [LevelCuts(level, *map(int, counts)) for level, *counts in rows[list(LevelCuts._fields)].to_numpy().tolist()]
    longest, at = int(rows["longest_example"].iloc[0]), f"cut at {max_length} tokens"
    lines = "; ".join(cut_lines(cuts))
    said = [f"{at}: {lines}" if lines else f"no example {at}: the longest has {longest:,}"]
    return [*said, *filter(None, [advice(cuts, longest, "task.max_length")])]


def _number(value: float) -> str:
    """A perplexity in at most six characters below a million."""
    if pd.isna(value):
        return ""
    return f"{value:.2f}" if value < 100 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _labels(rows: pd.DataFrame) -> dict[str, str]:
    """Runs by training level, and seed unless it is 0; by their names if that is ambiguous."""
    runs = rows.drop_duplicates("run")
    labels = {
        row.run: row.trained_on + (f", seed {row.seed}" if pd.notna(row.seed) and row.seed else "")
        for row in runs.itertuples()
    }
    return labels if len(set(labels.values())) == len(labels) else {run: run for run in labels}


def _by_mask_type(results: pd.DataFrame) -> TextTable:
    rows = []
    for row in results.dropna(subset=["perplexity"]).itertuples():
        error = "" if pd.isna(row.loss_standard_error) else f"{row.loss_standard_error:.4f}"
        numbers = (_number(row.perplexity), f"{row.loss:.4f}", error, f"{row.targets:,}", f"{row.documents:,}")
        rows.append((row.run, row.level, row.kind, row.mask_type, *numbers))
    columns = ("run", "level", "kind", "mask type", "perplexity", "loss", "standard error", "tokens", "documents")
    note = "Loss: mean NLL in nats a token, with its standard error over learners if they are known, else texts."
    return TextTable("By mask type", columns, rows, "llllrrrrr", note)
