"""`python evaluate.py task=levels`: which level wrote this?"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate, Levels
from ilm.corpus.formats import stem
from ilm.evaluation.levels.inputs import FIT, Material, find_models, find_texts
from ilm.evaluation.levels.metrics import chance, confusion_table, measure
from ilm.evaluation.levels.predictions import require_free_columns, write_copy, write_features, write_predictions
from ilm.evaluation.levels.report import ALL, KNOWN, print_tables, write_report
from ilm.evaluation.levels.scoring import NATIVE, Scorer, TextSet
from ilm.evaluation.levels.systems import (
    FOLDS,
    IN_DOMAIN,
    POSTERIOR,
    ZERO_SHOT,
    System,
    cross_validated,
    fitted_elsewhere,
)
from ilm.evaluation.models import seen_warnings, texts_seen
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity, texts_key
from ilm.evaluation.statistics import calibration
from ilm.evaluation.texts import units_of
from ilm.models.devices import usable_device

log = logging.getLogger("ilm")

# Columns of a text beside its features.
_ABOUT = ("writing_id", "cefr_level", "l1", "learner_id", "text")
COLUMNS = {
    "levels": ["protocol", "system", "texts", "metric", "value", "low", "high", "n", "units"],
    "differences": ["protocol", "system", "metric", "difference", "low", "high", "n", "units"],
    "confusion": ["protocol", "system", "level", "predicted", "n"],
    "reliability": ["protocol", "system", "low", "high", "n", "confidence", "correct", "standard_error"],
}


def evaluate_levels(settings: Evaluate, task: Levels) -> pd.DataFrame:
    """Score texts under the models of all levels, and predict who wrote them.

    Writes results/<name>/ and prints the tables; returns a row per protocol, system, texts and metric.

    Raises: UserError for models, texts or settings that do not fit together.
    """
    device = usable_device(task.device, "task.device")
    models = find_models(settings, task)
    runs = [run for of_level in models.values() for run in of_level]
    material = find_texts(settings, runs)
    own, source = material.own, material.source
    require_free_columns(settings, own.manifest["settings"]["levels"])
    folder = results_folder(settings, own.name if material.in_domain else f"{own.name}_on_{source['name']}")
    with open_results(folder, results_identity(settings, source, trained_on=own.documents_hash)):
        seen = texts_seen(((run.name, run) for run in runs), material.texts, Path(settings.paths.data))
        scorer = Scorer(task, Path(settings.paths.results), device)
        features = scorer.features(models, TextSet(material.texts, texts_key(source, settings)))
        log.info("the %s texts to fit on", f"{len(material.fit):,}")
        to_fit = TextSet(material.fit, {"documents_hash": own.documents_hash})
        texts, fit = _joined(material.texts, features), _joined(material.fit, scorer.features(models, to_fit))
        scored = [name for name in (*models, NATIVE) if name in features]
        systems, labelled, units, unit = _predict(material, texts, fit, scored, task)
        tables = _tables(systems, labelled["cefr_level"], units, task)
        levels = labelled["cefr_level"]
        header = report_header(
            settings,
            source,
            len(texts),
            {
                name: {
                    "runs": {run.name: run.fingerprint() for run in models.get(name, ())},
                    "nats_per_token": float(features[name].mean()),
                    # All runs were trained on one corpus.
                    "texts_seen_in_training": None if name == NATIVE else seen[models[name][0].name],
                }
                for name in scored
            },
            device,
            texts_counted={
                "scored": int((texts["tokens"] > 1).sum()),
                "unscored": int((texts["tokens"] <= 1).sum()),
                "without_level": int((texts["cefr_level"] == "").sum()),
            },
            unit=unit,
            fit={"corpus": own.name, "split": FIT, "texts": len(fit), "left_out": material.left_out},
            chance=chance(levels) if len(levels) else None,
            unknown_levels=sorted(set(levels) - set(systems[0].levels)),
        )
        header["warnings"] = [*seen_warnings(header["models"]), *_at_chance(tables["levels"], header["chance"])]
        for warning in header["warnings"]:
            log.warning("%s", warning)
        print_tables(header, tables)  # before writing, which may fail
        write_features(folder, {source.get("split", "input"): texts, FIT: fit})
        posteriors = {system.protocol: system.posterior for system in systems if system.name == POSTERIOR}
        write_predictions(folder, texts["cefr_level"], posteriors)
        if settings.input is not None:
            _copy_input(folder, settings, source, posteriors)
        write_report(folder, header, tables)
    return tables["levels"]


def _joined(documents: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """The texts with their features, by writing_id."""
    about = documents[[name for name in _ABOUT if name in documents]]
    return about.set_index("writing_id").join(features, validate="one_to_one")


def _predict(
    material: Material, texts: pd.DataFrame, fit: pd.DataFrame, models: Sequence[str], task: Levels
) -> tuple[list[System], pd.DataFrame, np.ndarray, str]:
    """What all systems say, the texts among them that have a level, their units, and what the units are."""
    # Without a score under every model there is nothing to predict a text from.
    texts, fit = (table[table[[*models]].notna().all(axis=1)] for table in (texts, fit))
    protocol = IN_DOMAIN if material.in_domain else ZERO_SHOT
    log.info("fitting the posterior on %s texts, the baselines on %s", f"{len(fit):,}", f"{len(material.train):,}")
    systems = fitted_elsewhere(protocol, fit, material.train, texts, models, task.prior)
    labelled = texts[texts["cefr_level"] != ""]
    of_unit, unit = units_of(material.texts)
    units = labelled.index.map(of_unit).to_numpy()
    if not material.in_domain and len(units):
        validated = cross_validated(labelled, units, models, task.prior, task.seed)
        if validated is None:
            log.warning("no 90-10: the texts are of one level, or of too few %ss", unit)
        systems += validated or []
    return systems, labelled, units, unit


def _tables(systems: Sequence[System], levels: pd.Series, units: np.ndarray, task: Levels) -> dict[str, pd.DataFrame]:
    """Tables of the report; `levels` of the texts that have one, by writing_id, and their `units` (N,)."""
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    posterior = {}
    for system in systems if len(levels) else ():
        about = {"protocol": system.protocol, "system": system.name}
        predicted = system.predicted.loc[levels.index]
        predictions = pd.DataFrame({"level": levels, "predicted": predicted, "confidence": np.nan, "unit": units})
        if system.posterior is not None:
            predictions["confidence"] = system.posterior.max(axis=1)
            reliability = calibration(predictions["confidence"].to_numpy(), (levels == predicted).to_numpy(), units)[1]
            found["reliability"].append(reliability.assign(**about))
        found["confusion"].append(confusion_table(predictions).assign(**about))
        measured = measure(predictions, task.resamples, task.seed)
        found["levels"].append(measured.table().assign(**about, texts=ALL))
        if system.name == POSTERIOR:
            posterior[system.protocol] = measured
        else:
            differences = posterior[system.protocol].minus(measured).table().rename(columns={"value": "difference"})
            found["differences"].append(differences.assign(**about))
        known = levels.isin(system.levels).to_numpy()
        if known.any() and not known.all():
            of_known = measure(predictions[known], task.resamples, task.seed)
            found["levels"].append(of_known.table().assign(**about, texts=KNOWN))
    return {
        name: pd.concat(found[name], ignore_index=True)[columns] if found[name] else pd.DataFrame(columns=columns)
        for name, columns in COLUMNS.items()
    }


def _at_chance(levels: pd.DataFrame, chance: Mapping[str, float] | None) -> list[str]:
    """A warning where the models tell the levels of their own corpus no better than guessing."""
    chosen = (levels["protocol"] == IN_DOMAIN) & (levels["system"] == POSTERIOR) & (levels["texts"] == ALL)
    for row in levels[chosen & (levels["metric"] == "accuracy")].itertuples():
        assert chance is not None
        lowest = row.value if pd.isna(row.low) else row.low
        if lowest <= chance["squares"]:
            return [
                f"AT CHANCE: on texts of their own corpus the models tell levels no better (accuracy {row.value:.3f}, "
                f"its interval from {lowest:.3f}) than guessing does ({chance['squares']:.3f}). They learnt nothing of "
                "levels, or texts and levels do not belong together."
            ]
    return []


def _copy_input(
    folder: Path, settings: Evaluate, source: Mapping[str, Any], posteriors: Mapping[str, pd.DataFrame]
) -> None:
    """The input with the levels of the posterior that was fitted on other texts."""
    path, used = Path(str(settings.input)), source["file"]["columns_used"]
    posterior = next(table for protocol, table in posteriors.items() if protocol != FOLDS)
    copy = folder / f"{stem(path)}_levels.csv"
    empty = write_copy(path, copy, settings.corpus, used.get("writing_id"), posterior)
    log.info("the input with its levels: %s%s", copy, f"; {empty:,} of its rows have none" if empty else "")
