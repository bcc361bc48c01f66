"""Results as files and tables: report.json, .csv, .md, .tex, and what the terminal shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console
from rich.table import Table

from ilm.corpus.store import text_note
from ilm.evaluation.cloze.metrics import LOG_PROBABILITY, PSEUDO
from ilm.evaluation.cloze.plot import plot_calibration
from ilm.files import atomic_file, write_json

# Metric -> its heading; shares are shown in per cent.
SHARES = {
    "exact": "exact",
    "folded": "match",
    "top5": "top-5",
    "top10": "top-10",
    "unigram_f1": "char F1",
    "bigram_f1": "bigram F1",
}
HEADINGS = {**SHARES, "mrr": "MRR", LOG_PROBABILITY: "log p", PSEUDO: "PLL"}
SHOWN = ("exact", "folded", "top5", "top10", "mrr", "unigram_f1", "bigram_f1", LOG_PROBABILITY, PSEUDO)
COMPARED = ("exact", "folded", "top5", "top10", "mrr", LOG_PROBABILITY, PSEUDO)
GROUPINGS = {
    "cefr_level": "CEFR level",
    "l1": "L1",
    "subtokens_grouped": "number of subtokens (GPT-2's)",
    "own_subtokens_grouped": "number of subtokens (the model's own)",
    "part_of_speech": "part of speech",
}
LEGEND = (
    "match, top-5, top-10, MRR and characters fold case; log p (nats a word) and PLL, the pseudo-log-likelihood of "
    "masked models, cannot be compared with each other; ± is the standard error, clustered by text"
)


class Shown(NamedTuple):
    """A table as it is shown: its first column names the rows."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def write_report(folder: Path, header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Write all files of a bench; `tables`: cloze, comparisons, calibration, blanks (see docs/cloze.md)."""
    for name, table in tables.items():
        with atomic_file(folder / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    shown = all_tables(header, tables)
    _write(folder / "cloze.md", _markdown(header, shown))
    _write(folder / "cloze.tex", _latex(header, shown))
    with atomic_file(folder / "calibration.png") as temporary:
        plot_calibration(tables["calibration"], header["models"], temporary)
    # The last one: where it is, everything is.
    results = {name: _records(tables[name]) for name in ("cloze", "comparisons", "calibration")}
    write_json(folder / "report.json", {**header, "results": results})


def print_tables(console: Console, header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """The overall table, that by level, and the pairs, for the terminal."""
    shown = all_tables(header, tables)
    chosen = [_transposed(shown[0]), *(table for table in shown[1:] if GROUPINGS["cefr_level"] in table.title)]
    for table in _pairs(tables["comparisons"]):
        # The other metrics are in the files: six models have fifteen pairs.
        main = [HEADINGS[metric] for metric in ("folded", LOG_PROBABILITY, PSEUDO)]
        chosen.append(table._replace(rows=[row for row in table.rows if row[1] in main]))
    for number, table in enumerate(chosen):
        caption = f"{described(header)}; {LEGEND}" if not number else None
        rich = Table(title=table.title, caption=caption, title_justify="left", caption_justify="left")
        for at, column in enumerate(table.columns):
            rich.add_column(column, justify="right" if at else "left", overflow="fold")
        for row in table.rows:
            rich.add_row(*row)
        console.print(rich)


def _transposed(table: Shown) -> Shown:
    """A column per model: six of them fit 80 columns."""
    columns = list(zip(table.columns, *table.rows, strict=True))
    return Shown(table.title, list(columns[0]), [list(column) for column in columns[1:]])


def all_tables(header: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> list[Shown]:
    """Every table of the report, the overall one first."""
    results, models = tables["cloze"], list(header["models"])
    shown = [_overall(results, header)]
    for grouping, said in GROUPINGS.items():
        part = results[(results["grouping"] == grouping) & (results["metric"] == "folded")]
        if len(part):
            shown.append(_by_group(part, models, said))
    shown += _pairs(tables["comparisons"])
    return [*shown, _failures(header), _asked(header)]


def described(header: Mapping[str, Any]) -> str:
    """The texts and questions that all numbers are about."""
    source, cloze = header["source"], header["configuration"]["cloze"]
    synthetic = "SYNTHETIC corpus " if source["synthetic"] else ""
    split = f", {source['split']} split" if "split" in source else ""
    said = [f"{synthetic}{source['name']}{split}"]
    said += [note] if (note := text_note(source.get("text_column", "text"))) else []
    blanks = f"{cloze['n_masks']} blank" + "s" * (cloze["n_masks"] > 1)
    said.append(f"{header['items']:,} items of {header['texts']:,} texts with {blanks} each")
    said.append(f"positions {cloze['positions']}, seed {cloze['seed']}")
    said += [f"{count:,} {cause}" for cause, count in header["texts_counted"].items()]
    return "; ".join(said)


def _overall(results: pd.DataFrame, header: Mapping[str, Any]) -> Shown:
    overall = results[results["grouping"] == "all"].set_index(["model", "metric"])
    columns = [metric for metric in SHOWN if metric in overall.index.get_level_values("metric")]
    rows = []
    for model, about in header["models"].items():
        cells = [_cell(overall.loc[(model, m)], m) if (model, m) in overall.index else "" for m in columns]
        error = about["expected_calibration_error"]
        failed = sum(about["failures"].values())
        rows.append([model, str(about["blanks"]), *cells, "" if error is None else f"{100 * error:.1f}", str(failed)])
    return Shown("Cloze", ["model", "n", *(HEADINGS[m] for m in columns), "ECE", "failed"], rows)


def _by_group(part: pd.DataFrame, models: Sequence[str], said: str) -> Shown:
    """A row per group, a column per model; by their own tokenizers models have other numbers of blanks in a group."""
    cells = {(row.model, row.group): _cell(row._asdict(), "folded") for row in part.itertuples()}
    rows = []
    for group, counts in part.groupby("group")["n"]:
        n = f"{counts.min()}" if counts.nunique() == 1 else f"{counts.min()}-{counts.max()}"
        rows.append([group, n, *(cells.get((model, group), "") for model in models)])
    return Shown(f"Match by {said}", [said, "n", *models], rows)


def _pairs(comparisons: pd.DataFrame) -> list[Shown]:
    rows = []
    for row in comparisons.itertuples():
        if row.metric not in COMPARED:
            continue
        scale, unit = (100, "") if row.metric in SHARES else (1, "")
        missing = pd.isna(row.p)
        interval = "" if missing else f"{scale * row.low:+.2f} to {scale * row.high:+.2f}{unit}"
        p, adjusted = ("", "") if missing else (_p(row.p), _p(row.p_holm))
        heading = HEADINGS[row.metric]
        rows.append(
            [f"{row.a} - {row.b}", heading, f"{scale * row.difference:+.2f}", interval, p, adjusted, str(row.n)]
        )
    columns = ["pair", "metric", "difference", "95 % interval", "p", "p (Holm)", "n"]
    return [Shown("Pairs (paired bootstrap over texts)", columns, rows)] if rows else []


def _failures(header: Mapping[str, Any]) -> Shown:
    rows = [
        [model, what, cause, str(count)]
        for model, about in header["models"].items()
        for what, key in (("no answer, counted as wrong", "failures"), ("no log p", "without_log_probability"))
        for cause, count in about[key].items()
    ]
    return Shown("Blanks without an answer or a log-probability", ["model", "what", "cause", "blanks"], rows)


def _asked(header: Mapping[str, Any]) -> Shown:
    """How each model was asked, and whether it had read the texts before."""
    rows = []
    for model, about in header["models"].items():
        asked, seen = about["asked"], about["texts_seen_in_training"]
        how = {"mlm": f"masks, number {asked.get('length_of_the_word')}", "ilm": f"blank [{asked.get('blank')}]"}
        known = seen["why_unknown"] or f"{seen['texts']:,} in the training split of {seen['corpus']}"
        rows.append([model, about["model"], how.get(about["kind"], "span"), known])
    return Shown("Models", ["model", "from", "asked by", "texts seen in training"], rows)


def _cell(row: Mapping[str, Any], metric: str) -> str:
    scale, digits = (100, 1) if metric in SHARES else (1, 3 if metric == "mrr" else 2)
    error = row["standard_error"]
    plus_minus = "" if pd.isna(error) else f" ±{scale * error:.{digits}f}"
    return f"{scale * row['value']:.{digits}f}{plus_minus}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _markdown(header: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    parts = [f"# Cloze\n\n{described(header)}.\n\n{LEGEND[0].upper()}{LEGEND[1:]}.\n"]
    for table in shown:
        lines = [f"## {table.title}\n"]
        if not table.rows:
            lines.append("None.")
        else:
            lines.append("| " + " | ".join(map(_pipes, table.columns)) + " |")
            lines.append("|---|" + "---:|" * (len(table.columns) - 1))
            lines += ["| " + " | ".join(map(_pipes, row)) + " |" for row in table.rows]
        parts.append("\n".join(lines) + "\n")
    if header["part_of_speech"].startswith("left out"):
        parts.append(f"By part of speech: {header['part_of_speech']}.\n")
    return "\n".join(parts) + "\n![calibration](calibration.png)\n"


def _latex(header: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    """Tables for the package booktabs."""
    parts = ["% \\usepackage{booktabs}\n"]
    for table in shown:
        if not table.rows:
            continue
        caption = f"{table.title}. {described(header)}." if table is shown[0] else f"{table.title}."
        lines = ["\\begin{table}", "\\centering", f"\\caption{{{_tex(caption)}}}"]
        lines.append(f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}")
        lines += ["\\toprule", " & ".join(map(_tex, table.columns)) + " \\\\", "\\midrule"]
        lines += [" & ".join(map(_tex, row)) + " \\\\" for row in table.rows]
        lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": "$\\pm$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _pipes(text: str) -> str:
    return text.replace("|", "\\|")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
