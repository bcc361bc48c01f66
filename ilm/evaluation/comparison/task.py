"""Compares specialists with the generalist, if the scored models allow it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ilm.config.evaluate import Scored
from ilm.evaluation.comparison.controls import OTHER_CONDITION, control_of, exposure, matched, missing_controls
from ilm.evaluation.comparison.records import ClusterSums, Model, loss_record
from ilm.evaluation.comparison.study import GENERALIST, HEADLINE, Study, compare
from ilm.evaluation.comparison.systems import systems
from ilm.evaluation.comparison.tables import About, text_tables
from ilm.evaluation.conditions import OWN
from ilm.evaluation.losses import Texts, common_examples, losses_by_kind, losses_per_character
from ilm.evaluation.perplexity.scoring import ScoredModel
from ilm.evaluation.scores import EXAMPLE, Scores
from ilm.runs.folder import total_targets
from ilm.runs.trained_model import TrainedModel
from ilm.tables import show

log = logging.getLogger("ilm")


def compare_models(
    scored: Sequence[ScoredModel],
    valid: Mapping[str, Scores],
    baselines: Mapping[str, Scores],
    texts: Texts,
    header: Mapping[str, Any],
    task: Scored,
) -> tuple[Study, About] | None:
    """The comparison, its main table printed; None if there are no models to compare.

    `valid` are the scores of validation texts by model, of those that have any; `baselines` those of
    `ilm.evaluation.baselines`.
    """
    comparable = [of for of in scored if of.model.run is not None]
    if len(comparable) < 2:
        return None
    if len({(of.model.objective, of.masks) for of in comparable}) > 1:
        log.warning("no comparison: the models differ in objective or masks. Choose some with models=[...]")
        return None
    models = models_of(comparable)
    scores = {of.name: of.scores for of in comparable}
    deployable = baseline_table = pd.DataFrame()
    if len({of.model.vocabulary.fingerprint for of in comparable}) == 1:
        scores = common_examples(scores, complete=False)
        losses = losses_by_kind(scores, texts)
        valid = common_examples(valid, complete=task.fitting == "complete")
        valid_of_runs = {run: valid[of.name] for run, of in enumerate(comparable) if of.name in valid}
        baseline_table = _baseline_table(baselines, next(iter(scores.values())), texts, task.resamples)
        deployable = systems(list(scores.values()), valid_of_runs, texts, models, task.resamples)
    else:
        log.info("tokenizers differ: answers are compared in bits a character, on examples that no model truncates")
        losses = losses_per_character(common_examples(scores, complete=True), texts)
    if not any(of_kind.targets.any() for kind, of_kind in losses.items() if kind != "context"):
        log.warning("no comparison: no example has an answer left. See task.max_length and task.fitting")
        return None
    study = compare(losses, texts, models, task.resamples, task.smallest_effect)
    statuses = {m.name: [comparable[run].model.trained()[0].status for run in m.runs] for m in models}
    exposures = exposure({name: [total_targets([status]) for status in runs] for name, runs in statuses.items()})
    study.contrasts["matched"] = matched(exposures, study.contrasts)
    about = About(
        header=header,
        clusters_are=texts.clusters_are,
        smallest_effect=task.smallest_effect,
        models=[model.name for model in models],
        plotted=[model.name for model in models if model.control is None] or [model.name for model in models],
        exposures=exposures,
        curves={model.name: _curves([comparable[run].model for run in model.runs]) for model in models},
        cuts=comparable[0].cuts,
        longest_example=comparable[0].counts["longest_example"],
        topics=_topics(texts),
        systems=deployable,
        baselines=baseline_table,
        missing_controls=missing_controls([(model.control, model.like) for model in models], texts.levels),
    )
    if "primary" in (shown := text_tables(study, about)):
        show(shown["primary"])
    return study, about


def _baseline_table(baselines: Mapping[str, Scores], of_run: Scores, texts: Texts, resamples: int) -> pd.DataFrame:
    """A row per baseline and level: its loss on the headline's targets."""
    if not baselines:
        return pd.DataFrame()
    keys = pd.MultiIndex.from_frame(of_run.examples[EXAMPLE])
    losses = losses_by_kind({name: scores.of(keys) for name, scores in baselines.items()}, texts)[HEADLINE]
    models = [Model(name, name, (number,)) for number, name in enumerate(baselines)]
    of_rows, rows = texts.documents["cefr_level"].to_numpy()[losses.texts], []
    for level in texts.levels:
        sums = ClusterSums(losses, texts.clusters, of_rows == level)
        if sums.targets.any():
            found = sums.contrasts([(model, None) for model in models], resamples)
            rows += [{"baseline": m.name, "level": level} | loss_record(c) for m, c in zip(models, found, strict=True)]
    return pd.DataFrame(rows)


