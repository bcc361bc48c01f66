import logging
import math

import pytest

from ilm.progress import ProgressLog, duration


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3723, "1:02:03"), (360000, "100:00:00"), (math.nan, "?")],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_progress_is_told_once_a_minute_and_at_the_end(monkeypatch):
    now, told = [0.0], []
    monkeypatch.setattr("ilm.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr(logging.getLogger("ilm"), "info", lambda message, *values, **_: told.append(message % values))
    with ProgressLog(100, "model", "items", initial=10) as progress:
        for seconds in (5, 10, 20, 70):
            now[0] = seconds
            progress.update(20)
        now[0] = 90
        progress.update(10)
    assert told == [
        "model: 50 of 100 items, 4 items/s, 0:00:12 left",
        "model: 90 of 100 items, 1.14 items/s, 0:00:09 left",
        "model: 100 of 100 items, 1 items/s, in 0:01:30",
    ]
