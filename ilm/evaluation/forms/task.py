"""`python evaluate.py task=forms`: do models prefer what learners wrote, or what it was corrected to?"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ilm.config.evaluate import Evaluate, Forms
from ilm.errors import UserError
from ilm.evaluation.conditions import require_condition
from ilm.evaluation.forms.edits import aligned_edits
from ilm.evaluation.forms.m2 import read_m2
from ilm.evaluation.forms.report import print_tables, write_report
from ilm.evaluation.forms.results import comparisons, edit_table, preferences
from ilm.evaluation.forms.scoring import items_of, score_items
from ilm.evaluation.kept_lines import Record
from ilm.evaluation.models import infilling_models, texts_seen
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity
from ilm.evaluation.texts import choose_texts, read_texts, units_of
from ilm.hashing import digest, file_record
from ilm.models.devices import usable_device
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

NOT_CORRECTED = "texts without a corrected version"


def evaluate_forms(settings: Evaluate, task: Forms) -> pd.DataFrame:
    """Score learners' forms and the corrected ones in the same blanks under every model.

    Writes results/<name>/ and prints the tables; returns a row per run, grouping and group.

    Raises: UserError if there is no model, no corrected text, or no edit to score.
    """
    device = usable_device(task.device, "task.device")
    models = infilling_models(settings)
    require_condition(models, task.condition)
    documents, texts, counts, source = _texts(settings, task, models)
    items, not_scored = items_of(texts, task.context)
    counts |= not_scored
    if not items:
        raise UserError(f"{source['name']}: no edit has words on both sides. Found: {_listed(counts)}")
    folder = results_folder(settings, source["name"])
    with open_results(folder, results_identity(settings, source, items=digest([asdict(item) for item in items]))):
        log.info("%s edits of %s texts; %s", f"{len(items):,}", f"{len(texts):,}", _listed(counts))
        records: dict[str, dict[tuple, Record]] = {}
        for number, model in enumerate(models, start=1):
            log.info("model %d of %d: %s", number, len(models), model.name)
            records[model.name] = score_items(model, items, folder, task)
        units, unit = units_of(documents)
        edits = edit_table(items, records, units)
        if not len(edits):
            left_out = sum(map(_left_out, records.values()), Counter())
            raise UserError(f"{source['name']}: no edit could be scored. Found: {_listed(left_out)}")
        seen = texts_seen(((model.name, model) for model in models), documents, Path(settings.paths.data))
        described = {
            model.name: model.record()
            | {
                "condition": model.condition,
                "left_out": dict(_left_out(records[model.name])),
                "texts_seen_in_training": seen[model.name],
            }
            for model in models
        }
        header = report_header(
            settings, source, len(texts), described, device, edits=len(items), counts=dict(counts), unit=unit
        )
        results = preferences(edits, task.resamples, task.seed)
        pairs = comparisons(edits, task.resamples, task.seed)
        print_tables(header, results)  # before writing, which may fail
        write_report(folder, header, results, pairs, edits)
    return results


def _left_out(records: Mapping[tuple, Record]) -> Counter[str]:
    """Counts of the edits that a model could not score, by cause."""
    return Counter(record["left_out"] for record in records.values() if "left_out" in record)


def _listed(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{cause}: {count:,}" for cause, count in counts.items()) or "nothing is left out"


def _texts(
    settings: Evaluate, task: Forms, models: Sequence[TrainedModel]
) -> tuple[pd.DataFrame, pd.DataFrame, Counter[str], dict[str, Any]]:
    """(Documents; those of them that are corrected; counts of what is left out, by cause; their record in a report)."""
    if settings.input is not None and settings.input.endswith(".m2"):
        path = Path(settings.input)
        sentences, counts = read_m2(path, task.annotator)
        documents = choose_texts(sentences, settings.limit, task.seed)
        return documents, documents, counts, {"name": path.stem, "file": file_record(path), "synthetic": False}
    documents, source = read_texts(settings, models, need_level=False, keep_columns=[task.corrected])
    documents = choose_texts(documents, settings.limit, task.seed)
    is_corrected = documents[task.corrected].map(lambda other: isinstance(other, str) and bool(other.strip()))
    texts = documents[is_corrected]
    texts = texts.assign(
        corrected=texts[task.corrected],
        edits=[aligned_edits(*both) for both in zip(texts["text"], texts[task.corrected], strict=True)],
    )
    return documents, texts, +Counter({NOT_CORRECTED: int((~is_corrected).sum())}), source
