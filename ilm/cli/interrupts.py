"""Imported first by every entry point, so that Ctrl-C neither ends in a traceback nor gets lost, however early."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def imported() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _not_lost(swallowed: Any) -> None:
    """Python drops exceptions raised in `__del__`, even that of a signal that arrived at that moment."""
    error = swallowed.exc_value
    if isinstance(error, KeyboardInterrupt):
        # Again, once that is over; to the process, since a signal to the timer's thread would not wake the main one.
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    elif isinstance(error, SystemExit):
        os._exit(error.code if isinstance(error.code, int) else 1)
    else:
        sys.__unraisablehook__(swallowed)


sys.unraisablehook = _not_lost
# What is started in the background ignores it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
