"""`python evaluate.py task=perplexity`: the perplexity of trained models on the texts of each level."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ilm.config.evaluate import Evaluate, Perplexity, Scored
from ilm.config.section import shown
from ilm.config.sections import Only
from ilm.corpus.leakage import shared_with
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.baselines import baseline_scores
from ilm.evaluation.comparison.task import compare_models
from ilm.evaluation.conditions import OWN, require_condition
from ilm.evaluation.losses import Texts, losses_by_kind
from ilm.evaluation.models import model_finder, open_training_corpus
from ilm.evaluation.perplexity.report import tables, write_report
from ilm.evaluation.perplexity.results import results
from ilm.evaluation.perplexity.scoring import ScoredModel, Scorer, complete_for_all, masks_of
from ilm.evaluation.report import open_results, records, report_header, results_folder, results_identity, source_of
from ilm.evaluation.scores import Scores
from ilm.examples.cuts import POOLED
from ilm.hashing import order_key
from ilm.models.devices import usable_device
from ilm.runs.folder import RunFolder
from ilm.runs.model_card import write_model_card
from ilm.runs.trained_model import TrainedModel
from ilm.tables import show

log = logging.getLogger("ilm")


def evaluate_perplexity(settings: Evaluate, task: Scored) -> pd.DataFrame:
    """Score the masked spans of prepared texts under every model.

    Writes results/<name>/ and prints the tables; returns one row per run, level, kind and mask type.

    Raises: UserError if no model or text is found, or a model does not fit the texts.
    """
    device = usable_device(task.device, "task.device") if isinstance(task, Perplexity) else None
    models, trained_on = _find_models(settings)
    corpus, levels = _find_texts(settings, trained_on)
    rows, of_levels = document_rows(corpus, task.split, levels, task.only, settings.limit)
    if not of_levels:
        raise UserError(
            f"task.only={shown(task.only)}: {corpus.name} has no such text of {', '.join(levels)} in {task.split}. "
            "Give further values, or other levels"
        )
    levels = of_levels
    source = source_of(corpus, task.split, levels)
    of_another = trained_on is not None and task.corpus is not None
    folder = results_folder(
        settings, f"{trained_on.name}_on_{corpus.name}" if trained_on and of_another else corpus.name
    )
    for condition in task.condition:
        require_condition(models, condition)
    masks = {model.name: masks_of(model, corpus, task) for model in models}
    trained_on_hash = trained_on and trained_on.documents_hash
    with open_results(folder, results_identity(settings, source, trained_on=trained_on_hash)):
        scorer = Scorer(corpus, task, Path(settings.paths.results), device)
        scored = _score(scorer, models, masks, rows, task.condition)
        if not scored:
            raise UserError("No model is scored on these texts yet. Score them: the same command with task=perplexity")
        if task.fitting == "complete":
            scored = complete_for_all(scored)
        texts = Texts.of(corpus.documents.iloc[rows])
        # Models of unknown training have no seed.
        frame = pd.DataFrame(_rows(scored, texts, corpus, levels)).astype({"seed": "Int64"})
        header = report_header(
            settings,
            source,
            len(rows),
            {of.name: of.model.record() | {"evaluated_masks": of.masks} for of in scored},
            device,
            unit=texts.clusters_are,
            leaks=corpus.manifest["leaks"],
            training_corpus=_origin(trained_on, corpus, rows),
        )
        show(*tables(header, frame, [*levels, POOLED]))  # before writing, which may fail
        valid = _score_second_split(scorer, task, models, masks, levels, settings.limit)
        baselines = _baselines(scorer, scored, rows, task.baselines)
        write_report(folder, header, frame, compare_models(scored, valid, baselines, texts, header, task))
    own = trained_on is not None and trained_on.documents_hash == corpus.documents_hash
    of = {"split": source["split"], "masks_per_document": task.masks_per_document, "max_length": task.max_length}
    _update_runs(scored, frame.assign(**of), source, corpus if own and _is_whole(settings, task) else None)
    return frame


def _update_runs(
    scored: Sequence[ScoredModel], frame: pd.DataFrame, source: Mapping[str, Any], corpus: PreparedCorpus | None
) -> None:
    """Write perplexities to the runs' TensorBoard, and to their model cards if `corpus` was evaluated as a whole."""
    for of_model in scored:
        run, rows = of_model.model.run, frame[frame["run"] == of_model.name]
        if run is None or of_model.condition != OWN:
            continue
        if of_model.added:
            _log_to_tensorboard(run, rows, source)
        if corpus is not None:
            write_model_card(run, corpus.manifest, perplexity=records(rows))


