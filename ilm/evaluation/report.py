"""The results folder of every task: its name, its identity, and files that are whole or absent.

    results/<name>/identity.json    what decides the numbers, but for the models' weights: other settings are refused
    results/<name>/<task>.log       messages and progress
    results/<name>/report.json      written last: how the numbers came about, and all of them

Files of other names in the folder stay.
"""

import logging
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from ilm.cli.help import CONF
from ilm.cli.logging import set_up_logging
from ilm.config.evaluate import Cloze, Evaluate, Memorisation, Perplexity
from ilm.config.keys import flat
from ilm.corpus.store import PreparedCorpus, text_note
from ilm.errors import UserError
from ilm.files import atomic_file, locked, read_object, remove_strays, write_json
from ilm.runs.folder import versions
from ilm.runs.identity import identity_differences, short_values
from ilm.tables import TextTable, escape_latex, show

log = logging.getLogger("ilm")

IDENTITY = "identity.json"
# Settings of a task that change no number; the corpus is identified by its documents.
_NOT_DECIDING = {"name", "corpus", "also_score", "device", "row_tokens", "format"}
_LONGEST = 60  # characters of the models in a folder's name


def results_folder(settings: Evaluate, texts: str) -> Path:
    """results/NAME: `name`, or else the `texts`, every setting that is not the default, and the task.

    Models are part of the name, but not of a cloze test's, which further models may join.
    """
    task = settings.task
    defaults = yaml.safe_load((CONF / "task" / f"{task.name}.yaml").read_text(encoding="utf-8"))
    parts = [texts, settings.cefr]
    if settings.models and not isinstance(task, Cloze):
        models = "-".join(Path(name).name.removeprefix(f"{texts}_") for name in settings.models)
        parts.append(models if len(models) <= _LONGEST else f"{len(settings.models)}-models")
    parts += [f"limit{settings.limit}"] if settings.limit else []
    kept, usual = deciding(settings), dict(flat(defaults))
    chosen = flat({key: kept[key] for key in defaults if key in kept})
    parts += [_part(key.split(".")[-1], value) for key, value in chosen if value != usual.get(key)]
    name = "_".join(re.sub(r"[^\w.+-]", "-", part) for part in [*parts, task.name] if part)
    return Path(settings.paths.results) / (settings.name or name)


def deciding(settings: Evaluate) -> dict[str, Any]:
    """The task's settings that numbers depend on."""
    kept = settings.task.model_dump(exclude=_NOT_DECIDING)
    if isinstance(settings.task, Memorisation) or (
        isinstance(settings.task, Perplexity) and not settings.task.drop_last
    ):
        del kept["batch_size"]
    if isinstance(settings.task, Memorisation):
        del kept["decoding"]["batch_size"]
    if isinstance(settings.task, Cloze):
        del kept["resamples"]  # the answers stay
        if settings.task.positions != "edits":
            del kept["corrected"]
    return kept


def _part(key: str, value: Any) -> str:
    number = isinstance(value, int) and not isinstance(value, bool)
    if key in ("split", "levels", "masks") and not number:
        return "-".join(value) if isinstance(value, list) else value
    if isinstance(value, list):
        return short_values(key, value)
    return f"{key}{value}" if number else f"{key}-{value}".lower()


