"""How far a task is: a bar where stderr is a terminal, else a line a minute; the log file has the lines either way."""

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger("ilm")


class Meter:
    """Counts what is done, in `unit`s, of which `initial` were done before; with the rate and the time left.

    A line comes every `log_seconds`, the first one sooner, and one at the end.
    """

    def __init__(self, total: int, what: str, unit: str, *, initial: int = 0, log_seconds: float = 60.0):
        self.total, self.what, self.unit, self.done = total, what, unit, initial
        self._initial, self._began, self._log_seconds = initial, time.monotonic(), log_seconds
        # The first line tells soonest whether anything is wrong.
        self._last_line = self._began - log_seconds * 5 / 6
        in_terminal = sys.stderr.isatty()
        self._extra = {"file_only": in_terminal}
        self._bar = tqdm(
            total=total, initial=initial, desc=what, unit=f" {unit}", disable=not in_terminal, dynamic_ncols=True
        )

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
        if self.done > self._initial:
            self._line(ended=True)

    def update(self, count: int) -> None:
        """`count` more are done."""
        self.done += count
        self._bar.update(count)
        if self.done < self.total and time.monotonic() - self._last_line >= self._log_seconds:
            self._line(ended=False)
            self._last_line = time.monotonic()

    def _line(self, *, ended: bool) -> None:
        seconds = time.monotonic() - self._began
        rate = (self.done - self._initial) / max(seconds, 1e-9)
        left = (self.total - self.done) / rate
        when = f"in {tqdm.format_interval(seconds)}" if ended else f"{tqdm.format_interval(left)} left"
        counts = f"{self.done:,} of {self.total:,} {self.unit}"
        log.info("%s: %s, %.3g %s/s, %s", self.what, counts, rate, self.unit, when, extra=self._extra)
