"""`python evaluate.py task=cloze`: models predict the words that learners wrote."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ilm.config.evaluate import Cloze, Evaluate
from ilm.errors import UserError
from ilm.evaluation.cloze.base import METHOD
from ilm.evaluation.cloze.items import (
    EDITS,
    TOO_FEW,
    Item,
    draw_items,
    parts_of_speech,
    word_class,
)
from ilm.evaluation.cloze.metrics import blank_metrics, compare, grouped
from ilm.evaluation.cloze.models import ModelSpec, find_models, load_model
from ilm.evaluation.cloze.report import print_tables, write_report
from ilm.evaluation.cloze.store import KEY, missing_items, predictions, write_items
from ilm.evaluation.cloze.subwords import Subwords
from ilm.evaluation.conditions import require_condition
from ilm.evaluation.kept_lines import KeptLines
from ilm.evaluation.losses import thirds
from ilm.evaluation.models import model_finder, texts_seen
from ilm.evaluation.report import open_results, report_header, results_folder, results_identity
from ilm.evaluation.statistics import calibration
from ilm.evaluation.texts import choose_texts, read_texts, units_of
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.hashing import digest
from ilm.masking.tagging import TAGGER_DATA, Tagger, nltk_tagger
from ilm.models.devices import usable_device
from ilm.progress import ProgressLog, duration
from ilm.runs.folder import versions

log = logging.getLogger("ilm")

# Packages whose versions may change predictions.
_DECIDING = ("torch", "transformers", "tokenizers", "nltk")
_WORTH_TIMING = 8  # batches


def evaluate_cloze(settings: Evaluate, options: Cloze) -> pd.DataFrame:
    """Cut words out of texts, let every model predict them, and report how well each does.

    Writes results/<name>/ and prints the tables; returns one row per model, grouping, group and metric.

    Raises: UserError if models, texts or settings do not allow a cloze test.
    """
    device = usable_device(options.device, "task.device")
    models = find_models(settings.models, model_finder(settings), settings.cefr, options.n_masks)
    require_condition([model.trained for model in models if model.trained], options.condition)
    columns = [options.corrected] if options.positions == EDITS else []
    runs = [model.trained for model in models if model.trained]
    documents, source = read_texts(settings, runs, keep_columns=columns)
    texts = choose_texts(documents, settings.limit, options.seed)
    items, counts = _items(texts, options)
    tagger = nltk_tagger()
    seen = texts_seen(((model.name, model.trained) for model in models), texts, Path(settings.paths.data))
    units, unit = units_of(texts)
    folder = results_folder(settings, source["name"])
    # Models are no part of it: they may be added one by one.
    identity = results_identity(
        settings,
        source,
        method=METHOD,
        items=digest([item.to_dict() for item in items]),
        device=device.type,
        versions={package: versions()[package] for package in _DECIDING},
    )
    with open_results(folder, identity):
        write_items(folder, items)
        left_out = "; ".join(f"{count:,} {cause}" for cause, count in counts.items())
        counted = f"{len(items):,} items of {len(texts):,} texts"
        log.info("%s; %s", counted, left_out or "no text is left out")
        kept = _predict(models, items, folder, options, device)
        systems = systems_of(models)
        blanks = _blank_table(systems, kept, items, units, tagger)
        header = report_header(
            settings,
            source,
            len(texts) - counts.get(TOO_FEW, 0),
            {name: _summary(name, runs, blanks, seen) for name, runs in systems.items()},
            device,
            items=len(items),
            texts_counted=counts,
            unit=unit,
            part_of_speech=f"NLTK's {TAGGER_DATA}" if tagger else f"left out: NLTK's data {TAGGER_DATA} is missing",
        )
        tables = _tables(header, blanks, options)
        print_tables(header, tables)  # before writing, which may fail
        write_report(folder, header, tables)
    return tables["cloze"]


def _items(texts: pd.DataFrame, options: Cloze) -> tuple[list[Item], dict[str, int]]:
    items, counts = draw_items(texts, options)
    if not items:
        raise UserError(
            f"None of {len(texts):,} texts has task.n_masks={options.n_masks} words that may be cut out, not "
            f"neighbours, by task.positions={options.positions}. Ask for fewer, or type task.positions=random for "
            "words of any kind."
        )
    return items, counts


def _predict(
    models: Sequence[ModelSpec], items: Sequence[Item], folder: Path, options: Cloze, device: torch.device
) -> dict[str, KeptLines]:
    """The complete predictions of each model; only models with missing predictions are loaded."""
    found = {spec.name: KeptLines(folder / "answers" / f"{spec.file_name}.jsonl", KEY) for spec in models}
    missing = {name: missing_items(kept, items, options.batch_size) for name, kept in found.items()}
    _log_expected_time([(spec, missing[spec.name]) for spec in models], options, device)
    for number, spec in enumerate(models, start=1):
        log.info("model %d of %d: %s", number, len(models), spec.name)
        if left := missing[spec.name]:
            progress = ProgressLog(len(items), spec.name, "items", initial=len(items) - len(left))
            model = load_model(spec, options, device)
            found[spec.name].add(predictions(model, left, options.batch_size), progress)
        else:
            log.info("all of its predictions are already in the results")
    return found


def _log_expected_time(work: Sequence[tuple[ModelSpec, Sequence[Item]]], options: Cloze, device: torch.device) -> None:
    """Log how long the models will take for their items, from the time of one batch of median length for each."""
    expected = {}
    for spec, items in work:
        if len(items) <= _WORTH_TIMING * options.batch_size:
            continue
        model, begin = load_model(spec, options, device), len(items) // 2
        began = time.monotonic()
        model.predict(items[begin : begin + options.batch_size])
        expected[spec.name] = (time.monotonic() - began) * len(items) / options.batch_size
    if expected:
        each = ", ".join(f"{name} {duration(seconds)}" for name, seconds in expected.items())
        log.info(
            "expected to take about %s (timed on one batch of each model: %s)", duration(sum(expected.values())), each
        )


def systems_of(models: Sequence[ModelSpec]) -> dict[str, list[ModelSpec]]:
    """The models by name; runs that differ only in seed or draw are one, named after the first."""
    found: dict[str, dict[tuple[int, int] | None, ModelSpec]] = {}
    for model in models:
        run = model.trained if model.trained is not None and model.trained.run is not None else None
        recipe, replicate = (run.recipe, run.replicate) if run else (model.name, None)
        again = replicate in found.get(recipe, {})
        found.setdefault(model.name if again else recipe, {})[replicate] = model
    systems = [list(runs.values()) for runs in found.values()]
    return {runs[0].name if len(runs) == 1 else f"{runs[0].name} ({len(runs)} seeds)": runs for runs in systems}


@cache
def _gpt2_subwords() -> Subwords:
    """Of GPT-2's tokenizer, which comes with the installation: words are grouped alike for all models."""
    tokenizer = gpt2_tokenizer()
    return Subwords(tokenizer, len(tokenizer))


