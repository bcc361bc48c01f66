"""The table of words, a row per word and model, and the summary of each model."""

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ilm.evaluation import report
from ilm.evaluation.scores import Scores
from ilm.evaluation.surprisal.words import KEY
from ilm.files import atomic_file
from ilm.runs.trained_model import TrainedModel
from ilm.tables import TextTable

# Of a text, where they are known.
OF_TEXT = ("learner_id", "cefr_level", "l1", "topic")
BITS = ("surprisal_bits", "surprisal_corrected_bits", "infill_bits", "infill_end_bits")
_DIGITS = 6  # behind the point, of bits
_STRINGS = ("model", "trained_on", "writing_id", *OF_TEXT, "word", "previous_word")
HEADINGS = {
    "model": "model",
    "words": "words",
    "surprisal_bits": "surprisal",
    "surprisal_corrected_bits": "corrected",
    "infill_bits": "infill",
    "infill_end_bits": "infill end",
    "unscored_words": "unscored",
    "shared_words": "shared",
    "cut_words": "cut",
    "probability_taken": "taken",
}

CAPTION = (
    "Means over the words that have a value. unscored: nothing stands before the word, or no token is its own; shared: "
    "a token covers a neighbour too; cut: masked in a part of a long text; taken: probability of the infilling tokens "
    "at a token of a text, which is left out."
)


def word_table(
    model: TrainedModel, texts: pd.DataFrame, words: pd.DataFrame, read: Scores, masked: Scores | None, *, infill: bool
) -> pd.DataFrame:
    """A row per word of `words` under a model, in their order; docs/surprisal.md describes the columns.

    Raises: ValueError if a word has no scores, or several.
    """
    of_text = texts[["writing_id", *(name for name in OF_TEXT if name in texts)]]
    table = words.merge(of_text, on="writing_id", how="left", validate="many_to_one")
    table = _joined(table, read.blanks.rename(columns={"blank": "word_index"}))
    bits = {
        "surprisal_bits": table["nll"],
        "surprisal_corrected_bits": table["nll"] + table["begins"] - table["ends"],
    }
    if infill:
        bits |= {"infill_bits": np.nan, "infill_end_bits": np.nan}
    if masked is not None:
        of_words = masked.blanks.rename(columns={"example": "word_index"})[[*KEY, "nll", "end_nll"]]
        found = _joined(words[KEY], of_words)
        bits |= {"infill_bits": found["nll"], "infill_end_bits": found["end_nll"]}
    about = {"model": model.name, "trained_on": model.level, "seed": model.seed}
    table = table.assign(
        **about,
        tokens=table["targets"],
        shares_token=table["shared"],
        **{name: np.round(nats / math.log(2), _DIGITS) for name, nats in bits.items()},
        unigram_bits=table["unigram_bits"].round(_DIGITS),
    )
    table = table[[*about, "writing_id", *of_text.columns[1:], *words.columns[1:], "tokens", "shares_token", *bits]]
    strings = {name: "str" for name in _STRINGS if name in table}
    return table.replace({"cefr_level": {"": None}}).astype({**strings, "seed": "Int64"})


def _joined(words: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    if len(scores) != len(words):
        raise ValueError(f"scores of {len(scores)} words, and {len(words)} words")
    found = words.merge(scores, on=KEY, how="left", validate="one_to_one", indicator=True)
    if (found["_merge"] != "both").any():
        raise ValueError("scores of other words")
    return found


def summary_row(table: pd.DataFrame, read: Scores, masked: Scores | None) -> dict[str, Any]:
    """A model's row of the summary: mean bits per word, and how many words have none."""
    targets = int(read.examples["targets"].sum())
    return {
        **table.iloc[0][["model", "trained_on", "seed"]].to_dict(),
        "words": len(table),
        **{name: table[name].mean() for name in BITS if name in table},
        "unscored_words": int(table["surprisal_bits"].isna().sum()),
        "shared_words": int(table["shares_token"].sum()),
        "cut_words": None if masked is None else int(masked.examples["cut"].sum()),
        "probability_taken": read.examples["taken"].sum() / targets if targets else None,
    }


def write_report(
    folder: Path, header: Mapping[str, Any], models: Iterable[tuple[pd.DataFrame, dict[str, Any]]], form: str
) -> pd.DataFrame:
    """Write the words of each model and its row of the summary, which is returned; one model's words at a time."""
    rows: list[dict[str, Any]] = []
    parquet = None
    with atomic_file(folder / f"words.{form}") as temporary, ExitStack() as stack:
        for table, row in models:
            if form == "csv":
                table.to_csv(temporary, mode="a", index=False, header=not rows, lineterminator="\n")
            else:
                of_model = pa.Table.from_pandas(table, preserve_index=False)
                parquet = parquet or stack.enter_context(pq.ParquetWriter(temporary, of_model.schema))
                parquet.write_table(of_model.cast(parquet.schema))
            rows.append(row)
    summary = pd.DataFrame(rows).astype({"seed": "Int64", "cut_words": "Int64"})
    report.write_pages(folder, "models", "Surprisal", _notes(header), [_text_table(summary)])
    report.write_report(folder, header, {"models": summary})
    return summary


def print_summary(header: Mapping[str, Any], summary: pd.DataFrame) -> None:
    report.print_tables([_text_table(summary)], _notes(header))


def _text_table(summary: pd.DataFrame) -> TextTable:
    names = [name for name in HEADINGS if name in summary]
    rows = [[_cell(name, row[name]) for name in names] for row in summary.to_dict("records")]
    return TextTable("Bits per word", [HEADINGS[name] for name in names], rows, "l" + "r" * (len(names) - 1))


def _cell(name: str, value: Any) -> str:
    if name == "model":
        return value
    if pd.isna(value):
        return "-"
    if name == "probability_taken":
        return f"{100 * value:.2g} %"
    return f"{value:.2f}" if name in BITS else f"{value:,}"


def _notes(header: Mapping[str, Any]) -> list[str]:
    about = [*report.described(header["source"]), f"{header['words']:,} words of {header['texts']:,} texts"]
    return [f"{'; '.join(about)}.", CAPTION]
