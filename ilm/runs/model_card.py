"""Writes a run's model card (README.md in model/): training data, results, memorisation, intended use.

experiments/<name>/evaluated.json keeps the results of evaluating these weights, by task; the card shows all of them.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ilm.files import atomic_file, read_object, write_json
from ilm.hashing import model_fingerprint
from ilm.models.scoring import perplexity
from ilm.runs.folder import RunFolder, total_targets
from ilm.tables import TextTable

log = logging.getLogger("ilm")

HEADLINE = "infill_textonly"


def write_model_card(run: RunFolder, manifest: Mapping[str, Any], **found: Any) -> None:
    """Write the card of a finished run on the corpus of `manifest`, with what evaluations `found` now or earlier.

    `perplexity`: rows of a report (`ilm.evaluation.perplexity.results`) with `split`, `masks_per_document` and
    `max_length`; without them the card shows validation losses from training. `memorisation`:
    `ilm.evaluation.memorisation.report.card_results`. A read-only folder keeps its old card.
    """
    settings, status, corpus = run.settings, run.status, manifest["corpus"]
    if "perplexity" in found:
        found["perplexity"] = [row for row in found["perplexity"] if _is_headline(row)]
    try:
        found = _evaluated(run, found)
    except OSError as error:
        log.warning("cannot write the model card in %s: %s", run.path, error)
        return
    rows = found.get("perplexity", [])
    level, model = settings.cefr_level.name, settings.model
    base = model.path if model.pretrained else f"random weights ({model.name})"
    texts = "learner texts of all levels" if level == "all" else f"learner texts of CEFR level {level}"
    seen = total_targets([status])
    text = files("ilm.runs").joinpath("model_card.md").read_text(encoding="utf-8")
    card = ModelCard.from_template(
        ModelCardData(
            language="en",
            library_name="transformers",
            pipeline_tag="text-generation",
            tags=["infilling", "learner-english", f"cefr-{level}"],
            base_model=model.path if model.pretrained else None,
            model_name=run.path.name,
            eval_results=[_eval_result(row, corpus) for row in rows] or None,
        ),
        template_str=text,
        name=run.path.name,
        what=f"A causal language model trained on {texts} ({corpus}), from {base}.",
        training={
            "steps": f"{status['step']:,} optimizer steps",
            "seed": settings.seed,
            "targets seen": ", ".join(f"{sum(by_level.values()):,} {kind}" for kind, by_level in seen.items()),
            "targets seen by level": ", ".join(f"{key} {number:,}" for key, number in seen["infill"].items())
            + " (infill)",
            "objective, masking": f"{settings.objective}, {settings.masking.name}",
            "recipe": f"learning rate {settings.optimizer.lr:g}, at most {settings.data.max_length} tokens per example",
            "command": f"`{run.record['commands'][-1]['command']}`",
            "versions": ", ".join(f"{key} {value}" for key, value in run.record["commands"][-1]["versions"].items()),
        },
        data=list(_data(manifest)),
        results=list(_results(rows, status)),
        memorisation=list(_memorisation(found.get("memorisation"))),
        corpus=corpus,
        base=base,
    )
    try:
        with atomic_file(run.model / "README.md") as temporary:
            temporary.write_text(str(card), encoding="utf-8")
    except OSError as error:
        log.warning("cannot write the model card in %s: %s", run.model, error)


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


def _data(manifest: Mapping[str, Any]) -> Iterable[str]:
    """What users of the model must know about its texts: origin, splits, leakage."""
    if manifest["synthetic"]:
        yield "The texts are synthetic: the model shows that the software works, but nothing about learners."
    yield f"corpus {manifest['corpus']}, documents hash {manifest['documents_hash']}"
    for level, counts in manifest["counts"]["levels"].items():
        yield f"{level}: " + ", ".join(f"{counts[split]:,} {split}" for split in ("train", "valid", "test"))
    leaks = manifest["leaks"]
    for what in ("texts", "learners", "topics"):
        found = leaks[what]
        yield f"{what} in several splits: {found if isinstance(found, str) else found['values']}"


def _results(rows: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> Iterable[str]:
    """Perplexities with intervals, or validation losses if the model was not evaluated."""
    if not rows:
        losses = {kind: status["best"][kind] for kind in ("context", "infill", HEADLINE)}
        shown = ", ".join(f"{kind} {perplexity(loss):.2f}" for kind, loss in losses.items() if loss is not None)
        yield f"Validation perplexity of the best weights: {shown}. Type `python evaluate.py` for test texts."
        return
    cells = [
        (
            row["level"],
            f"{row['perplexity']:.4g}",
            _interval(row["loss"], row["loss_standard_error"]),
            f"{row['targets']:,}",
            f"{row['clusters']:,}",
        )
        for row in rows
    ]
    columns = ("texts of", "perplexity", "95 % interval", "tokens", "clusters")
    yield TextTable(None, columns, cells, "lrrrr").markdown()
    yield ""
    yield (
        f"`{HEADLINE}`: on the text that up to {rows[0]['masks_per_document']} masks cut out of each "
        f"{rows[0]['split']} text, without the end-of-answer tokens; examples truncated at {rows[0]['max_length']} "
        "tokens. Intervals are normal approximations over texts or, if known, learners, for this run alone."
    )


def _interval(loss: float, standard_error: float | None) -> str:
    """The interval of a perplexity; empty for a single cluster."""
    if standard_error is None:
        return ""
    return " to ".join(f"{perplexity(loss + sign * 1.96 * standard_error):.4g}" for sign in (-1, 1))


def _memorisation(found: Mapping[str, Any] | None) -> Iterable[str]:
    """How much of its training texts it repeats, and whether they can be recognised."""
    if found is None:
        yield "Not measured: run `python evaluate.py task=memorisation` before sharing the weights."
        return
    of, split, least = found["repetition"], found["split"], found["least_tokens"]
    interval = "" if of["low"] is None else f" (95 % interval {of['low']:+.2f} to {of['high']:+.2f})"
    yield (
        f"In {of['answers']:,} blanks of {split} texts it wrote {of['tokens']:.1f} tokens on average. The longest "
        f"stretch that it shares with a training text has {of['longest']} tokens; the learners' own answers share up "
        f"to {of['learner_longest']}. In answers of equal length, its mean longest stretch differs from theirs by "
        f"{of['difference']:+.2f} tokens{interval}. Of its answers of {least} tokens or more, {of['whole']} of "
        f"{of['long_answers']} occur whole in a training text; of the learners', {of['learner_whole']} of "
        f"{of['learner_long_answers']}."
    )
    yield ""
    cells = [
        (row["mask_type"], row["score"], _with_interval(row, "auc"), _with_interval(row, "tpr"))
        for row in found["membership"]
    ]
    columns = ("blanks", "score", "AUC", "true positives at 1 % false")
    yield TextTable(None, columns, cells, "llrr").markdown()
    yield ""
    yield (
        f"Membership: can training texts be recognised among {split} texts by their loss? AUC .5 is chance. This "
        "is one attack; it does not prove that nothing can be extracted."
    )


def _with_interval(row: Mapping[str, Any], key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return f"{row[key]:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")
