"""`python evaluate.py task=cloze`: models guess the words that learners wrote."""

import logging
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

from ilm.cli.logging import set_up_logging
from ilm.corpus.reader import read_corpus
from ilm.corpus.sources import BEYOND
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.evaluation.cloze.answerers import METHOD, Settings
from ilm.evaluation.cloze.bootstrap import compare
from ilm.evaluation.cloze.exposure import texts_seen
from ilm.evaluation.cloze.items import HUMAN_TOKENS, TOO_FEW, Item, choose_texts, draw_items, units_of
from ilm.evaluation.cloze.metrics import blank_metrics, calibration, grouped
from ilm.evaluation.cloze.models import Source, find_sources, load
from ilm.evaluation.cloze.pos_tags import DATA, Tagger, nltk_tagger, parts_of_speech
from ilm.evaluation.cloze.report import print_tables, write_report
from ilm.evaluation.cloze.store import ask, is_answered, opened, read_answers, read_how
from ilm.evaluation.cloze.subwords import Pieces
from ilm.examples.tokenizers import gpt2_tokenizer
from ilm.hashing import digest
from ilm.models.devices import usable_device
from ilm.runs.folder import versions

log = logging.getLogger("ilm")

POOLED = "all"
# Keys of `cloze` that are not about the answers, only about what is made of them.
_AFTERWARDS = ("resamples",)
# Whose other versions may answer otherwise.
_DECIDING = ("torch", "transformers", "tokenizers", "nltk")


def evaluate_cloze(settings: Mapping[str, Any], level: str | None) -> pd.DataFrame:
    """Run the bench that a plain `ilm.config.Evaluate` describes; `level` is the chosen option of the group `cefr`.

    Writes results/<name>/ and prints the tables; returns one row per model, grouping, group and metric.

    Raises: UserError for models, texts or settings that make no bench.
    """
    cloze, paths = settings["cloze"], settings["paths"]
    device = usable_device(settings["evaluation"]["device"], "evaluation.device")
    corpus = Path(paths["data"]) / settings["corpus"]["name"]
    sources = find_sources(settings["models"], Path(paths["experiments"]), corpus, level, cloze["n_masks"])
    documents, origin = _texts(settings, level)
    chosen = choose_texts(documents, settings["limit"], cloze["seed"])
    drawing = {key: cloze[key] for key in ("n_masks", "samples_per_text", "max_chars", "seed", "positions")}
    items, counts = draw_items(chosen, **drawing)
    if not items:
        raise UserError(_no_items(len(chosen), cloze["n_masks"], cloze["positions"]))
    tagger = nltk_tagger()
    name = settings["name"] or "_".join(filter(None, [origin["name"], level, "cloze"]))
    folder = Path(paths["results"]) / name
    seen = {source.name: texts_seen(source, chosen, Path(paths["data"])) for source in sources}
    units, unit = units_of(chosen)
    header = {
        "task": "cloze",
        "command": "python " + shlex.join(sys.argv),
        "source": origin,
        "texts": len(chosen) - counts.get(TOO_FEW, 0),
        "items": len(items),
        "texts_counted": counts,
        "unit": unit,
        "configuration": settings.model_dump(),
        "device": device.type,
        "versions": versions(),
        "part_of_speech": f"left out: NLTK's data {DATA} is not installed" if tagger is None else f"NLTK's {DATA}",
    }
    with opened(folder, _identity(settings, origin, items, device), items):
        set_up_logging(folder / "cloze.log")
        log.info("%d items of %d texts; %s", len(items), len(chosen), _said(counts) or "no text is left out")
        if tagger is None:
            log.info("by part of speech: %s (python -m nltk.downloader %s)", header["part_of_speech"], DATA)
        for model, found in seen.items():
            if found["texts"]:
                log.warning("%s was trained on %d of these %d texts", model, found["texts"], len(chosen))
        _ask_all(sources, items, folder, settings, device)
        return _report(folder, header, sources, _blanks(folder, sources, items, units, tagger), seen)


def _no_items(texts: int, n_masks: int, positions: str) -> str:
    several = f"{n_masks} words that may be cut out and are no neighbours" if n_masks > 1 else "a word"
    of_letters = " of letters alone" if positions == HUMAN_TOKENS and n_masks == 1 else ""
    remedies = [f"lower cloze.n_masks={n_masks}"] if n_masks > 1 else []
    remedies += ["type cloze.positions=random for words of any kind"] if positions == HUMAN_TOKENS else []
    return f"None of {texts:,} texts has {several}{of_letters}: {', or '.join(remedies) or 'give other texts'}."


