"""Results as files and tables: report.json, perplexity.csv, perplexity.md, documents.parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from ilm.errors import UserError
from ilm.files import atomic_folder, write_json
from ilm.training.scoring import KINDS

FAMILY = ("model", "objective", "masking", "experiment")


def write_report(folder: Path, header: Mapping[str, Any], results: pd.DataFrame, documents: pd.DataFrame) -> None:
    """Write all files of an evaluation, replacing those of an earlier one of the same name.

    `header` says how the numbers came about; `results` has one row per run, level, kind and mask type; `documents`
    the sums per document that they were made of.

    Raises: UserError if `folder` is there, but not from an evaluation.
    """
    if folder.exists() and not (folder / "report.json").is_file():
        raise UserError(f"{folder} exists and holds no report. Type name=... for another name.")
    with atomic_folder(folder) as temporary:
        rows = results.astype(object).where(results.notna(), None).to_dict("records")
        write_json(temporary / "report.json", {**header, "results": rows})
        results.to_csv(temporary / "perplexity.csv", index=False)
        (temporary / "perplexity.md").write_text(_markdown(header, results), encoding="utf-8")
        documents.to_parquet(temporary / "documents.parquet", index=False)


def tables(results: pd.DataFrame, levels: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """One table per (model, objective, masking, experiment): its title, and perplexities by run and kind x level."""
    shown = []
    overall = results[results["mask_type"] == "all"]
    for key, group in overall.groupby(list(FAMILY), dropna=False, sort=True):
        title = ", ".join(str(part) for part in key if not pd.isna(part))
        wide = group.pivot_table(index=["run", "kind"], columns="level", values="perplexity", sort=False)
        order = [(run, kind) for run in group["run"].unique() for kind in KINDS if (run, kind) in wide.index]
        shown.append((title, wide.reindex(order)[[level for level in levels if level in wide]]))
    return shown


def rich_table(title: str, wide: pd.DataFrame, caption: str) -> Table:
    """A table for the terminal."""
    table = Table(title=f"Perplexity: {title}", caption=caption, title_justify="left", caption_justify="left")
    table.add_column("run")
    table.add_column("kind")
    for level in wide.columns:
        table.add_column(str(level), justify="right")
    previous = None
    for (run, kind), row in wide.iterrows():
        if previous not in (None, run):
            table.add_section()
        table.add_row("" if run == previous else run, kind, *("" if pd.isna(v) else f"{v:.2f}" for v in row))
        previous = run
    return table


def caption(header: Mapping[str, Any]) -> str:
    """What must stand with every number."""
    evaluation = header["evaluation"]
    chosen = (
        f"the first {evaluation['max_examples']:,} examples by hash"
        if evaluation["max_examples"]
        else f"{evaluation['masks_per_document']} masks a document, "
        + (f"{evaluation['limit']:,} documents a level" if evaluation["limit"] else "all documents")
    )
    synthetic = "SYNTHETIC corpus " if header["synthetic"] else ""
    return (
        f"{synthetic}{header['corpus']}, {evaluation['split']} split; {chosen}; examples cut at "
        f"{evaluation['max_length']} tokens ({header['cut_share']:.1%} of them)"
    )


def _markdown(header: Mapping[str, Any], results: pd.DataFrame) -> str:
    levels = list(dict.fromkeys(results["level"]))
    parts = [f"# Perplexity\n\n{caption(header)}.\n"]
    for title, wide in tables(results, levels):
        lines = [f"## {title}\n", "| run | kind | " + " | ".join(wide.columns) + " |"]
        lines.append("|---|---|" + "---:|" * len(wide.columns))
        for (run, kind), row in wide.iterrows():
            lines.append(f"| {run} | {kind} | " + " | ".join("" if pd.isna(v) else f"{v:.2f}" for v in row) + " |")
        parts.append("\n".join(lines) + "\n")
    typed = (results["kind"] == "infill_textonly") & (results["mask_type"] != "all")
    lines = ["## infill_textonly by mask type\n", "| run | level | mask type | perplexity | targets | documents |"]
    lines.append("|---|---|---|---:|---:|---:|")
    for row in results[typed].dropna(subset=["perplexity"]).itertuples():
        cells = (row.run, row.level, row.mask_type, f"{row.perplexity:.2f}", f"{row.targets:,}", f"{row.documents:,}")
        lines.append("| " + " | ".join(cells) + " |")
    parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
