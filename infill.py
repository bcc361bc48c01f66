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
    from ilm.infilling.browse import TextBrowser
    from ilm.infilling.infiller import Infiller
    from ilm.infilling.jsonl import fill_texts
    from ilm.infilling.model_cache import ModelCache
    from ilm.infilling.terminal import Terminal, is_dialogue, terminal_console
    from ilm.infilling.texts import draw_blanks, piped_texts, read_texts
    from ilm.masking.generate import mask_function
    from ilm.runs.finder import Finder
    from ilm.runs.trained_model import INFILLING, model_in

    set_up_logging()
    decoding, paths, corpus, file = settings.decoding, settings.paths, settings.corpus, settings.input
    finder = Finder(Path(paths.experiments), Path(paths.data) / corpus.name, INFILLING)
    given = settings.model_path
    models = [model_in(Path(given))] if given else finder.find(settings.models, settings.cefr)
    computing = {"device": settings.device, "dtype": settings.dtype}
    cache = ModelCache(partial(Infiller.of, **computing), settings.server.max_loaded)
    if settings.web:
        from ilm.infilling.web.server import serve

        serve(models, cache, decoding, settings.server, computing)
        return
    texts = None if file is None else read_texts(file, corpus.columns.model_dump(), corpus.encoding, corpus.sheet)
    function = mask_function(settings.masking.function)
    spans_of = partial(draw_blanks, n_masks=settings.n_masks, function=function, seed=settings.seed)
    infillers = cache.get_all(models)

    def load(names: Sequence[str]) -> dict[str, Infiller]:
        return cache.get_all(finder.find(names))

    if not is_dialogue():
        blocks, total = (piped_texts(), None) if texts is None else ([texts], len(texts))
        fill_texts(blocks, spans_of, infillers, decoding, sys.stdout, total)
    elif texts is None:
        Terminal(infillers, decoding, load, terminal_console()).run()
    else:
        TextBrowser(texts, spans_of, infillers, decoding, load, terminal_console()).run()


@hydra.main(version_base="1.3", config_path="conf", config_name="infill")
def main(cfg: DictConfig) -> None:
    with job():
        infill(cfg, chosen_options())


if __name__ == "__main__":
    entry_point(main)
