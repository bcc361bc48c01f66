"""The thread that computes for all requests: its order, and what of a request that nobody waits for any more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ilm.infilling.web.queue import Abandoned, Worker


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.stop()


def names(worker: Worker) -> list[str]:
    return [job["request"] for job in worker.jobs()]


def test_what_is_left_stands_in_the_list_until_it_has_ended(worker):
    """A model that is loaded for nobody keeps the others waiting, and they see it."""
    begun, loaded, seen = threading.Event(), threading.Event(), []

    def load(job):
        begun.set()
        assert loaded.wait(10)
        job.go_on()

    with pytest.raises(Abandoned):
        worker.run(load, begun.is_set, "left")
    assert names(worker) == ["left"]
    with pytest.raises(Abandoned):  # this one has not been begun
        worker.run(lambda job: seen.append("never"), lambda: True, "waiting")
    assert names(worker) == ["left"]
    loaded.set()
    worker.run(lambda job: seen.extend(names(worker)), lambda: False, "next")
    assert seen == ["next"]
    assert names(worker) == []


def test_the_list_has_the_order_in_which_things_are_computed(worker, monkeypatch):
    submit, done, first = worker._executor.submit, [], threading.Event()

    def slow_submit(work):
        # The first to come is the last to be passed on, if others may overtake it here.
        late = not first.is_set()
        first.set()
        if late:
            threading.Event().wait(0.2)
        return submit(work)

    monkeypatch.setattr(worker._executor, "submit", slow_submit)

    def work(job):
        done.append(job.request == names(worker)[0])

    with ThreadPoolExecutor(8) as pool:
        for found in [pool.submit(worker.run, work, lambda: False, str(number)) for number in range(8)]:
            found.result(10)
    assert done == [True] * 8


def test_what_fails_is_no_longer_in_the_list(worker):
    def broken(job):
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        worker.run(broken, lambda: False)
    assert worker.jobs() == []


def test_nothing_is_begun_after_the_end():
    worker = Worker()
    worker.stop()
    with pytest.raises(Abandoned):
        worker.run(lambda job: None, lambda: False)
    assert worker.jobs() == []