def models_of(scored: Sequence[ScoredModel]) -> list[Model]:
    """The models compared, the generalist last: one per recipe (its runs differ only in their seeds) and condition."""
    runs = [of.model for of in scored]
    recipes: dict[tuple[str, str], dict[tuple[int, int], int]] = {}
    for number in sorted(range(len(runs)), key=lambda number: (runs[number].level == GENERALIST, runs[number].name)):
        run = runs[number]
        seeds = recipes.setdefault((run.recipe, scored[number].condition), {})
        if run.replicate in seeds:
            log.warning("%s is not compared: it is a copy of %s", run.name, runs[seeds[run.replicate]].name)
        seeds.setdefault(run.replicate, number)
    first = {recipe: runs[next(iter(seeds.values()))] for recipe, seeds in recipes.items()}
    distinct = {recipe: run for (recipe, _), run in first.items()}
    labels = {
        recipe: _label(run, [o for o in distinct.values() if o.level == run.level]) for recipe, run in distinct.items()
    }
    called = list(labels.values())
    found = []
    for (recipe, condition), seeds in recipes.items():
        run, numbers = first[recipe, condition], tuple(seeds.values())
        label = labels[recipe] if called.count(labels[recipe]) == 1 else run.name
        if condition == OWN:
            found.append(Model(label, run.level, numbers, _parents(runs, numbers), *control_of(run, runs)))
        else:  # paired with the same runs under the true condition
            truth = tuple(recipes.get((recipe, OWN), {}).values())
            found.append(Model(f"{label} ({condition})", run.level, numbers, truth, OTHER_CONDITION))
    return found


def _parents(runs: Sequence[TrainedModel], numbers: Sequence[int]) -> tuple[int, ...]:
    """Which of `runs` each run of a model started from; none unless all are among them, each once."""
    wanted: list[Any] = [runs[number].identity.get("data.init_from") for number in numbers]
    if None in wanted or len(set(wanted)) < len(wanted):
        return ()
    found = {run.weights: number for number, run in enumerate(runs)}
    return tuple(found[weights] for weights in wanted) if set(wanted) <= set(found) else ()


def _label(run: TrainedModel, of_level: Sequence[TrainedModel]) -> str:
    """Its level, and what distinguishes it from the others of its level."""
    apart = [key for key in ("experiment", "model", "masking") if len({other.family[key] for other in of_level}) > 1]
    return " ".join([run.level, *(run.family[key] for key in apart if run.family[key])])


def _curves(runs: Sequence[TrainedModel]) -> list[pd.DataFrame]:
    """The metrics.csv of each run that has validation perplexities."""
    files = [run.folder / "metrics.csv" for run in runs]
    tables = [pd.read_csv(file) for file in files if file.is_file()]
    return [table for table in tables if f"valid/{HEADLINE}_perplexity" in table]


def _topics(texts: Texts) -> tuple[int, int] | None:
    """(The number of topics; how many of them occur on one level only)."""
    if texts.topics is None:
        return None
    levels = texts.documents.groupby("topic")["cefr_level"].nunique()
    return len(levels), int((levels == 1).sum())