def _is_whole(settings: Evaluate, task: Scored) -> bool:
    """Whether all test texts are evaluated, as a model card reports."""
    parts = (settings.limit, settings.cefr, task.levels, task.only, task.fitting, getattr(task, "max_examples", None))
    return task.split == "test" and all(part is None for part in parts)


def _score(
    scorer: Scorer,
    models: Sequence[TrainedModel],
    masks: Mapping[str, Path],
    rows: np.ndarray,
    conditions: Sequence[str],
) -> list[ScoredModel]:
    """The scores of the documents `rows`; without a device, only of the models that have them all."""
    scored: list[ScoredModel] = []
    for number, model in enumerate(models, start=1):
        log.info("model %d of %d: %s", number, len(models), model.name)
        for condition in conditions if model.condition else [OWN]:
            found = scorer.score(model, condition, masks[model.name], rows)
            scored += [found] if found is not None else []
    return scored


def _score_second_split(
    scorer: Scorer,
    task: Scored,
    models: Sequence[TrainedModel],
    masks: Mapping[str, Path],
    levels: Sequence[str],
    limit: int | None,
) -> dict[str, Scores]:
    """The scores of the texts of task.also_score, on which the mixture of specialists is fitted.

    A test-only corpus has no such texts.
    """
    if task.also_score in (None, task.split):
        return {}
    rows, _ = document_rows(scorer.corpus, task.also_score, levels, task.only, limit)
    if not len(rows):
        return {}
    log.info("now the %s texts (task.also_score=null leaves them out)", task.also_score)
    scorer = replace(scorer, task=task.model_copy(update={"split": task.also_score}))
    return {of_model.name: of_model.scores for of_model in _score(scorer, models, masks, rows, task.condition)}


def _baselines(
    scorer: Scorer, scored: Sequence[ScoredModel], rows: np.ndarray, names: Sequence[str]
) -> dict[str, Scores]:
    """The scores of the baselines, if several runs are compared and share a tokenizer."""
    runs = [of for of in scored if of.model.run is not None]
    if len(runs) < 2 or len({of.model.vocabulary.fingerprint for of in runs}) > 1:
        return {}
    return baseline_scores(runs[0], rows, names, scorer)


