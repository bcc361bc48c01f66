"""A pool of worker processes that yields results in order and exits with its parent."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from ilm.errors import UserError


@contextmanager
def ordered_map(workers: int) -> Iterator[Callable]:
    """A `map` over `workers` processes that yields results in order and runs only slightly ahead of its consumer."""
    if workers <= 1:
        yield map
        return
    # Spawned, not forked, because pyarrow and the progress bar have threads.
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin_worker)

    def in_order(call: Callable, items: Iterable) -> Iterator:
        pending: deque[Future] = deque()
        for item in items:
            with _without_interrupts():
                pending.append(executor.submit(call, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    try:
        yield in_order
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in processes started meanwhile, until they can ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    # Ctrl-C reaches every process of the terminal; stopping workers is the parent's job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # If the parent is killed, its workers would wait forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os._exit(1)


def require_picklable(function: Any) -> None:
    """Raises: UserError unless a mask function can be pickled for other processes."""
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"Mask function {function!r} cannot be sent to worker processes ({error}): define its class at the "
            "top level of a module, or run with one worker."
        ) from error
