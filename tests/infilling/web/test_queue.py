"""The thread that computes for all requests: its order, and what of a request that nobody waits for any more."""

import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from ilm.infilling.web.queue import Abandoned, Worker


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.stop()


def names(worker: Worker) -> list[str]:
    return [job["request"] for job in worker.jobs()]


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return None


def test_what_is_left_stands_in_the_list_until_it_has_ended(worker):
    """A model that is loaded for nobody keeps the others waiting, and they see it."""
    begun, loaded, seen = threading.Event(), threading.Event(), []

    def load(job):
        begun.set()
        assert loaded.wait(10)
        job.step()

    async def run():
        with pytest.raises(Abandoned):
            await worker.run(load, lambda: asyncio.to_thread(begun.wait), "left")
        assert names(worker) == ["left"]
        with pytest.raises(Abandoned):  # this one has not been begun
            await worker.run(lambda job: seen.append("never"), at_once, "waiting")
        assert names(worker) == ["left"]
        loaded.set()
        await worker.run(lambda job: seen.extend(names(worker)), never, "next")

    asyncio.run(run())
    assert seen == ["next"]
    assert names(worker) == []


def test_the_list_has_the_order_in_which_things_are_computed(worker):
    async def run():
        works = [worker.run(lambda job: job.request == names(worker)[0], never, str(number)) for number in range(8)]
        return await asyncio.gather(*works)

    assert asyncio.run(run()) == [True] * 8


def test_what_fails_is_no_longer_in_the_list(worker):
    def broken(job):
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        asyncio.run(worker.run(broken, never))
    assert worker.jobs() == []


def test_more_than_may_wait_are_refused():
    with pytest.raises(HTTPException, match="0 requests are waiting already") as refused:
        asyncio.run(Worker(max_waiting=0).run(lambda job: None, never))
    assert refused.value.status_code == 503


def test_nothing_is_begun_after_the_end(worker):
    worker.stop()
    with pytest.raises(Abandoned):
        asyncio.run(worker.run(lambda job: None, never))
    assert worker.jobs() == []
