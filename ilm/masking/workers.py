"""A pool of worker processes that gives results in order and ends with its parent."""

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
    """A `map` over `workers` processes that gives results in order and runs only a little ahead of its reader."""
    if workers <= 1:
        yield map
        return
    # Started afresh ("spawn") instead of forked: safe beside the threads of pyarrow and of the progress bar.
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
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os._exit(1)


def require_picklable(function: Any) -> None:
    """Raises: UserError unless a mask function can be sent to other processes."""
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"Mask function {function!r} cannot be sent to worker processes ({error}): define its class at the "
            "top level of a module, or run with one worker."
        ) from error
