"""`python evaluate.py task=levels`: which level wrote this?"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate, Levels
from ilm.corpus.formats import stem
from ilm.evaluation.levels.copies import with_columns, write_copy
from ilm.evaluation.levels.features import features_of
from ilm.evaluation.levels.metrics import Predictions, chance, confusion_table, measured
from ilm.evaluation.levels.protocols import (
    FOLDS,
    IN_DOMAIN,
    POSTERIOR,
    ZERO_SHOT,
    Labelled,
    System,
    cross_validated,
    fitted_elsewhere,
)
from ilm.evaluation.levels.report import ALL, KNOWN, print_tables, write_report
from ilm.evaluation.levels.scoring import NATIVE, Scorer
from ilm.evaluation.levels.selection import FIT, Material, Models, find_models, find_texts
from ilm.evaluation.models import seen_warnings, texts_seen
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity, write_csv
from ilm.evaluation.statistics import calibration
from ilm.evaluation.texts import units_of
from ilm.files import atomic_file
from ilm.models.devices import usable_device

log = logging.getLogger("ilm")


def evaluate_levels(settings: Evaluate) -> pd.DataFrame:
    """Score texts under the models of all levels, and predict who wrote them.

    Writes results/<name>/ and prints the tables; returns a row per protocol, system, texts and metric.

    Raises: UserError for models, texts or settings that do not fit together.
    """
    task = settings.task
    assert isinstance(task, Levels)
    device = usable_device(task.device, "task.device")
    models = find_models(settings)
    runs = [run for of_level in models.values() for run in of_level]
    material = find_texts(settings, runs)
    seen = texts_seen(((run.name, run) for run in runs), material.texts, Path(settings.paths.data))
    own = material.own.name
    folder = results_folder(settings, own if material.in_domain else f"{own}_on_{material.source['name']}")
    with open_results(folder, results_identity(settings, material.source, trained_on=material.own.documents_hash)):
        scorer = Scorer(task, Path(settings.paths.results), device)
        features = _features(models, material, scorer, settings)
        systems, texts, units, unit = _predict(models, material, features, settings)
        tables = _tables(systems, texts, units, settings)
        header = report_header(
            settings,
            material.source,
            len(material.texts),
            _described(models, features, seen),
            device,
            texts_counted=_counts(material, features),
            unit=unit,
            fit={"corpus": own, "split": FIT, "texts": len(material.fit), "left_out": material.left_out},
            chance=chance(texts.levels) if len(texts.levels) else None,
            unknown_levels=sorted(set(texts.levels) - set(systems[0].levels)),
        )
        header["warnings"] = _warnings(tables["levels"], header)
        for warning in header["warnings"]:
            log.warning("%s", warning)
        print_tables(header, tables)  # first, for who cannot write
        _write_by_text(folder, settings, material, features, systems)
        write_report(folder, header, tables)
    return tables["levels"]


def _features(models: Models, material: Material, scorer: Scorer, settings: Evaluate) -> dict[str, pd.DataFrame]:
    """The features of the texts (`test`) and of those to fit on (`valid`); every model is scored on both in turn."""
    sets = material.text_sets(settings.corpus)
    runs = [run for of_level in models.values() for run in of_level]
    scores: dict[str, dict[str, list]] = {name: {} for name in sets}
    masked: dict[str, dict[str, list]] = {name: {} for name in sets}
    of_each = [level for level, of_level in models.items() for _ in of_level]
    for number, (level, run) in enumerate(zip(of_each, runs, strict=True), start=1):
        log.info("model %d of %d: %s", number, len(runs), run.name)
        for name, texts in sets.items():
            scores[name].setdefault(level, []).append(scorer.scores(run, texts))
            if settings.task.masks is not None:
                masked[name].setdefault(level, []).append(scorer.masked_scores(run, texts))
    of = [run.trained()[1].model for run in runs]
    if all(model.pretrained for model in of) and len({model.path for model in of}) == 1:
        log.info("the pretrained model: %s", of[0].path)
        for name, texts in sets.items():
            scores[name][NATIVE] = [scorer.native_scores(runs[0], texts)]
    return {name: features_of(texts.documents, scores[name], masked[name]) for name, texts in sets.items()}


def _predict(
    models: Models, material: Material, features: Mapping[str, pd.DataFrame], settings: Evaluate
) -> tuple[list[System], Labelled, np.ndarray, str]:
    """What all systems say, the texts among them that have a level, their units, and what the units are."""
    scored = [*models, *([NATIVE] if NATIVE in features[FIT] else [])]
    texts, fit = (
        _with_scores(of, features[name], scored) for name, of in (("test", material.texts), (FIT, material.fit))
    )
    protocol = IN_DOMAIN if material.in_domain else ZERO_SHOT
    log.info("fitting the posterior on %d texts", len(fit.levels))
    prior = settings.task.prior
    systems = fitted_elsewhere(protocol, fit, material.train, texts, scored, prior)
    labelled = texts.of(np.flatnonzero(texts.levels != ""))
    of_unit, unit = units_of(material.texts)
    units = labelled.documents["writing_id"].map(of_unit).to_numpy()
    if not material.in_domain and len(units):
        validated = cross_validated(labelled, units, scored, prior, settings.task.seed)
        if validated is None:
            log.warning("no 90-10: the texts are of one level, or of too few %ss", unit)
        systems += validated or []
    return systems, labelled, units, unit


def _with_scores(documents: pd.DataFrame, features: pd.DataFrame, scored: Sequence[str]) -> Labelled:
    """The texts that every model has a score of, joined by writing_id."""
    known = features[features[scored].notna().all(axis=1)]
    rows = documents.set_index("writing_id", drop=False).loc[known.index]
    return Labelled(rows.rename_axis("id"), known)


def _tables(
    systems: Sequence[System], texts: Labelled, units: np.ndarray, settings: Evaluate
) -> dict[str, pd.DataFrame]:
    task, levels, ids = settings.task, texts.levels, texts.features.index
    measures, confusions, reliabilities = [], [], []
    for system in systems if len(levels) else []:
        predicted = system.predicted.reindex(ids).to_numpy()
        posterior = None if system.posterior is None else system.posterior.reindex(ids)
        confidence = None if posterior is None else posterior.max(axis=1).to_numpy()
        predictions = Predictions(levels, predicted, confidence, units)
        about = {"protocol": system.protocol, "system": system.name}
        known = np.isin(levels, system.levels)
        parts = {ALL: predictions} | ({} if known.all() or not known.any() else {KNOWN: predictions.of(known)})
        for name, part in parts.items():
            measures.append(measured(part, task.resamples, task.seed).assign(**about, texts=name))
        confusions.append(confusion_table(predictions).assign(**about))
        if confidence is not None:
            reliabilities.append(calibration(confidence, levels == predicted, units)[1].assign(**about))
    columns = ["protocol", "system", "texts", "metric", "value", "low", "high", "n", "units"]
    if not measures:
        empty = pd.DataFrame(columns=[*columns, "level", "predicted"])
        return {"levels": empty[columns], "confusion": empty[["protocol", "system", "level", "predicted", "n"]]}
    return {
        "levels": pd.concat(measures, ignore_index=True)[columns],
        "confusion": pd.concat(confusions, ignore_index=True)[["protocol", "system", "level", "predicted", "n"]],
        "reliability": pd.concat(reliabilities, ignore_index=True),
    }


def _counts(material: Material, features: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    tokens, levels = features["test"]["tokens"], material.texts["cefr_level"]
    return {
        "scored": int((tokens > 1).sum()),
        "unscored": int((tokens <= 1).sum()),
        "without_level": int((levels == "").sum()),
    }


def _described(
    models: Models, features: Mapping[str, pd.DataFrame], seen: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By model its runs, whose corpus is one, and its mean loss of the texts in nats per token."""
    means = features["test"].mean()
    found = {
        level: {
            "runs": {run.name: run.fingerprint() for run in runs},
            "nats_per_token": float(means[level]),
            "texts_seen_in_training": seen[runs[0].name],
        }
        for level, runs in models.items()
    }
    if NATIVE in means:
        unknown = {"texts": None, "corpus": None, "why_unknown": "what it was pretrained on is not known here"}
        about = {"runs": {}, "nats_per_token": float(means[NATIVE]), "texts_seen_in_training": unknown}
        found[NATIVE] = about
    return found


