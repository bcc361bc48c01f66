"""Draws the masks of a corpus in parallel and writes them as they arrive.

`prepare.py` draws the masks of epoch 0. Training may draw new ones for each later epoch, for the train split only;
they are stored beside the prepared ones. Masks are a function of (`masking.seed`, epoch, writing_id, example index,
masking settings), hence the same for all models of a study.
"""

import inspect
import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from tqdm import tqdm

import ilm
from ilm.config.sections import Masking
from ilm.corpus.selection import Documents
from ilm.corpus.splitting.assign import SPLITS
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.files import atomic_folder, cache_folder, locked
from ilm.hardware import usable_cores
from ilm.hashing import file_sha256, order_key
from ilm.masking.functions import MaskFunction
from ilm.masking.masks import Masks
from ilm.masking.sampling import MaskSettings, draw_chunk
from ilm.masking.store import SETTINGS, MaskStore, MaskWriter
from ilm.masking.workers import ordered_map, require_picklable

log = logging.getLogger("ilm")

_CHUNK_DOCUMENTS = 1_000
# Up to this many documents, drawing in-process is faster than starting workers.
_DOCUMENTS_FOR_ONE_PROCESS = 10_000


def mask_function(node: Mapping[str, Any]) -> MaskFunction:
    """The mask function of `masking.function`: a `_target_` and its arguments.

    Raises: the function's own UserError for invalid arguments, without Hydra's wrapping.
    """
    try:
        function = instantiate(dict(node))
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(f"masking.function: {error}") from error
    mask_types = getattr(function, "mask_types", None)
    if not callable(function) or not mask_types or not all(isinstance(name, str) for name in mask_types):
        raise UserError(
            f"masking.function: {node['_target_']} is not a mask function. Expected a class with `mask_types`, a tuple "
            "of names, and `__call__(text, rng)` that returns Spans; see MaskFunction in ilm/masking/functions.py."
        )
    return function


def mask_settings(corpus: Documents, masking: Masking, epoch: int = 0) -> MaskSettings:
    """The settings of the masks that `masking` asks for in an epoch of training.

    Raises: UserError if the function cannot be imported.
    """
    target = masking.function["_target_"]
    try:
        source = Path(inspect.getfile(get_object(target)))
    except (ImportError, ValueError) as error:
        raise UserError(
            f"The mask function {target} cannot be imported ({error}). Put its module beside train.py or on PYTHONPATH."
        ) from error
    own = source.resolve().is_relative_to(Path(ilm.__file__).resolve().parent)
    return MaskSettings(
        documents=corpus.documents_hash,
        name=masking.name if epoch == 0 else f"{masking.name}-epoch{epoch}",
        function=masking.function,
        count=masking.masks_per_document,
        tries=masking.tries,
        seed=masking.seed if epoch == 0 else order_key(masking.seed, "epoch", epoch),
        function_file=None if own else file_sha256(source),
        splits=None if epoch == 0 else ("train",),
    )


def train_masks_of_epoch(corpus: PreparedCorpus, masking: Masking, epoch: int, instead: Path | None = None) -> Masks:
    """The train split's masks of epoch `epoch` (from 1), drawn unless an earlier run has done so.

    They are stored with the corpus, or below `instead` if its folder is read-only. If several processes ask at once,
    one draws and the others wait.

    Raises: UserError if stored masks are damaged, or the mask function returns an invalid mask.
    """
    settings = mask_settings(corpus, masking, epoch)
    folder = settings.folder(corpus.folder)
    folder = cache_folder(folder.parent, folder.name, instead)
    if not (folder / SETTINGS).is_file():
        with locked(folder.with_name(f".{folder.name}.lock"), refusal=None):
            if not (folder / SETTINGS).is_file():
                log.info("masks of epoch %d:", epoch)
                write_masks(folder, corpus.documents, mask_function(masking.function), settings)
    return MaskStore.open(folder).splits["train"]


def write_masks(
    folder: Path,
    documents: pd.DataFrame,
    function: MaskFunction,
    settings: MaskSettings,
    workers: int | None = None,
) -> None:
    """Draw the masks of all documents and write them to `folder`, with statistics by split and for "all".

    `documents`: columns writing_id, text and split, numbered as in documents.parquet. `function`: the mask function of
    `settings`. `workers`: processes, at most 1: this process; None: one per core for a large corpus. The files are
    byte-identical for any number. If interrupted, the old `folder` or none remains.
    """
    began = time.monotonic()
    if workers is None:
        workers = usable_cores() if len(documents) > _DOCUMENTS_FOR_ONE_PROCESS else 1
    if workers > 1:
        require_picklable(function)
    splits = settings.splits or SPLITS
    text_lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    in_split = documents["split"].to_numpy()
    rows = np.flatnonzero(np.isin(in_split, splits)).astype(np.int32)
    # Small corpora: smaller chunks, so that every worker gets some.
    size = max(1, min(_CHUNK_DOCUMENTS, len(rows) // (4 * max(1, workers))))
    with (
        atomic_folder(folder) as temporary,
        ordered_map(workers) as mapped,
        tqdm(total=len(rows), desc="Drawing masks", unit=" documents", disable=None) as progress,
    ):
        writer = MaskWriter(temporary, function.mask_types, text_lengths, settings.count)
        texts = documents[["writing_id", "text"]]
        chunks = (texts.iloc[rows[first : first + size]] for first in range(0, len(rows), size))
        for masks in mapped(partial(draw_chunk, function, settings), chunks):
            for split in splits:
                chosen = in_split[masks.documents] == split
                writer.add(split, masks.select(chosen))
            progress.update(len(masks.documents))
        drawn = writer.finish(settings.identity)["all"]
    seconds = time.monotonic() - began
    log.info("masks: %s of %s documents in %.1f s", f"{drawn['examples']:,}", f"{drawn['documents']:,}", seconds)
