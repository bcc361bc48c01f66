"""Prepares one corpus with its masks and prints its tables, for `prepare.py`."""

import logging
import time
from pathlib import Path

from rich.markup import escape
from rich.rule import Rule

from ilm.cli.logging import logging_begun_afterwards, set_up_logging
from ilm.config.sections import Masking
from ilm.corpus.build import build_corpus, locked_folder
from ilm.corpus.sources import CorpusSource
from ilm.corpus.splitting.strategy import SplitStrategy
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import read_json
from ilm.hardware import usable_cores
from ilm.masking.functions import MaskFunction
from ilm.masking.generate import mask_function, mask_settings, write_masks
from ilm.masking.preview import stored_previews
from ilm.masking.sampling import MaskSettings
from ilm.masking.statistics import statistics_table
from ilm.masking.store import SETTINGS, STATISTICS, MaskStore, remedy
from ilm.tables import TextTable, show

log = logging.getLogger("ilm")


def prepare_corpus(
    folder: Path,
    source: CorpusSource,
    strategy: SplitStrategy,
    *,
    masking: Masking,
    sample_size: int | None = None,
    num_workers: int | None,
    preview: int,
    overwrite: bool,
) -> tuple[PreparedCorpus, MaskStore]:
    """Prepare the documents and masks of the corpus `data/<corpus>` (`folder`), and print a summary.

    Existing documents and masks are kept. `num_workers`: processes that draw masks (None: one per core). `preview`:
    number of masked texts to show. Log messages also go to `prepare.log`.

    Raises: UserError as `build_corpus`, if existing masks are damaged, or if another process is preparing this corpus.
    """
    function = mask_function(masking.function)
    with locked_folder(folder):
        set_up_logging()
        # No log file until here, so a faulty source leaves nothing behind.
        with logging_begun_afterwards(folder / "prepare.log"):
            if source.synthetic:
                log.warning("NOTE: %s is a SYNTHETIC corpus, for trying things out, not for results.", folder.name)
            built = build_corpus(folder, source, strategy, sample_size=sample_size, overwrite=overwrite)
        corpus, settings = built.corpus, mask_settings(built.corpus, masking)
        masks_folder = settings.folder(folder)
        # Settings are written last: a folder without them is unfinished and gets replaced.
        if (masks_folder / SETTINGS).is_file():
            log.info("%s already holds these masks", masks_folder)
        else:
            workers = usable_cores() if num_workers is None else num_workers
            _draw_masks(masks_folder, corpus, function, settings, workers)
        masks = MaskStore.open(masks_folder)
        title = Rule(f"{escape(folder.name)}{', test-only data' if strategy.test_only else ''}", align="left")
        tables = [*built.tables(), _masks_table(masks_folder, corpus.text_note)]
        for table in tables:
            log.info("%s\n%s", table.title, table.markdown(), extra={"file_only": True})
        show(title, *tables, *stored_previews(corpus.documents, masks, preview))
        log.info("%s is prepared: documents %s, masks %s", folder, corpus.documents_hash, masks_folder.name)
    return corpus, masks


def _draw_masks(
    folder: Path, corpus: PreparedCorpus, function: MaskFunction, settings: MaskSettings, workers: int
) -> None:
    began = time.monotonic()
    found = write_masks(folder, corpus.documents, function, settings, workers)["all"]
    seconds = time.monotonic() - began
    log.info(
        f"masks: {found['examples']:,} of {found['documents']:,} documents in {seconds:.1f} s "
        f"({found['documents'] / seconds:,.0f} documents/s, {max(1, workers)} processes); "
        f"{found['examples_left_out']:,} repeats left out, {found['spans_per_example']:.2f} spans per example, "
        f"{found['mask_rate_characters']:.1%} of characters masked"
    )


def _masks_table(folder: Path, note: str | None) -> TextTable:
    try:
        return statistics_table(read_json(folder / STATISTICS), note)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / STATISTICS} is missing or damaged ({error!r}): {remedy(folder)}.") from error
