"""Opens what is prepared for a run, without importing torch, so that a sweep can check all its runs up front."""

from pathlib import Path
from typing import NamedTuple

from ilm.config.section import shown
from ilm.config.train import Train
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import require_writable
from ilm.masking.generate import mask_settings
from ilm.masking.store import MaskStore


class Prepared(NamedTuple):
    """A prepared corpus, the masks of a run, and the run's settings completed from it (the levels of `cefr=all`)."""

    settings: Train
    corpus: PreparedCorpus
    masks: MaskStore


def open_prepared(settings: Train) -> Prepared:
    """Open the corpus and the masks of these settings.

    Raises: UserError if they are not prepared, or with another sample size or split seed; if a level lacks a split, or
    has no text that matches `data.only`; or if the run folder cannot be written.
    """
    corpus = PreparedCorpus.open(Path(settings.paths.data) / settings.corpus.name)
    prepared = corpus.manifest["settings"]
    sample_size = (prepared["sample"] or {}).get("size")
    for key, found, wanted in (
        ("corpus.sample_size", sample_size, settings.corpus.sample_size),
        ("split.seed", prepared["split"]["seed"], settings.split.seed),
    ):
        if wanted not in (None, found):  # None accepts whatever was prepared
            raise UserError(
                f"{corpus.folder} was prepared with {key}={found}, not {key}={wanted}. Give the value it was prepared "
                "with, or prepare again (python prepare.py ... overwrite=true)."
            )
    settings = settings.for_corpus(corpus.levels, corpus.seed)
    corpus.require_splits(settings.cefr_level.chosen)
    level, only = settings.cefr_level, settings.data.only
    empty = [split for split in ("train", "valid") if only and not len(corpus.rows(split, level.chosen, only))]
    if empty:
        raise UserError(
            f"data.only={shown(only)}: {corpus.name} has no such text of cefr={level.name} in {' and '.join(empty)}. "
            "Give more values, or another level"
        )
    masks = MaskStore.open(mask_settings(corpus, settings.masking).folder(corpus.folder))
    if not settings.dry_run:
        require_writable(Path(settings.paths.experiments), "paths.experiments")
    return Prepared(settings, corpus, masks)
