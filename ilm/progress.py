"""Progress reporting: a bar if stderr is a terminal, else one line per minute; log files always get the lines."""

import logging
import math
import sys
import time
from types import TracebackType

from tqdm import tqdm

log = logging.getLogger("ilm")

LOG_SECONDS = 60.0


def duration(seconds: float) -> str:
    """h:mm:ss; `?` for NaN."""
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


class ProgressLog:
    """Counts `unit`s of work, `initial` of them already done, and reports the rate and the time left.

    Logs a line every minute, an early first one, and one at the end.
    """

    def __init__(self, total: int, what: str, unit: str, *, initial: int = 0):
        self.total, self.what, self.unit, self.done = total, what, unit, initial
        self._initial, self._began = initial, time.monotonic()
        # An early first line shows problems sooner.
        self._last_line = self._began - LOG_SECONDS * 5 / 6
        in_terminal = sys.stderr.isatty()
        self._extra = {"file_only": in_terminal}
        self._bar = tqdm(
            total=total, initial=initial, desc=what, unit=f" {unit}", disable=not in_terminal, dynamic_ncols=True
        )

    def __enter__(self) -> "ProgressLog":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()
        if self.done > self._initial:
            self._line(ended=True)

    def update(self, count: int) -> None:
        """Report `count` more units as done."""
        self.done += count
        self._bar.update(count)
        if self.done < self.total and time.monotonic() - self._last_line >= LOG_SECONDS:
            self._line(ended=False)
            self._last_line = time.monotonic()

    def _line(self, *, ended: bool) -> None:
        seconds = time.monotonic() - self._began
        rate = (self.done - self._initial) / max(seconds, 1e-9)
        when = f"in {duration(seconds)}" if ended else f"{duration((self.total - self.done) / rate)} left"
        counts = f"{self.done:,} of {self.total:,} {self.unit}"
        log.info("%s: %s, %.3g %s/s, %s", self.what, counts, rate, self.unit, when, extra=self._extra)
