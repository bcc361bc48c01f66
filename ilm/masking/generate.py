"""The masks of a whole corpus, drawn by several processes and written as they come."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from ilm.corpus.splitting.assign import SPLITS
from ilm.errors import UserError
from ilm.files import atomic_folder
from ilm.masking.functions import MaskFunction
from ilm.masking.masks import Masks
from ilm.masking.sampling import draw_chunk
from ilm.masking.store import MaskWriter

_CHUNK_DOCUMENTS = 1_000


def write_masks(
    folder: Path,
    documents: pd.DataFrame,
    function: MaskFunction,
    settings: dict[str, Any],
    workers: int,
    splits: Sequence[str] = SPLITS,
) -> dict[str, Any]:
    """Draw the masks of all documents of `splits`, write them to `folder`, return the statistics by split and of "all".

    `documents` has the columns writing_id, text and split, in the order of documents.parquet. `function` is
    the mask function of `settings` (`masks_settings`). The files are the same, byte for byte, for any number of
    `workers`; up to 1 works in this process. An interrupted run leaves no `folder`, or the old one.
    """
    if workers > 1:
        _check_picklable(function)
    text_lengths = documents["text"].str.len().to_numpy(dtype=np.int64)
    in_split = documents["split"].to_numpy()
    rows = np.flatnonzero(np.isin(in_split, splits)).astype(np.int32)
    # Of few documents every worker shall have some.
    size = max(1, min(_CHUNK_DOCUMENTS, len(rows) // (4 * max(1, workers))))
    with (
        atomic_folder(folder) as temporary,
        _ordered_map(workers) as ordered_map,
        tqdm(total=len(rows), desc="Drawing masks", unit=" documents", disable=None) as progress,
    ):
        writer = MaskWriter(
            temporary,
            function.mask_types,
            longest_text=int(text_lengths.max(initial=0)),
            masks_per_document=settings["count"],
        )
        for masks in ordered_map(partial(_draw, function, settings), _chunks(documents, rows, size)):
            for split in splits:
                chosen = in_split[masks.documents] == split
                writer.add(split, masks.select(chosen), text_lengths[masks.documents[chosen]])
            progress.update(len(masks.documents))
        return writer.finish(settings)


def _chunks(documents: pd.DataFrame, rows: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, list[str], list[str]]]:
    writing_ids, texts = documents["writing_id"], documents["text"]
    for first in range(0, len(rows), size):
        chunk = rows[first : first + size]
        yield chunk, writing_ids.iloc[chunk].tolist(), texts.iloc[chunk].tolist()


def _draw(function: MaskFunction, settings: dict[str, Any], chunk: tuple[np.ndarray, list[str], list[str]]) -> Masks:
    return draw_chunk(function, settings, *chunk)


@contextmanager
def _ordered_map(workers: int) -> Iterator[Callable]:
    """A `map` over `workers` processes that gives results in order and runs only a little ahead of its reader."""
    if workers <= 1:
        yield map
        return
    # Started afresh ("spawn") instead of forked: safe beside the threads of pyarrow and of the progress bar.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)

    def ordered_map(call: Callable, items: Iterable) -> Iterator:
        pending = deque()
        for item in items:
            with _without_interrupts():
                pending.append(executor.submit(call, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    try:
        yield ordered_map
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C in processes that are started meanwhile, until they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    # Ctrl-C reaches every process of the terminal; the parent stops its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parent that was killed stops nobody, and its workers would wait for it for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _check_picklable(function: MaskFunction) -> None:
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"Mask function {function!r} cannot be sent to worker processes ({error}): define its class at the "
            "top level of a module, or run with one worker."
        ) from error
