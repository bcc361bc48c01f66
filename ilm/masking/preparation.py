"""One corpus with its masks, from its origin to the tables that `prepare.py` prints."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from ilm.corpus.build import build_corpus
from ilm.corpus.division import Division
from ilm.corpus.origin import Origin
from ilm.corpus.store import PreparedCorpus
from ilm.files import read_json
from ilm.jobs import set_up_logging, usable_cores
from ilm.masking.configured import configured_masks, mask_function
from ilm.masking.making import write_masks
from ilm.masking.preview import stored_previews
from ilm.masking.statistics import statistics_table
from ilm.masking.store import MaskStore

log = logging.getLogger("ilm")


def prepare_corpus(
    folder: Path,
    origin: Origin,
    division: Division,
    *,
    masking: Mapping[str, Any],
    sample_size: int | None,
    num_workers: int | None,
    preview: int,
    overwrite: bool,
) -> tuple[PreparedCorpus, MaskStore]:
    """Prepare the documents and masks of the corpus `data/<corpus>` (`folder`), and print what they are.

    What is there already is left as it is. `masking` is a plain `ilm.config.Masking`; `num_workers` processes draw
    masks (None: one per core); `preview` masked texts are shown.

    The caller holds the folder (`ilm.corpus.lock.preparing`). Raises: UserError as `build_corpus`.
    """
    function, console = mask_function(masking["function"]), Console()
    if origin.synthetic:
        log.warning("NOTE: %s is a SYNTHETIC corpus, to try things out: no results.", folder.name)
    built = build_corpus(folder, origin, division, sample_size=sample_size, overwrite=overwrite)
    corpus = built.corpus
    # Only now: a faulty file leaves nothing behind, not even a log.
    set_up_logging(folder / "prepare.log")
    settings, masks_folder = configured_masks(corpus, masking)
    if masks_folder.exists():
        log.info("%s holds these masks already", masks_folder)
    else:
        workers = num_workers if num_workers is not None else usable_cores()
        write_masks(masks_folder, corpus.documents, function, settings, workers)
    masks_table = statistics_table(read_json(masks_folder / "statistics.json"))
    masks_table.caption = corpus.text_note
    for shown in [*built.tables(), masks_table]:
        console.print(shown)
    masks = MaskStore.open(masks_folder)
    for shown in stored_previews(corpus.documents, masks, preview):
        console.print(shown)
    for guarantee, state in built.split.to_dict()["guarantees"].items():
        log.info("split: %s: %s", guarantee, state)
    log.info("%s is prepared: documents %s, masks %s", folder, corpus.documents_hash, masks_folder.name)
    return corpus, masks