def _texts(settings: Mapping[str, Any], level: str | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The documents of `input`, or of a split of the prepared corpus; and what is to be known of their origin."""
    corpus, evaluation = settings["corpus"], settings["evaluation"]
    if settings["input"] is not None:
        levels = [*corpus["levels"], *(name for name in BEYOND if name not in corpus["levels"])]
        reading = {key: corpus[key] for key in ("encoding", "max_dropped", "sheet")}
        # A file of test texts is read whole, whatever split it names.
        columns = {**corpus["columns"], "split": ""}
        path = Path(settings["input"])
        documents, report = read_corpus(path, columns=columns, levels=levels, lenient=True, **reading)
        for cause, found in {**report.dropped, **report.notes}.items():
            log.warning("%s: %s: %d", path, cause, found["count"])
        origin = {
            "name": re.sub(r"[^\w+-]", "_", path.name.split(".")[0]),
            "file": report.to_dict(),
            "synthetic": False,
        }
    else:
        prepared = PreparedCorpus.open(Path(settings["paths"]["data"]) / (evaluation["corpus"] or corpus["name"]))
        documents = prepared.documents[prepared.documents["split"] == evaluation["split"]]
        origin = {
            "name": prepared.name,
            "documents_hash": prepared.documents_hash,
            "split": evaluation["split"],
            "synthetic": prepared.manifest["synthetic"],
            "text_column": prepared.manifest["text_column"],
        }
    wanted = evaluation["levels"] or ([level] if level not in (None, POOLED) else None)
    if wanted is not None:
        documents = documents[documents["cefr_level"].isin(wanted)]
    if not len(documents):
        of_levels = f" of level {', '.join(wanted)}" if wanted else ""
        raise UserError(
            f"{origin['name']} has no texts{of_levels} to cut words out of: see evaluation.levels, input=FILE."
        )
    return documents, {**origin, "levels": sorted(documents["cefr_level"].unique())}


def _identity(
    settings: Mapping[str, Any], origin: Mapping[str, Any], items: Sequence[Item], device: torch.device
) -> dict[str, Any]:
    """What decides the answers, but for the models, which may be added one by one."""
    found = versions()
    return {
        "texts": {key: origin[key] for key in ("name", "documents_hash", "split", "levels") if key in origin}
        | ({"sha256": origin["file"]["sha256"]} if "file" in origin else {}),
        "method": METHOD,
        "limit": settings["limit"],
        "cloze": {key: value for key, value in settings["cloze"].items() if key not in _AFTERWARDS},
        "items": digest([item.to_dict() for item in items]),
        "device": device.type,
        "versions": {package: found[package] for package in _DECIDING},
    }


def _ask_all(
    sources: Sequence[Source], items: Sequence[Item], folder: Path, settings: Mapping[str, Any], device: torch.device
) -> None:
    cloze = settings["cloze"]
    asking = Settings(**{key: cloze[key] for key in Settings.__dataclass_fields__})
    for number, source in enumerate(sources, start=1):
        log.info("model %d of %d: %s", number, len(sources), source.name)
        identity = {"kind": source.kind, "fingerprint": source.fingerprint}
        if is_answered(folder, source.file_name, identity, items, cloze["batch_size"]):
            log.info("it has answered all items already")
        else:
            answerer = load(source, asking, device, cloze["n_masks"])
            ask(answerer, items, folder, source.file_name, identity, cloze["batch_size"], source.name)


def _report(
    folder: Path,
    header: dict[str, Any],
    sources: Sequence[Source],
    blanks: pd.DataFrame,
    seen: Mapping[str, Any],
) -> pd.DataFrame:
    cloze = header["configuration"]["cloze"]
    results = grouped(blanks)
    kinds = {source.name: source.kind for source in sources}
    pairs = compare(blanks, kinds, cloze["resamples"], cloze["seed"])
    models, reliability = {}, []
    for source in sources:
        own = blanks[blanks["model"] == source.name]
        confidence, correct = own["confidence"].to_numpy(float), own["folded"].to_numpy(float)
        error, table = calibration(confidence, correct, own["unit"].to_numpy())
        reliability.append(table.assign(model=source.name))
        models[source.name] = {
            "kind": source.kind,
            "model": source.typed,
            "fingerprint": source.fingerprint,
            "asked": read_how(folder, source.file_name),
            "texts_seen_in_training": seen[source.name],
            "blanks": len(own),
            "failures": dict(Counter(own["failure"].dropna())),
            "without_log_probability": dict(Counter(own["unscored"].dropna())),
            "incomplete_lists": int((~own["complete"]).sum()),
            "expected_calibration_error": error,
        }
    header["models"] = models
    tables = {"cloze": results, "comparisons": pairs, "calibration": pd.concat(reliability), "blanks": blanks}
    write_report(folder, header, tables)
    print_tables(Console(), header, tables)
    log.info(
        "written: %s/{report.json,*.csv,cloze.md,cloze.tex,calibration.png,items.jsonl,answers/,cloze.log}", folder
    )
    return results


def _blanks(
    folder: Path, sources: Sequence[Source], items: Sequence[Item], units: Mapping[str, int], tagger: Tagger | None
) -> pd.DataFrame:
    """A row per model and blank, with all that a metric or a group needs."""
    common = {item.key: _common_pieces().encode(item) for item in items}
    rows = []
    for source in sources:
        answers = read_answers(folder, source.file_name)
        for item in items:
            encoded = common[item.key]
            for number, answer in enumerate(answers[item.key]):
                rows.append(
                    {
                        "model": source.name,
                        "item": item.key,
                        "blank": number,
                        "writing_id": item.writing_id,
                        "unit": units[item.writing_id],
                        "cefr_level": item.cefr_level,
                        "l1": item.l1,
                        "word": answer["word"],
                        "answer": answer["candidates"][0][0] if answer["candidates"] else None,
                        "subtokens": None if isinstance(encoded, str) else len(encoded.answer(number)),
                        "own_subtokens": answer["subtokens"],
                        "failure": answer["failure"],
                        "unscored": answer["unscored"],
                        "complete": answer["complete"],
                        **blank_metrics(
                            answer["word"], answer["candidates"], answer["log_probability"], source.kind == "mlm"
                        ),
                    }
                )
    blanks = pd.DataFrame(rows)
    if tagger is not None:
        tags = parts_of_speech(items, tagger)
        blanks["part_of_speech"] = [tags[key] for key in zip(blanks["item"], blanks["blank"], strict=True)]
    return blanks


@cache
def _common_pieces() -> Pieces:
    """GPT-2's tokenizer, by which words are grouped alike for all models: it comes with the installation."""
    tokenizer = gpt2_tokenizer()
    return Pieces(tokenizer, len(tokenizer))


def _said(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{count:,} {cause}" for cause, count in counts.items())
