"""Metrics of answers: matches, ranks, characters, log-probability, calibration; by group, and between models.

Words are compared in Unicode's composed form (NFC) without surrounding white space: `exact` as they are, all other
metrics case-folded too, since an uncased model cannot write a capital. A blank without an answer counts as wrong in
matches, ranks and characters and is left out of calibration; a word without a log-probability is left out of that mean.

Legend: N blanks of all items. Their units are learners if they are known, else texts (equal ones together).
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ilm.evaluation.statistics import clustered_mean, pairwise_differences

TOP = (5, 10)
MATCHES = ("exact", "folded", *(f"top{k}" for k in TOP), "mrr")
CHARACTERS = tuple(f"{gram}_{what}" for gram in ("unigram", "bigram") for what in ("recall", "precision", "f1"))
LOG_PROBABILITY, PSEUDO = "log_probability", "pseudo_log_likelihood"
METRICS = (*MATCHES, *CHARACTERS, LOG_PROBABILITY, PSEUDO)
SUBTOKENS = ("1", "2", "3-4", "5+")
# The groupings of results, as reports call them.
LEVELS = "CEFR level"
GROUPINGS = {
    "cefr_level": LEVELS,
    "l1": "L1",
    "position": "place in the text",
    "word_class": "class of word",
    "subtokens_grouped": "number of subtokens (GPT-2's)",
    "own_subtokens_grouped": "number of subtokens (the model's own)",
    "part_of_speech": "part of speech",
}


def normalised(word: str) -> str:
    """The word composed (NFC), without surrounding white space."""
    return unicodedata.normalize("NFC", word).strip()


def folded(word: str) -> str:
    """`normalised` and case-folded."""
    return unicodedata.normalize("NFC", normalised(word).casefold())


def rank_of(word: str, candidates: Sequence[str]) -> int | None:
    """The place (1 is the first) of a word among candidates, both case-folded; None if it is not there.

    Candidates that differ by case alone take one place.
    """
    ranked = list(dict.fromkeys(map(folded, candidates)))
    return ranked.index(folded(word)) + 1 if folded(word) in ranked else None


def overlap(word: str, answer: str, n: int) -> tuple[float, float, float] | None:
    """(recall, precision, F1) of the n-grams of characters of `answer` against those of `word`, as multisets.

    None if `word` has no n-gram (a bigram of "I"). An answer without any has 0.
    """
    wanted, found = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (word, answer))
    if not wanted:
        return None
    shared = (wanted & found).total()
    if not shared:
        return 0.0, 0.0, 0.0
    return (
        shared / wanted.total(),
        shared / found.total(),
        2 * shared / (wanted.total() + found.total()),
    )


def blank_metrics(
    word: str, candidates: Sequence[tuple[str, float]], log_probability: float | None, pseudo: bool
) -> dict[str, float]:
    """All of `METRICS` of one blank (NaN where there is none), and `confidence`, the probability of the first answer.

    `candidates` are (word, log-probability in nats), best first.
    """
    words = [candidate for candidate, _ in candidates]
    rank = rank_of(word, words)
    first = words[0] if words else ""
    found = {
        "exact": float(normalised(word) == normalised(first)),
        "folded": float(rank == 1),
        **{f"top{k}": float(rank is not None and rank <= k) for k in TOP},
        "mrr": 1 / rank if rank else 0.0,
    }
    for n, gram in ((1, "unigram"), (2, "bigram")):
        values = overlap(folded(word), folded(first), n) or (math.nan,) * 3
        found |= dict(zip((f"{gram}_recall", f"{gram}_precision", f"{gram}_f1"), values, strict=True))
    score = math.nan if log_probability is None else log_probability
    found |= {LOG_PROBABILITY: math.nan if pseudo else score, PSEUDO: score if pseudo else math.nan}
    return found | {"confidence": min(1.0, math.exp(candidates[0][1])) if candidates else math.nan}


def grouped(blanks: pd.DataFrame) -> pd.DataFrame:
    """A row per model, grouping, group and metric: value, standard error, n, and the number of units.

    `blanks` has a row per run and blank: `model`, `run` (one per seed), `unit`, `METRICS`, and the groupings
    `cefr_level`, `l1`, `position` (ordered), `word_class`, `subtokens`, `own_subtokens` and, optionally,
    `part_of_speech`.
    """
    groupings = {"all": pd.Series("all", blanks.index)}
    groupings |= {name: blanks[name] for name in ("cefr_level", "l1", "position", "word_class")}
    for name in ("subtokens", "own_subtokens"):
        counts = blanks[name].astype(float)
        groupings |= {name: counts, f"{name}_grouped": pd.cut(counts, [0, 1, 2, 4, np.inf], labels=SUBTOKENS)}
    if "part_of_speech" in blanks:
        groupings["part_of_speech"] = blanks["part_of_speech"]
    rows = []
    for grouping, groups in groupings.items():
        for (model, group), part in blanks.groupby([blanks["model"], groups], sort=True, observed=True):
            units = part["unit"].to_numpy()
            label = str(int(group)) if isinstance(group, float) else str(group)
            for metric in METRICS:
                values = part[metric].to_numpy(float)
                value, error, n = clustered_mean(values, units)
                if error is not None and part["run"].nunique() > 1:
                    # The variances from texts and from training add up.
                    of_runs = part.groupby("run")[metric].mean()
                    error = math.hypot(error, of_runs.std() / math.sqrt(len(of_runs)))
                if n:
                    number = len(set(units[~np.isnan(values)]))
                    about = {"model": model, "grouping": grouping, "group": label, "metric": metric}
                    rows.append(about | {"value": value, "standard_error": error, "n": n, "units": number})
    return pd.DataFrame(rows)


def compare(blanks: pd.DataFrame, kinds: Mapping[str, str], resamples: int, seed: int) -> pd.DataFrame:
    """`pairwise_differences` by all `METRICS` of the same blanks, given the kinds of the models.

    Log-probabilities are compared only within a kind, since answers end differently in each.
    """
    # Means over the runs of a model.
    values = blanks.groupby(["unit", "item", "blank", "cefr_level", "model"])[[*METRICS]].mean().unstack("model")
    return pairwise_differences(
        values, [*kinds], resamples, seed, lambda metric, a, b: metric != LOG_PROBABILITY or kinds[a] == kinds[b]
    )
