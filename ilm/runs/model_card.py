"""Writes a run's model card (README.md in model/): training data, results, memorisation, intended use.

experiments/<name>/evaluated.json keeps the results of evaluating these weights, by task; the card shows all of them.
"""

import logging
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ilm.files import atomic_file, read_object, write_json
from ilm.hashing import model_fingerprint
from ilm.models.scoring import perplexity
from ilm.runs.folder import RunFolder, total_targets

log = logging.getLogger("ilm")

HEADLINE = "infill_textonly"


def write_model_card(run: RunFolder, manifest: Mapping[str, Any], **found: Any) -> None:
    """Write the card of a finished run on the corpus of `manifest`, with what evaluations `found` now or earlier.

    `perplexity`: rows of a report (`ilm.evaluation.perplexity.results`) with `split`, `masks_per_document` and
    `max_length`; without them the card shows validation losses from training. `memorisation`:
    `ilm.evaluation.memorisation.report.card_results`. A read-only folder keeps its old card.
    """
    if "perplexity" in found:
        found["perplexity"] = [row for row in found["perplexity"] if _is_headline(row)]
    try:
        card = _card(run, manifest, _evaluated(run, found))
        with atomic_file(run.model / "README.md") as temporary:
            temporary.write_text(str(card), encoding="utf-8")
    except OSError as error:
        log.warning("cannot write the model card in %s: %s", run.model, error)


def _card(run: RunFolder, manifest: Mapping[str, Any], found: Mapping[str, Any]) -> ModelCard:
    settings, status, corpus, rows = run.settings, run.status, manifest["corpus"], found.get("perplexity", [])
    level, model = settings.cefr_level.name, settings.model
    best = {kind: status["best"][kind] for kind in ("context", "infill", HEADLINE)}
    return ModelCard.from_template(
        ModelCardData(
            language="en",
            library_name="transformers",
            pipeline_tag="text-generation",
            tags=["infilling", "learner-english", f"cefr-{level}"],
            base_model=model.path if model.pretrained else None,
            model_name=run.path.name,
            eval_results=[_eval_result(row, corpus) for row in rows] or None,
        ),
        template_str=files("ilm.runs").joinpath("model_card.md").read_text(encoding="utf-8"),
        name=run.path.name,
        level=level,
        corpus=corpus,
        base=model.path if model.pretrained else f"random weights ({model.name})",
        settings=settings,
        status=status,
        seen=total_targets([status]),
        latest=run.record["commands"][-1],
        manifest=manifest,
        rows=rows,
        validation={kind: loss for kind, loss in best.items() if loss is not None},
        memorisation=found.get("memorisation"),
        perplexity=perplexity,
        interval=_interval,
    )


def _evaluated(run: RunFolder, found: Mapping[str, Any]) -> dict[str, Any]:
    """Results for the run's weights by task: those `found` now, and those stored by earlier evaluations."""
    file, weights = run.path / "evaluated.json", model_fingerprint(run.model)
    before = (read_object(file, "weights") or {}) if file.exists() else {}
    known = {**(before if before.get("weights") == weights else {}), **found, "weights": weights}
    if found:
        write_json(file, known)
    return known


def _is_headline(row: Mapping[str, Any]) -> bool:
    return bool(row["kind"] == HEADLINE and row["mask_type"] == "all" and row["targets"])


def _eval_result(row: Mapping[str, Any], corpus: str) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name=f"infilling, {row['level']} texts",
        dataset_type=corpus,
        dataset_name=corpus,
        dataset_config=row["level"],
        dataset_split=row["split"],
        metric_type="perplexity",
        metric_name=f"{HEADLINE} perplexity on {row['level']}",
        metric_value=round(row["perplexity"], 4),
    )


def _interval(row: Mapping[str, Any]) -> str:
    """The interval of a perplexity; empty for a single cluster."""
    loss, error = row["loss"], row["loss_standard_error"]
    return "" if error is None else " to ".join(f"{perplexity(loss + sign * 1.96 * error):.4g}" for sign in (-1, 1))
