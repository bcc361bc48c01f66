"""Fill blanks in texts: `python infill.py models=[A1]`, then type "She ate [ngram] for _."."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
import sys
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import composed, entry_point, job
from ilm.config.check import check
from ilm.config.infill import Infill


def infill(cfg: DictConfig, choices: dict[str, str | None] | None = None) -> None:
    """Fill blanks as configured; `choices`: the selected options of Hydra's groups, of which `cefr` selects models."""
    settings = check(cfg, Infill, choices)  # before the slow import of torch
    from ilm.examples import conditions
    from ilm.infilling import browse, jsonl, mixture, terminal, texts
    from ilm.infilling.infiller import Infiller
    from ilm.infilling.model_cache import ModelCache
    from ilm.masking.generate import mask_function
    from ilm.runs.finder import Finder
    from ilm.runs.trained_model import INFILLING

    set_up_logging()
    decoding, paths = settings.decoding, settings.paths
    finder = Finder(Path(paths.experiments), Path(paths.data) / settings.corpus.name, INFILLING)
    find = partial(mixture.find_models, finder, settings.mixture_of, settings.mixture_temperature)
    models = find(settings.models, settings.cefr)
    computing: dict = {"device": settings.device, "dtype": settings.dtype}
    conditions.require_conditioned([model.condition for model in models], decoding)
    cache = ModelCache(partial(Infiller.of, **computing), settings.server.max_loaded)
    if settings.web:
        from ilm.infilling.web.server import serve

        return serve(models, cache, decoding, settings.server, computing)
    given = texts.read_texts(settings.input, settings.corpus)[: settings.limit] if settings.input is not None else None
    function = mask_function(settings.masking.function)
    spans_of = partial(texts.draw_blanks, n_masks=settings.n_masks, function=function, seed=settings.seed)
    infillers = cache.get_all(models)

    def load(names: list[str]) -> dict[str, mixture.Filler]:
        return cache.get_all(find(names))

    if not terminal.is_dialogue():
        jsonl.fill_texts([given] if given else texts.piped_texts(), spans_of, infillers, decoding, sys.stdout)
    elif given is None:
        terminal.Terminal(infillers, decoding, load, terminal.terminal_console()).run()
    else:
        browse.TextBrowser(given, spans_of, infillers, decoding, load, terminal.terminal_console()).run()


@composed("infill")
def main(cfg: DictConfig) -> None:
    with job() as choices:
        infill(cfg, choices)


if __name__ == "__main__":
    entry_point(main)