def _warnings(levels: pd.DataFrame, header: Mapping[str, Any]) -> list[str]:
    said = seen_warnings(header["models"])
    accuracy = levels[(levels["protocol"] == IN_DOMAIN) & (levels["system"] == POSTERIOR) & (levels["texts"] == ALL)]
    for row in accuracy[accuracy["metric"] == "accuracy"].itertuples():
        lowest, guess = row.value if pd.isna(row.low) else row.low, header["chance"]["squares"]
        if lowest <= guess:
            said.append(
                f"AT CHANCE: on texts of their own corpus the models tell levels no better (accuracy {row.value:.3f}, "
                f"its interval from {lowest:.3f}) than guessing does ({guess:.3f}). They learnt nothing of levels, or "
                "texts and levels do not belong together."
            )
    return said


def _write_by_text(
    folder: Path,
    settings: Evaluate,
    material: Material,
    features: Mapping[str, pd.DataFrame],
    systems: Sequence[System],
) -> None:
    """features.parquet, predictions.csv, and the copy of the input."""
    about = {}
    for name, documents in (("test", material.texts), (FIT, material.fit)):
        columns = [c for c in ("writing_id", "cefr_level", "l1", "learner_id") if c in documents]
        split = material.source.get("split", "input") if name == "test" else FIT
        about[name] = documents[columns].set_index("writing_id").assign(split=split).join(features[name])
    with atomic_file(folder / "features.parquet") as temporary:
        pd.concat(about.values()).reset_index().to_parquet(temporary, index=False)
    levels = material.texts.set_index("writing_id")["cefr_level"]
    posteriors = {system.protocol: system.posterior for system in systems if system.name == POSTERIOR}
    said = [
        with_columns(posterior).join(levels).assign(protocol=protocol).rename_axis("writing_id").reset_index()
        for protocol, posterior in posteriors.items()
    ]
    write_csv(folder / "predictions.csv", pd.concat(said))
    if settings.input is None:
        return
    path, used = Path(settings.input), material.source["file"]["columns_used"]
    posterior = next(table for protocol, table in posteriors.items() if protocol != FOLDS)
    copy = folder / f"{stem(path)}_levels.csv"
    empty = write_copy(path, copy, settings.corpus, used.get("writing_id"), posterior)
    log.info("the input with its levels: %s%s", copy, f"; {empty:,} of its rows have none" if empty else "")
