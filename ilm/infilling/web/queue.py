"""A single thread that computes for all requests in order of arrival, with progress and cancellation."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

T = TypeVar("T")
MAX_WAITING = 64


class Abandoned(HTTPException):
    """The client has gone, or the server is shutting down."""

    def __init__(self) -> None:
        super().__init__(503, "The request was cancelled.")


@dataclass
class Job:
    """A request in progress.

    `request`: the client's own name for it. `doing`: waiting, loading, filling or judging; `model`: with which;
    `steps`: forward passes since. Once `abandoned` is set, `begin` and `step` raise Abandoned.
    """

    request: str | None = None
    doing: str = "waiting"
    model: str = ""
    steps: int = 0
    abandoned: bool = False

    def begin(self, doing: str, model: str) -> None:
        self.doing, self.model, self.steps = doing, model, -1
        self.step()

    def step(self) -> None:
        if self.abandoned:
            raise Abandoned
        self.steps += 1


class Worker:
    """Runs one job at a time, since torch uses all cores for each.

    Call `run` and `stop` from the event loop's thread.
    """

    def __init__(self, max_waiting: int = MAX_WAITING):
        self.max_waiting = max_waiting
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._jobs: list[Job] = []
        self._stopped = False

    async def run(self, work: Callable[[Job], T], left: Callable[[], Awaitable[None]], request: str | None = None) -> T:
        """The result of `work(job)`, which is expected to call the job's methods regularly; they raise Abandoned once
        `left()` returns.

        Raises: HTTPException (503) if too many are waiting, Abandoned, and whatever `work` raises.
        """
        if len(self._jobs) >= self.max_waiting:
            raise HTTPException(503, f"{self.max_waiting} requests are waiting already. Try again in a minute.")
        job = Job(request)
        self._jobs.append(job)
        future = self._executor.submit(self._compute, work, job)
        result, leaving = asyncio.wrap_future(future), asyncio.ensure_future(left())
        try:
            await asyncio.wait((result, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise Abandoned
            return result.result()
        finally:
            job.abandoned = True
            result.cancel()
            leaving.cancel()
            if future.cancel():  # a job that has begun stays in the list, visible to others, until it ends
                self._jobs.remove(job)

    def _compute(self, work: Callable[[Job], T], job: Job) -> T:
        try:
            if self._stopped:
                raise Abandoned
            return work(job)
        finally:
            self._jobs.remove(job)

    def jobs(self) -> list[dict[str, Any]]:
        """The requests in progress, in order; the first is being computed, even if its client has gone."""
        return [asdict(job) for job in [*self._jobs]]

    def stop(self) -> None:
        """End the running job at its next step, and start no other."""
        self._stopped = True
        for job in [*self._jobs]:
            job.abandoned = True
