"""Fill blanks in texts: `python infill.py models=[A1]`, then type "She ate [ngram] for _."."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from rich.console import Console

from ilm.config import Infill, check
from ilm.corpus.store import PreparedCorpus
from ilm.evaluation.models import find_models
from ilm.infilling.decoding import OBJECTIVE, Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.terminal import Terminal, fill_lines, open_lines
from ilm.runs import chosen_options, entry_point, job, set_up_logging

log = logging.getLogger("ilm")


def infill(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> None:
    """Fill blanks as configured; `choices` are Hydra's chosen options by group, of which `cefr` chooses models."""
    settings = check(cfg, Infill, choices)
    set_up_logging()
    decoding = DecodingSettings(**settings["decoding"], seed=settings["seed"])
    names = settings["models"] if settings["model_path"] is None else [settings["model_path"]]
    infillers = _load(settings, names, (choices or {}).get("cefr"))
    if settings["input"] is None and sys.stdin.isatty():
        Terminal(infillers, decoding, lambda names: _load(settings, names), Console()).run()
    else:
        with open_lines(settings["input"]) as lines:
            fill_lines(lines, infillers, decoding, sys.stdout)


def _load(settings: dict[str, Any], names: Sequence[str] | None, level: str | None = None) -> dict[str, Infiller]:
    """Models by name, in the order of `names`: folders of models as they are, other names among the corpus's runs."""
    found: dict[str, Path] = {}
    for name in [None] if names is None else names:
        if name is not None and (name == settings["model_path"] or (Path(name) / "config.json").is_file()):
            found[name] = Path(name)
            continue
        corpus = PreparedCorpus.open(Path(settings["paths"]["data"]) / settings["corpus"]["name"])
        runs = find_models(Path(settings["paths"]["experiments"]), corpus, name and [name], level)
        # Of a level all runs were found; those of another objective fill no blanks, and say so when alone.
        usable = [run for run in runs if run.settings["objective"] == OBJECTIVE] or runs
        for run in [run for run in runs if run not in usable]:
            log.warning("left out: %s fills no blanks, its objective is %s", run.name, run.settings["objective"])
        found |= {run.name: run.folder.path for run in usable}
    return {name: Infiller.from_pretrained(path, settings["device"]) for name, path in found.items()}


@hydra.main(version_base="1.3", config_path="conf", config_name="infill")
def main(cfg: DictConfig) -> None:
    with job():
        infill(cfg, chosen_options())


if __name__ == "__main__":
    entry_point(main)
