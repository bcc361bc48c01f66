"""One thread that computes for all requests, in the order in which they came, and tells how far it is."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

from ilm.errors import UserError

T = TypeVar("T")
MAX_WAITING = 64
POLL_SECONDS = 0.1


class Abandoned(Exception):
    """Nobody waits for the result any more."""


class Busy(UserError):
    """More requests wait than may."""


class Job:
    """A request under way: what is being done for it, and whether to go on.

    `request` is the asker's own name for it, `doing` one of waiting, loading, filling, judging, and `model` with
    which; `steps` counts the model's passes since.
    """

    def __init__(self, request: str | None, stopping: threading.Event):
        self.request, self.doing, self.model, self.steps = request, "waiting", "", 0
        self._stopping, self._left = stopping, threading.Event()

    def begin(self, doing: str, model: str) -> None:
        """Raises: Abandoned if nobody waits any more."""
        self.go_on()
        self.doing, self.model, self.steps = doing, model, 0

    def step(self) -> None:
        """Raises: Abandoned if nobody waits any more."""
        self.go_on()
        self.steps += 1

    def go_on(self) -> None:
        """To be called now and then. Raises: Abandoned if nobody waits any more."""
        if self._left.is_set() or self._stopping.is_set():
            raise Abandoned

    def leave(self) -> None:
        """Let the work end at its next step."""
        self._left.set()

    def record(self) -> dict[str, Any]:
        """How far it is, as plain data."""
        return {"request": self.request, "doing": self.doing, "model": self.model, "steps": self.steps}


class Worker:
    """Computes one thing at a time: torch uses all cores for one, and several at once only hinder each other."""

    def __init__(self, most_waiting: int = MAX_WAITING):
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._most, self._jobs, self._lock = most_waiting, [], threading.Lock()
        self._stopping = threading.Event()

    def run(self, work: Callable[[Job], T], gone: Callable[[], bool], request: str | None = None) -> T:
        """The result of `work(job)`, which calls the job's methods now and then; they raise Abandoned once `gone()`.

        Raises: Busy, Abandoned, and what `work` raises.
        """
        job = Job(request, self._stopping)

        def checked() -> T:
            try:
                job.go_on()
                return work(job)
            finally:
                self._forget(job)

        with self._lock:  # so that the list is in the order in which they are computed
            job.go_on()
            if len(self._jobs) >= self._most:
                raise Busy("Too many requests are waiting. Try again in a minute.")
            future = self._executor.submit(checked)
            self._jobs.append(job)
        while not wait([future], POLL_SECONDS).done:
            if gone():
                job.leave()
                if future.cancel():  # what is begun is there for the others to see until it ends
                    self._forget(job)
                raise Abandoned
        return future.result()

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.remove(job)

    def jobs(self) -> list[dict[str, Any]]:
        """The requests under way, in their order: the first is computed, even if nobody waits for it any more."""
        with self._lock:
            return [job.record() for job in self._jobs]

    def stop(self) -> None:
        """End: what is being computed is left at its next step, what waits is not begun."""
        with self._lock:
            self._stopping.set()
        self._executor.shutdown(wait=True)
