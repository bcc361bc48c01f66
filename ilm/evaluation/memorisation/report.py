"""The report of memorisation: its files, and its tables for a terminal and a page, with notes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.evaluation import report
from ilm.evaluation.memorisation.losses import ALL_TYPES, CONTEXT
from ilm.evaluation.memorisation.membership import FALSE_POSITIVES
from ilm.evaluation.statistics import compare_pairs
from ilm.tables import TextTable

# Most shorter answers occur in some training text, which says nothing.
LEAST_TOKENS = 8
SHOWN = 20  # longest stretches per run


def repetition(blanks: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """A row per run and mask type (and all): how much of the training texts its answers repeat, and learners' do.

    `blanks`: see `blank_table`, with `run` and `unit`. Lengths are in tokens: the means of answers (`tokens`,
    `learner_tokens`) and of longest stretches at equal length, their `difference` with its interval, and the longest
    stretch of all. `whole` counts the answers of LEAST_TOKENS or more that occur as a whole in a training text.
    """
    rows, pairs = [], []
    for run, of_run in blanks.groupby("run", sort=False):
        groups = [(ALL_TYPES, of_run), *of_run.groupby("mask_type")]
        for mask_type, part in groups:
            row = {"run": run, "mask_type": mask_type, "answers": len(part)}
            for of in ("", "learner_"):
                long = part[f"{of}tokens"] >= LEAST_TOKENS
                row[f"{of}tokens"] = part[f"{of}tokens"].mean()
                row[f"{of}equal_longest"] = part[f"{of}equal_longest"].mean()
                row[f"{of}longest"] = int(part[f"{of}longest"].max())
                row[f"{of}long_answers"] = int(long.sum())
                row[f"{of}whole"] = int((long & (part[f"{of}longest"] == part[f"{of}tokens"])).sum())
            rows.append(row)
            differences = (part["equal_longest"] - part["learner_equal_longest"]).to_numpy(float)
            pairs.append((differences, part["unit"].to_numpy()))
    return pd.DataFrame(rows).join(compare_pairs(pairs, resamples, 0).drop(columns="n"))


def card_results(run: str, repeated: pd.DataFrame, members: pd.DataFrame, split: str) -> dict[str, Any]:
    """The results of a run for its model card: plain values."""
    (of_run,) = report.records(repeated[(repeated["run"] == run) & (repeated["mask_type"] == ALL_TYPES)])
    return {
        "split": split,
        "least_tokens": LEAST_TOKENS,
        "repetition": of_run,
        "membership": report.records(_overall(members[members["run"] == run])),
    }


def _overall(members: pd.DataFrame) -> pd.DataFrame:
    """The rows of all mask types together and of the context; of a run with several levels, those of all levels."""
    last = members.groupby("run")["level"].transform("last")  # all levels come last
    return members[(members["level"] == last) & members["mask_type"].isin([ALL_TYPES, CONTEXT])]


def write_report(
    folder: Path,
    header: Mapping[str, Any],
    repeated: pd.DataFrame,
    members: pd.DataFrame,
    blanks: pd.DataFrame,
) -> None:
    """Write all files: answers, longest stretches, both tables, the page, report.json."""
    report.write_csv(folder / "blanks.csv", blanks)
    longest = (
        blanks.sort_values(["longest", "tokens"], ascending=[False, True], kind="stable").groupby("run").head(SHOWN)
    )
    columns = ["run", "longest", "mask_type", "stretch", "writing_id", "example", "blank", "source"]
    results = {"repetition": repeated, "membership": members, "stretches": longest[columns]}
    tables = [_repetition_table(repeated), _membership_table(members), _stretches_table(longest)]
    report.write_pages(folder, "memorisation", "Memorisation", notes(header), tables)
    report.write_report(folder, header, results)


def print_tables(header: Mapping[str, Any], repeated: pd.DataFrame, members: pd.DataFrame) -> None:
    """Print both tables for all mask types and levels together."""
    of_all = repeated[repeated["mask_type"] == ALL_TYPES]
    report.print_tables([_repetition_table(of_all), _membership_table(_overall(members))], notes(header))


def notes(header: Mapping[str, Any]) -> list[str]:
    """Sentences needed to read the tables."""
    split, unit = header["source"]["split"], header["unit"]
    too_long = sum(about["too_long_to_fill"] for about in header["models"].values())
    return [
        f"{'; '.join(report.described(header['source']))}.",
        f"Answers: what models and learners wrote in the same blanks of {split} texts; lengths are in tokens. Equal "
        "length: the longer of the two answers is truncated to the length of the other. Whole: answers that occur "
        "as a whole in a training text.",
        *([f"{too_long:,} texts were too long to be filled."] if too_long else []),
        f"AUC: the probability that a training text has a higher score than a {split} text (.5: chance); TPR: the "
        f"share of training texts identified when {100 * FALSE_POSITIVES:g} % of {split} texts are mistaken for them. "
        f"Intervals (95 %) are over {unit}s; none below 50 effective ones.",
    ]


def _repetition_table(repeated: pd.DataFrame) -> TextTable:
    rows = []
    for row in repeated.itertuples():
        rows.append(
            [
                *(row.run, row.mask_type, f"{row.answers:,}", f"{row.tokens:.1f} / {row.learner_tokens:.1f}"),
                f"{row.equal_longest:.2f} / {row.learner_equal_longest:.2f}",
                report.with_interval(row.difference, row.low, row.high, "+.2f"),
                f"{row.longest} / {row.learner_longest}",
                f"{row.whole} of {row.long_answers} / {row.learner_whole} of {row.learner_long_answers}",
            ]
        )
    columns = ["run", "mask type", "answers", "tokens", "longest, equal length", "difference"]
    columns += ["longest of all", f"whole, {LEAST_TOKENS}+ tokens"]
    return TextTable("Stretches of training texts in answers: model / learner", columns, rows, "llrrrrrr")


def _membership_table(members: pd.DataFrame) -> TextTable:
    rows = [
        [
            *(row.run, row.level, row.mask_type, row.score),
            report.with_interval(row.auc, row.auc_low, row.auc_high, ".3f"),
            report.with_interval(row.tpr, row.tpr_low, row.tpr_high, ".3f"),
            f"{row.members:,} / {row.others:,}",
        ]
        for row in members.itertuples()
    ]
    columns = ["run", "level", "blanks", "score", "AUC", "TPR", "texts: training / other"]
    return TextTable("Can training texts be recognised?", columns, rows, "llllrrr")


def _stretches_table(longest: pd.DataFrame) -> TextTable:
    shown = longest[["run", "longest", "mask_type", "stretch", "writing_id", "source"]]
    rows = shown.astype(str).to_numpy().tolist()
    columns = ["run", "tokens", "mask type", "stretch", "answer in", "training text"]
    return TextTable("The longest stretches", columns, rows, "lrlpll")
