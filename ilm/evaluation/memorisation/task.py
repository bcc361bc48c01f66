"""`python evaluate.py task=memorisation`: do models repeat their training texts, and can those be recognised?"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate, Memorisation
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.kept_lines import KeptLines
from ilm.evaluation.memorisation.infills import KEY, blank_table, fill, masked_texts
from ilm.evaluation.memorisation.losses import MEMBERS, Trained, membership_scores
from ilm.evaluation.memorisation.membership import membership
from ilm.evaluation.memorisation.report import card_results, print_tables, repetition, write_report
from ilm.evaluation.models import infilling_models, open_training_corpus
from ilm.evaluation.perplexity.scoring import Scorer, masks_of
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity, source_of
from ilm.evaluation.texts import units_of
from ilm.examples.cuts import POOLED
from ilm.models.devices import usable_device
from ilm.runs.model_card import write_model_card
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")


def evaluate_memorisation(settings: Evaluate, task: Memorisation) -> pd.DataFrame:
    """Fill blanks of held-out texts, and compare the losses of held-out texts with those of training texts.

    Writes results/<name>/, the kept scores and the models' cards, and prints the tables; returns one row per run,
    level, mask type and score of membership.

    Raises: UserError if no run is found, or none was trained on `task.levels`.
    """
    device = usable_device(task.device, "task.device")
    models, corpus = _find_models(settings)
    runs = [Trained.of(model, masks_of(model, corpus, task), corpus, settings) for model in models]
    runs = [run for run in runs if run.levels]
    if not runs:
        raise UserError(f"task.levels={task.levels}: no model was trained on these levels")
    source = source_of(corpus, task.split, sorted({level for run in runs for level in run.levels}))
    folder = results_folder(settings, corpus.name)
    with open_results(folder, results_identity(settings, source)):
        scorer = Scorer(corpus, task, Path(settings.paths.results), device)
        units, unit = units_of(corpus.documents)
        about = corpus.documents.set_index("writing_id")[["cefr_level", "split"]].assign(unit=pd.Series(units))
        members = pd.DataFrame(_membership_rows(runs, scorer, about, task.resamples))
        tables, not_filled = zip(*(_infilled(run, scorer, about, task, folder) for run in runs), strict=True)
        blanks = pd.concat(tables, ignore_index=True)
        repeated = repetition(blanks, task.resamples)
        described = {
            run.model.name: run.model.record() | {"training_texts": len(run.trained_on), "too_long_to_fill": not_filled}
            for run, not_filled in zip(runs, not_filled, strict=True)
        }
        texts = len(np.unique(np.concatenate([run.rows[task.split] for run in runs])))
        header = report_header(settings, source, texts, described, device, unit=unit)
        print_tables(header, repeated, members)
        write_report(folder, header, repeated, members, blanks)
    for run in runs:
        if settings.limit is None and task.levels is None:
            results = card_results(run.model.name, repeated, members, task.split)
            write_model_card(run.model.trained()[0], corpus.manifest, memorisation=results)
    return members


def _find_models(settings: Evaluate) -> tuple[list[TrainedModel], PreparedCorpus]:
    """The runs to evaluate, and the corpus that they were trained on."""
    models = infilling_models(settings)
    corpus = open_training_corpus(models, settings)
    known = [model for model in models if model.trained()[1].data.like is None]
    for model in models:
        if model not in known:
            log.warning("left out: %s, since it was trained on a random subset (data.like)", model.name)
    if not known:
        raise UserError("No model is left: name others with models=[...]")
    return known, corpus


def _infilled(
    run: Trained, scorer: Scorer, about: pd.DataFrame, task: Memorisation, folder: Path
) -> tuple[pd.DataFrame, int]:
    """(A run's `blank_table` with `run`, `cefr_level` and `unit`; the number of texts that were not filled)."""
    model = run.model
    dataset = scorer.dataset(model, run.masks, run.rows[task.split])
    texts = masked_texts(dataset, scorer.corpus, task.infills_per_document, model.condition)
    kept = KeptLines(folder / "infills" / f"{model.name.replace('/', '_')}-{model.fingerprint()}.jsonl", KEY)
    records = fill(model, texts, task.decoding, kept, task.device)
    table = blank_table(texts, records, model.vocabulary, scorer.tokens(model), run.trained_on, run.model.name)
    table["source"] = np.where(table["source"] < 0, "", about.index.to_numpy()[table["source"]])
    table.insert(0, "run", run.model.name)
    table = table.join(about[["cefr_level", "unit"]], on="writing_id")
    return table, sum(not records[text.key]["answers"] for text in texts)


def _membership_rows(
    runs: Sequence[Trained], scorer: Scorer, about: pd.DataFrame, resamples: int
) -> Iterator[dict[str, Any]]:
    """A row per run, level (with several, also all of them), mask type and score."""
    for number, run in enumerate(runs, start=1):
        log.info("model %d of %d: %s", number, len(runs), run.model.name)
        scores = membership_scores(run, scorer)
        texts = about.loc[scores["loss"].index]
        is_member, units = (texts["split"] == MEMBERS).to_numpy(), texts["unit"].to_numpy()
        for level in [*run.levels, *([POOLED] if len(run.levels) > 1 else [])]:
            here = np.ones(len(texts), dtype=bool) if level == POOLED else (texts["cefr_level"] == level).to_numpy()
            for mask_type in scores["loss"]:
                for name, of_texts in scores.items():
                    values = of_texts[mask_type].to_numpy(float)[here]
                    found = membership(values, is_member[here], units[here], resamples=resamples)
                    if found is not None:
                        yield {"run": run.model.name, "level": level, "mask_type": mask_type, "score": name, **found}
