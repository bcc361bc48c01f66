"""Masks of one epoch of training: other ones than those of `prepare.py`, drawn when an epoch first needs them.

Epoch 0 has the prepared masks. Those of epoch e > 0 lie beside them, for the train split alone; they are a function of
(`masking.seed`, e, writing_id, example index, settings of the masking), and so the same for all models of a study.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from ilm.corpus.store import PreparedCorpus
from ilm.hardware import usable_cores
from ilm.hashing import order_key
from ilm.masking.configured import configured_masks, mask_function
from ilm.masking.generate import write_masks
from ilm.masking.masks import Masks
from ilm.masking.sampling import masks_folder_name
from ilm.masking.store import SETTINGS, MaskStore

log = logging.getLogger("ilm")

TRAIN = ("train",)
# So many documents are drawn sooner than other processes have started.
DOCUMENTS_FOR_ONE_PROCESS = 10_000


def epoch_masks(corpus: PreparedCorpus, masking: Mapping[str, Any], epoch: int) -> tuple[dict[str, Any], Path]:
    """The settings and the folder of the masks of an epoch (from 1) of a plain `ilm.config.Masking`."""
    prepared, folder = configured_masks(corpus, masking)
    settings = {
        **prepared,
        "name": f"{prepared['name']}-epoch{epoch}",
        "seed": order_key(prepared["seed"], "epoch", epoch),
        "splits": list(TRAIN),
    }
    return settings, folder.with_name(masks_folder_name(settings))


def train_masks_of_epoch(corpus: PreparedCorpus, masking: Mapping[str, Any], epoch: int) -> Masks:
    """The train split's masks of epoch `epoch`, drawn now if no run has had them before.

    Several processes may ask at once: one draws, the others wait for it.

    Raises: UserError if masks that are there are damaged, or the mask function returns something that is none.
    """
    settings, folder = configured_masks(corpus, masking) if epoch == 0 else epoch_masks(corpus, masking, epoch)
    if epoch > 0 and not (folder / SETTINGS).is_file():
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        with lock:
            if not (folder / SETTINGS).is_file():
                log.info("masks of epoch %d:", epoch)
                function = mask_function(masking["function"])
                workers = usable_cores() if len(corpus.documents) > DOCUMENTS_FOR_ONE_PROCESS else 1
                write_masks(folder, corpus.documents, function, settings, workers, TRAIN)
            # Before it is released: filelock takes no lock on a file that is gone, so two never hold it.
            Path(lock.lock_file).unlink(missing_ok=True)
    return MaskStore.open(folder).splits["train"]
