"""Prepares one corpus with its masks and prints its tables, for `prepare.py`."""

import logging
from pathlib import Path

from rich.markup import escape
from rich.rule import Rule

from ilm.cli.logging import logging_begun_afterwards, set_up_logging
from ilm.config.sections import Masking
from ilm.corpus.build import build_corpus, locked_folder
from ilm.corpus.sources import FileSource
from ilm.corpus.splitting.strategy import SplitStrategy
from ilm.corpus.statistics import corpus_tables
from ilm.corpus.store import PreparedCorpus
from ilm.files import read_json
from ilm.masking.generate import mask_function, mask_settings, write_masks
from ilm.masking.preview import stored_previews
from ilm.masking.statistics import statistics_table
from ilm.masking.store import SETTINGS, STATISTICS, MaskStore
from ilm.tables import show

log = logging.getLogger("ilm")


def prepare_corpus(
    folder: Path,
    source: FileSource,
    strategy: SplitStrategy,
    *,
    masking: Masking,
    sample_size: int | None = None,
    num_workers: int | None,
    preview: int,
    overwrite: bool,
) -> tuple[PreparedCorpus, MaskStore]:
    """Prepare the documents and masks of the corpus `data/<corpus>` (`folder`), and print a summary.

    Existing documents and masks are kept. `num_workers`: as in `write_masks`. `preview`: number of masked texts to
    show. Log messages also go to `prepare.log`.

    Raises: UserError as `build_corpus`, if existing masks are damaged, or if another process is preparing this corpus.
    """
    function = mask_function(masking.function)
    with locked_folder(folder):
        set_up_logging()
        # No log file until here, so a faulty source leaves nothing behind.
        with logging_begun_afterwards(folder / "prepare.log"):
            if source.synthetic:
                log.warning("NOTE: %s is a SYNTHETIC corpus, for trying things out, not for results.", folder.name)
            corpus = build_corpus(folder, source, strategy, sample_size=sample_size, overwrite=overwrite)
        settings = mask_settings(corpus, masking)
        masks_folder = settings.folder(folder)
        # Settings are written last: a folder without them is unfinished and gets replaced.
        if (masks_folder / SETTINGS).is_file():
            log.info("%s already holds these masks", masks_folder)
        else:
            write_masks(masks_folder, corpus.documents, function, settings, num_workers)
        masks = MaskStore.open(masks_folder)
        title = Rule(f"{escape(folder.name)}{', test-only data' if strategy.test_only else ''}", align="left")
        tables = [*corpus_tables(corpus), statistics_table(read_json(masks_folder / STATISTICS), corpus.text_note)]
        for table in tables:
            log.info("%s\n%s", table.title, table.markdown(), extra={"file_only": True})
        show(title, *tables, *stored_previews(corpus.documents, masks, preview))
        log.info("%s is prepared: documents %s, masks %s", folder, corpus.documents_hash, masks_folder.name)
    return corpus, masks