def _blank_table(
    systems: Mapping[str, Sequence[ModelSpec]],
    kept: Mapping[str, KeptLines],
    items: Sequence[Item],
    units: Mapping[str, int],
    tagger: Tagger | None,
) -> pd.DataFrame:
    """A row per run and blank, with its metrics and groups."""
    encoded = {item.key: _gpt2_subwords().encode(item) for item in items}
    rows = []
    for name, model in ((name, run) for name, runs in systems.items() for run in runs):
        answers = kept[model.name].read()
        for item in items:
            common = encoded[item.key]
            for blank, answer in enumerate(answers[(item.key,)]["blanks"]):
                word, candidates = answer["word"], answer["candidates"]
                rows.append(
                    {
                        "model": name,
                        "run": model.name,
                        "item": item.key,
                        "blank": blank,
                        "writing_id": item.writing_id,
                        "unit": units[item.writing_id],
                        "cefr_level": item.cefr_level,
                        "l1": item.l1,
                        "word": word,
                        "word_class": word_class(word),
                        "place": item.spans[blank][0] / len(item.text),
                        "answer": candidates[0][0] if candidates else None,
                        "subtokens": None if isinstance(common, str) else len(common.word_ids(blank)),
                        "own_subtokens": answer["subtokens"],
                        "failure": answer["failure"],
                        "unscored": answer["unscored"],
                        "complete": answer["complete"],
                        **blank_metrics(word, candidates, answer["log_probability"], model.kind == "mlm"),
                    }
                )
    blanks = pd.DataFrame(rows)
    blanks["position"] = thirds(blanks.pop("place").to_numpy(), 1)
    if tagger is not None:
        tags = parts_of_speech(items, tagger)
        blanks["part_of_speech"] = [tags[key] for key in zip(blanks["item"], blanks["blank"], strict=True)]
    return blanks


def _summary(name: str, runs: Sequence[ModelSpec], blanks: pd.DataFrame, seen: Mapping[str, Any]) -> dict[str, Any]:
    """The report's record of a model, without its metrics; what its runs share is taken from the first."""
    own, first = blanks[blanks["model"] == name], runs[0]
    return {
        "kind": first.kind,
        "model": first.path,
        "runs": {run.name: run.fingerprint for run in runs},
        "texts_seen_in_training": seen[first.name],
        "blanks": len(own),
        "failures": dict(Counter(own["failure"].dropna())),
        "without_log_probability": dict(Counter(own["unscored"].dropna())),
        "incomplete_lists": int((~own["complete"]).sum()),
    }


def _tables(header: dict[str, Any], blanks: pd.DataFrame, options: Cloze) -> dict[str, pd.DataFrame]:
    """The tables of a report; adds each model's calibration error to the `header`."""
    reliability = []
    for model, about in header["models"].items():
        own = blanks[blanks["model"] == model]
        confidence, correct = own["confidence"].to_numpy(float), own["folded"].to_numpy(float)
        about["expected_calibration_error"], table = calibration(confidence, correct, own["unit"].to_numpy())
        reliability.append(table.assign(model=model))
    kinds = {model: about["kind"] for model, about in header["models"].items()}
    return {
        "cloze": grouped(blanks),
        "comparisons": compare(blanks, kinds, options.resamples, options.seed),
        "calibration": pd.concat(reliability),
        "blanks": blanks,
    }
