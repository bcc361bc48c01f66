"""How strongly models prefer learners' forms: mean log-odds with intervals, by group, and differences between models.

    log-odds = log p(learner's form + end | context) - log p(corrected form + end | context)       nats

Above 0 the learner's form is likelier. Edits of a unit (learner, or text) are not independent: intervals come from a
bootstrap over units, p from flipping the signs of units (`ilm.evaluation.statistics`).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from ilm.evaluation.forms.scoring import Item
from ilm.evaluation.kept_lines import Record
from ilm.evaluation.losses import thirds, word_groups
from ilm.evaluation.statistics import compare_pairs, pairwise_differences

ALL, LEVEL = "all", "cefr_level"
GROUPINGS = (LEVEL, "kind", "words", "position", "l1")
UNKNOWN = "unknown"


def edit_table(
    items: Sequence[Item], records: Mapping[str, Mapping[tuple, Record]], units: Mapping[str, int]
) -> pd.DataFrame:
    """A row per run and scored edit, with its groups; log-probabilities in nats."""
    rows = []
    for run, of_run in records.items():
        for item in items:
            record = of_run[item.key]
            if "left_out" not in record:
                length = len(item.before) + len(item.after) + 1
                rows.append(
                    {
                        "run": run,
                        "writing_id": item.writing_id,
                        "edit": item.edit,
                        "unit": units[item.writing_id],
                        LEVEL: item.level or UNKNOWN,
                        "l1": item.l1 or UNKNOWN,
                        "kind": item.kind,
                        "learner": item.learner,
                        "corrected": item.corrected,
                        "words": item.words,
                        "position": len(item.before) / length,
                        "learner_log_p": record["learner"],
                        "corrected_log_p": record["corrected"],
                        "log_odds": record["learner"] - record["corrected"],
                    }
                )
    return pd.DataFrame(rows)


def preferences(edits: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """A row per run, grouping and group: mean `log_odds`, low, high, p, n edits, units, and `preferred`, the share of
    edits with log-odds above 0.
    """
    groups = {
        ALL: pd.Series(ALL, edits.index),
        **{name: edits[name] for name in (LEVEL, "kind", "l1")},
        "words": word_groups(edits["words"].to_numpy()),
        "position": thirds(edits["position"].to_numpy(), 1),
    }
    rows, pairs = [], []
    for grouping in (ALL, *GROUPINGS):
        # Lengths and thirds keep their order, other groups are sorted by name.
        of_each = pd.Series(groups[grouping], edits.index)
        for (run, group), part in edits.groupby([edits["run"], of_each], sort=True, observed=True):
            preferred = float((part["log_odds"] > 0).mean())
            rows.append({"run": run, "grouping": grouping, "group": str(group), "preferred": preferred})
            pairs.append((part["log_odds"].to_numpy(), part["unit"].to_numpy()))
    found = compare_pairs(pairs, resamples, seed).rename(columns={"difference": "log_odds"})
    return pd.DataFrame(rows).join(found)


def comparisons(edits: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """`pairwise_differences` by the log-odds of the same edits."""
    values = edits.pivot(index=["unit", "writing_id", "edit", LEVEL], columns="run", values=["log_odds"])
    return pairwise_differences(values, edits["run"].unique(), resamples, seed).drop(columns="metric")
