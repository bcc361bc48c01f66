"""One thread that computes for all requests, in the order in which they came."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from ilm.errors import UserError

T = TypeVar("T")
MOST_WAITING = 64
POLL_SECONDS = 0.1


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class Busy(UserError):
    """More requests wait than may."""


class Worker:
    """Computes one thing at a time: torch uses all cores for one, and several at once only hinder each other."""

    def __init__(self, most_waiting: int = MOST_WAITING):
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._places = threading.Semaphore(most_waiting)
        self._stopping = threading.Event()

    def run(self, work: Callable[[Callable[[], None]], T], gone: Callable[[], bool]) -> T:
        """The result of `work(check)`; `check` is to be called now and then, and raises Abandoned if `gone()`.

        Raises: Busy, Abandoned, and what `work` raises.
        """
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are waiting. Try again in a minute.")
        try:
            if self._stopping.is_set():
                raise Abandoned
            abandoned = threading.Event()

            def check() -> None:
                if abandoned.is_set() or self._stopping.is_set():
                    raise Abandoned

            def checked() -> T:
                check()
                return work(check)

            return self._result(self._executor.submit(checked), gone, abandoned)
        finally:
            self._places.release()

    def _result(self, future: Future[T], gone: Callable[[], bool], abandoned: threading.Event) -> T:
        while not wait([future], POLL_SECONDS).done:
            if gone():
                abandoned.set()
                raise Abandoned
        return future.result()

    def stop(self) -> None:
        """End: what is being computed is left at its next check, what waits is not begun."""
        self._stopping.set()
        self._executor.shutdown(wait=True)