def _rows(
    scored: Sequence[ScoredModel], texts: Texts, corpus: PreparedCorpus, levels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for of_model in scored:
        model = of_model.model
        about = {"run": of_model.name, **model.family, "trained_on": model.level, "seed": model.seed}
        about |= {"corpus": corpus.name, "text_column": corpus.manifest["text_column"], **of_model.counts}
        losses = losses_by_kind({model.name: of_model.scores}, texts)
        cuts = {of_level.level: of_level._asdict() for of_level in of_model.cuts}
        for row in results(of_model.scores, losses, texts, levels, model.mask_types):
            yield {**about, **cuts.get(row["level"], {}), **row}


def _log_to_tensorboard(run: RunFolder, rows: pd.DataFrame, source: Mapping[str, Any]) -> None:
    """Add perplexities to the run's training curves, if it has any, at its last optimizer step."""
    if not any(run.path.glob("events.out.tfevents.*")):
        return
    from torch.utils.tensorboard import SummaryWriter

    try:
        with SummaryWriter(run.path) as writer:
            for row in rows[(rows["mask_type"] == "all") & rows["perplexity"].notna()].itertuples():
                name = f"{source['split']}/{row.kind}_perplexity_{row.level}"
                writer.add_scalar(name, row.perplexity, run.status["step"])
    except OSError as error:
        log.warning("perplexities could not be written for TensorBoard to %s: %s", run.path, error)


def _find_texts(settings: Evaluate, trained_on: PreparedCorpus | None) -> tuple[PreparedCorpus, list[str]]:
    """The corpus to evaluate on, and its levels."""
    task, level, name = settings.task, settings.cefr, settings.corpus.name
    if trained_on is not None and trained_on.name != name:
        log.info("the models were trained on %s, not on corpus=%s", trained_on.name, name)
        name = trained_on.name
    corpus = PreparedCorpus.open(Path(settings.paths.data) / (task.corpus or name))
    # A level of a study has training texts; of another corpus, only the texts evaluated matter.
    needed = (task.split,) if trained_on is None or trained_on.name != corpus.name else SPLITS
    levels = task.levels or ([level] if level not in (None, POOLED) else _complete_levels(corpus, needed))
    corpus.require_splits(levels, needed)
    return corpus, levels


def _find_models(settings: Evaluate) -> tuple[list[TrainedModel], PreparedCorpus | None]:
    """The models to evaluate, and the corpus that the runs among them were trained on; None if there is no run."""
    task = settings.task
    objective = task.objective if isinstance(task, Perplexity) else None
    models = model_finder(settings, None).find(settings.models, settings.cefr)
    runs = [model for model in models if model.run is not None]
    if objective is not None and runs:
        raise UserError(
            f"task.objective={objective} is for bare model folders (models=[FOLDER]); a run records its own "
            "objective. Drop it"
        )
    if not runs:
        return [replace(model, objective=objective or model.objective) for model in models], None
    return models, open_training_corpus(runs, settings)


def _origin(trained_on: PreparedCorpus | None, corpus: PreparedCorpus, rows: np.ndarray) -> dict[str, Any] | None:
    """The corpus that the models were trained on and, if it is another, how many texts in `rows` they were trained on.

    None for model folders of unknown training.
    """
    if trained_on is None:
        return None
    origin = {"corpus": trained_on.name, "documents_hash": trained_on.documents_hash}
    if trained_on.documents_hash == corpus.documents_hash:
        return origin
    shared = shared_with(corpus.documents.iloc[rows], trained_on.documents, near_duplicates=None)
    return {**origin, "shared": asdict(shared)}


def _complete_levels(corpus: PreparedCorpus, splits: Sequence[str]) -> list[str]:
    """The levels of the corpus with documents in each of `splits`; a warning names the others."""
    counts = corpus.manifest["counts"]["levels"]
    complete = [level for level in counts if all(counts[level][split] for split in splits)]
    if left_out := [level for level in counts if level not in complete]:
        log.warning("left out, since one of their splits is empty: %s", ", ".join(left_out))
    if not complete:
        raise UserError(f"corpus {corpus.name} has no level with documents in {' and '.join(splits)}")
    return complete


def document_rows(
    corpus: PreparedCorpus, split: str, levels: Sequence[str], only: Only | None, limit: int | None
) -> tuple[np.ndarray, list[str]]:
    """(Document rows of a split, sorted; their levels).

    They are all documents of each level, or the first `limit` by hash, the same for every model; with `only`, those
    with these column values.

    Raises: UserError if there is no such column or value.
    """
    ids = corpus.documents["writing_id"].array
    chosen = {level: rows for level in levels if len(rows := corpus.rows(split, [level], only))}
    for level, rows in chosen.items() if limit is not None else ():
        first = sorted(rows, key=lambda row: order_key(corpus.seed, "evaluation", ids[row]))[:limit]
        chosen[level] = np.array(first)
    return np.sort(np.concatenate([*chosen.values(), []])).astype(np.int64), [*chosen]