def results_identity(settings: Evaluate, source: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What decides the numbers, but for the models' weights; nested, plain. `more` is the task's own."""
    texts = {key: source[key] for key in ("name", "split", "levels") if key in source} | texts_key(source, settings)
    # Further models may join a cloze test.
    models = {} if isinstance(settings.task, Cloze) else {"models": settings.models, "cefr": settings.cefr}
    task = {"name": settings.task.name, **deciding(settings)}
    return {"texts": texts, **models, "limit": settings.limit, "task": task, **more}


def texts_key(source: Mapping[str, Any], settings: Evaluate) -> dict[str, Any]:
    """What determines the text behind each writing_id: the documents, or the file and how it is read."""
    if "file" not in source:
        return {"documents_hash": source["documents_hash"]}
    read = settings.corpus.model_dump(include={"columns", "encoding", "sheet", "delimiter"})
    return {"sha256": source["file"]["sha256"], **read}


@contextmanager
def open_results(folder: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Claim the results folder with this `results_identity` for this process, and log to it.

    Raises: UserError if another process works in it, it holds something else (the differences are listed), or it cannot
    be locked.
    """
    refusal = f"Another process works on {folder}. Wait until it has ended, or type name=... for another folder."
    log_file = folder / f"{identity['task']['name']}.log"
    with locked(folder.parent / f".{folder.name}.lock", refusal, instead="type paths.results=... for another place"):
        try:
            _require_same(folder, dict(flat(identity)))
            # First: a folder without it is taken for somebody else's.
            write_json(folder / IDENTITY, dict(flat(identity)))
            remove_strays(folder, all_of_them=True)  # the folder is locked: nobody is still writing
            set_up_logging(log_file)
            log.info(_command(), extra={"file_only": True})
            yield
            log.info("written: %s", folder)
        finally:
            set_up_logging()
            if folder.is_dir() and {path.name for path in folder.iterdir()} <= {IDENTITY, log_file.name}:
                shutil.rmtree(folder, ignore_errors=True)  # nothing came of it


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    if (folder / IDENTITY).is_file():
        before = read_object(folder / IDENTITY)
        if before is None:
            raise UserError(f"{folder / IDENTITY} is damaged. Type name=... for another name, or delete that folder.")
        if differences := identity_differences(before, identity):
            lines = "\n".join(f"  - {difference}" for difference in differences)
            raise UserError(
                f"{folder} holds another evaluation:\n{lines}\nType name=... for one of its own, or delete that folder."
            )
    elif folder.exists() and (not folder.is_dir() or any(not path.name.startswith(".") for path in folder.iterdir())):
        raise UserError(f"{folder} exists and holds no report. Type name=... for another name.")


def source_of(corpus: PreparedCorpus, split: str, levels: Sequence[str]) -> dict[str, Any]:
    """The record of prepared texts in a report."""
    return {
        "name": corpus.name,
        "documents_hash": corpus.documents_hash,
        "split": split,
        "levels": list(levels),
        "synthetic": corpus.manifest["synthetic"],
        "text_column": corpus.manifest["text_column"],
    }


def report_header(
    settings: Evaluate,
    source: Mapping[str, Any],
    texts: int,
    models: Mapping[str, Mapping[str, Any]],
    device: torch.device | None,
    **more: Any,
) -> dict[str, Any]:
    """What every report.json says of how its numbers came about; `more` is the task's own.

    `texts` are those that were evaluated, `models` the models' records by name, `device` that of the models (None: no
    model was read).
    """
    return {
        "task": settings.task.name,
        "command": _command(),
        "source": source,
        "texts": texts,
        "models": models,
        **more,
        "configuration": settings.model_dump(),
        "device": device and device.type,
        "versions": versions(),
    }


def _command() -> str:
    return "python " + shlex.join(sys.argv)


def described(source: Mapping[str, Any]) -> list[str]:
    """The texts, which must be named beside every number."""
    synthetic = "SYNTHETIC corpus " if source["synthetic"] else ""
    split = f", {source['split']} split" if "split" in source else ""
    note = text_note(source.get("text_column", "text"))
    return [f"{synthetic}{source['name']}{split}", *([note] if note else [])]


def print_tables(tables: Sequence[TextTable], notes: Sequence[str]) -> None:
    """Print tables for a terminal, and the sentences needed to read them below the last."""
    *shown, last = tables
    show(*shown, replace(last, caption=" ".join(notes)))


def write_pages(
    folder: Path,
    name: str,
    title: str,
    notes: Sequence[str],
    tables: Iterable[TextTable],
    plots: Iterable[str] = (),
) -> None:
    """Write `name`.md and `name`.tex: the tables with their captions, and the sentences needed to read them."""
    markdown = [f"# {title}\n", "".join(f"- {note}\n" for note in notes)]
    latex = ["% \\usepackage[T1]{fontenc}", "% \\usepackage{booktabs,longtable}"]
    latex += [f"% {escape_latex(note)}" for note in notes]
    for table in tables:
        captions = [table.caption] if table.caption else []
        markdown += [f"## {table.title}\n", *(f"{caption}\n" for caption in captions), f"{table.markdown()}\n"]
        latex += ["", table.latex(*captions)]
    markdown += [f"![{plot}]({plot}.png)" for plot in plots]
    write_text(folder / f"{name}.md", "\n".join([*markdown, ""]))
    write_text(folder / f"{name}.tex", "\n".join(latex))


def with_interval(value: float, low: float | None, high: float | None, form: str) -> str:
    """A number and its interval, if it has one, in a format such as `.2f`."""
    return f"{value:{form}}" + ("" if pd.isna(low) else f" [{low:{form}}, {high:{form}}]")


def p_value(value: float) -> str:
    """As journals print it; empty for NaN."""
    return "" if pd.isna(value) else "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0")


PAIRED = ["difference", "95 % interval", "p", "p (Holm)", "n"]


def paired_cells(row: Any, digits: int = 2, scale: int = 1) -> list[str]:
    """The cells below the headings `PAIRED` of a row of `ilm.evaluation.statistics.pairwise_differences`."""
    difference, low, high = (f"{scale * value:+.{digits}f}" for value in (row.difference, row.low, row.high))
    tested = ["", "", ""] if pd.isna(row.p) else [f"{low} to {high}", p_value(row.p), p_value(row.p_holm)]
    return [difference, *tested, str(row.n)]


def write_report(folder: Path, header: Mapping[str, Any], results: Mapping[str, pd.DataFrame]) -> None:
    """Write a .csv for each of `results`, and report.json last."""
    for name, table in results.items():
        write_csv(folder / f"{name}.csv", table)
    write_json(folder / "report.json", {**header, "results": {name: records(table) for name, table in results.items()}})


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index, atomically."""
    with atomic_file(path) as temporary:
        table.to_csv(temporary, index=False)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values for JSON: None where one is missing."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
