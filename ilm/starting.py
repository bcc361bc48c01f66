"""Imported first by every entry point: a Ctrl-C during the imports ends the program without a traceback."""

import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def imported() -> None:
    """From here on a Ctrl-C is an exception that can be handled."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# What is started in the background ignores it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
