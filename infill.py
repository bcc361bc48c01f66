"""Fill blanks in texts: `python infill.py models=[A1]`, then type "She ate [ngram] for _."."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import hydra
from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import chosen_options, entry_point, job
from ilm.config.check import check
from ilm.config.infill import Infill


def infill(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> None:
    """Fill blanks as configured; `choices` are Hydra's chosen options by group, of which `cefr` chooses models."""
    settings = check(cfg, Infill, choices)  # before torch is imported, which takes seconds
    from ilm.infilling.browse import browse
    from ilm.infilling.infiller import Infiller
    from ilm.infilling.jsonl import fill_lines, lines_of, open_lines
    from ilm.infilling.model_cache import ModelCache
    from ilm.infilling.terminal import Terminal, is_dialogue, terminal_console
    from ilm.infilling.texts import is_table
    from ilm.runs.finder import Finder
    from ilm.runs.trained_model import INFILLING, model_in

    set_up_logging()
    decoding, paths, given, file = settings.decoding, settings.paths, settings.model_path, settings.input
    finder = Finder(Path(paths.experiments), Path(paths.data) / settings.corpus.name, INFILLING)
    models = [model_in(Path(given))] if given else finder.find(settings.models, settings.cefr)
    computing = {"device": settings.device, "dtype": settings.dtype}
    cache = ModelCache(partial(Infiller.of, **computing), settings.server.max_loaded)
    if settings.web:
        from ilm.infilling.web.server import serve

        serve(models, cache, decoding, settings.server, computing)
        return

    def load(names: Sequence[str]) -> dict[str, Infiller]:
        return cache.get_all(finder.find(names))

    infillers = cache.get_all(models)
    if file is not None and (is_dialogue() or settings.n_masks is not None or is_table(file)):
        browse(settings, infillers, decoding, load)
    elif is_dialogue():
        Terminal(infillers, decoding, load, terminal_console()).run()
    else:
        with open_lines(file) as stream:
            fill_lines(lines_of(stream), infillers, decoding, sys.stdout)


@hydra.main(version_base="1.3", config_path="conf", config_name="infill")
def main(cfg: DictConfig) -> None:
    with job():
        infill(cfg, chosen_options())


if __name__ == "__main__":
    entry_point(main)
