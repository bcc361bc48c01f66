"""Prepare a corpus once for all models: `python prepare.py corpus=efcamdat corpus.csv=PATH`."""

import ilm.cli.interrupts  # noqa: F401  # isort: skip
from pathlib import Path

from omegaconf import DictConfig

from ilm.cli.logging import set_up_logging
from ilm.cli.main import composed, entry_point, job
from ilm.config.check import check
from ilm.config.prepare import Prepare
from ilm.files import require_writable


def prepare(cfg: DictConfig) -> Path:
    """Read, split and mask a corpus as configured, with those of `corpus.extra` beside it; returns its folder."""
    settings = check(cfg, Prepare)  # before the slow imports of pandas and NLTK
    from ilm.corpus.build import extra_folders
    from ilm.corpus.sources import extra_source, main_source
    from ilm.corpus.splitting.strategy import HeldOut, TrainValidTest
    from ilm.corpus.verify import require_sound
    from ilm.masking.prepare import prepare_corpus
    from ilm.masking.store import verify_masks
    from ilm.reference.exporter import export_corpus, require_replaceable
    from ilm.reference.importer import ReferenceSource, import_masks, reference_source

    set_up_logging()
    corpus, export = settings.corpus, settings.export and Path(settings.export)
    folder = Path(settings.paths.data) / corpus.name
    extras = extra_folders(corpus.extra, folder)
    if settings.check:
        from ilm.examples.token_store import verify_tokens  # slow: imports transformers

        require_sound(folder, *extras, masks=verify_masks, tokens=verify_tokens)
        return folder
    require_writable(folder, "paths.data")
    if export:
        require_replaceable(export)
    options = {key: getattr(settings, key) for key in ("masking", "num_workers", "preview", "overwrite")}
    source, strategy = reference_source(corpus) or main_source(corpus), TrainValidTest(**settings.split.model_dump())
    prepared, masks = prepare_corpus(folder, source, strategy, sample_size=corpus.sample_size, **options)
    from ilm.examples.survey import show_cuts  # slow: imports transformers

    show_cuts(prepared, masks, settings.max_length)
    if isinstance(source, ReferenceSource):
        import_masks(prepared, source)
    if export:
        export_corpus(prepared, masks, export)
    for path, extra in extras.items():
        held_out = HeldOut(prepared, settings.split.near_duplicates, extra.drop_trained_on)
        show_cuts(*prepare_corpus(path, extra_source(extra, corpus), held_out, **options), settings.max_length)
    return folder


@composed("prepare")
def main(cfg: DictConfig) -> None:
    with job():
        prepare(cfg)


if __name__ == "__main__":
    entry_point(main)
