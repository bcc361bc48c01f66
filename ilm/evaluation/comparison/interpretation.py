"""The comparison's findings and limits in words."""

import math
from typing import Any

import pandas as pd

from ilm.evaluation.comparison.controls import CONTROLS, NOT_MATCHED
from ilm.evaluation.comparison.study import Study
from ilm.evaluation.comparison.tables import About, signed
from ilm.evaluation.report import p_value
from ilm.examples.cuts import advice


def findings(study: Study, about: About) -> list[str]:
    """The primary contrasts and the omnibus, a sentence each."""
    if study.contrasts.empty:
        return ["Nothing to compare: there is neither a specialist and a generalist nor a pair of models."]
    return [_finding(row, study, about) for row in study.tested("primary", "omnibus").itertuples()]


def _finding(row: Any, study: Study, about: About) -> str:
    who = (
        f"On average over the levels, specialists against {row.b}"
        if row.family == "omnibus"
        else f"On {row.level} texts, the model {row.a} against {row.b}"
    )
    if math.isnan(row.p):
        return (
            f"{who}: {row.effective_clusters:.0f} effective clusters ({row.clusters:,} {about.clusters_are}s) are too "
            f"few for an interval or a test. The difference is {signed(row.theta)} {study.unit}."
        )
    difference = f"{signed(row.theta)} {study.unit} (95 % interval {signed(row.low)} to {signed(row.high)})"
    if study.of_tokens:
        difference += f", {abs(row.perplexity_ratio - 1):.1%} {'lower' if row.theta < 0 else 'higher'} perplexity"
    if row.verdict == "equivalent":
        margin = f"{about.smallest_effect:g} {study.unit.split()[0]}"
        return f"{who}: equivalent, the difference is smaller than {margin}. It is {difference}."
    if row.verdict == "not decided":
        return (
            f"{who}: not decided. The difference is {difference}; the test finds a difference of "
            f"{row.minimum_detectable_effect:.3g} nats in 80 % of studies of this size."
        )
    p, adjusted = p_value(row.p_adjusted), "" if row.family == "omnibus" else " after Holm"
    return f"{who}: {row.verdict}, {difference}, p {p if p.startswith('<') else f'= {p}'}{adjusted}."


def limits(study: Study, about: About) -> list[str]:
    """What to keep in mind when reading the numbers, derived from the numbers themselves."""
    said = []
    tested = study.tested("primary")
    if len(tested):
        if one_seed := _levels(tested[tested["one_seed"]]):
            said.append(
                f"{one_seed}: one of the two models has one seed, so the result holds for these two runs, not for the "
                "way they were trained. Train several seeds (seed=0,1,2; five are advised)."
            )
        if varying := _levels(tested[tested["v2"] > tested["v1"]]):
            said.append(
                f"{varying}: training varies more than the texts do (V2 above V1). More seeds would help most; with "
                "three seeds the tests together err in more than 5 % of studies."
            )
        if unmatched := _levels(tested[tested["matched"] == NOT_MATCHED]):
            said.append(
                f"{unmatched}: training data not matched, so a difference may come from the amount of training, not "
                "from the level; see the controls."
            )
        if about.missing_controls:
            said.append(_missing_controls(about))
        said.append(_level_and_topic(about))
    if cut := advice(about.cuts, about.longest_example, "task.max_length"):
        said.append(
            f"A truncated example loses its answers first: {cut}, task.fitting=complete leaves such examples out."
        )
    if about.clusters_are == "text":
        said.append(
            "The corpus names no learners, so texts count as independent: errors are too small if a learner wrote "
            "several."
        )
    return said


def _levels(contrasts: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(contrasts["level"]))


def _level_and_topic(about: About) -> str:
    said = (
        "In most corpora, level is confounded with topic, text length and first language (in EFCAMDAT every level has "
        "prompts of its own): a specialist may know the topics of its level rather than its language."
    )
    if about.topics is None:
        return f"{said} This corpus names no topics, so that cannot be examined here."
    topics, alone = about.topics
    return (
        f"{said} Here {alone:,} of {topics:,} topics occur on one level only. The standard errors over topics say how "
        "far a result depends on the topics drawn; they do not separate level from topic."
    )


def _missing_controls(about: About) -> str:
    """The missing controls, with the options that train them."""
    listed = "; ".join(
        " ".join([control, *([f"of {', '.join(levels)}"] if levels else []), f"({CONTROLS[control]})"])
        for control, levels in about.missing_controls.items()
    )
    return f"Missing controls, and how to train them with python train.py: {listed}."
