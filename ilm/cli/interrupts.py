"""Imported first by every entry point: no Ctrl-C, however early, ends in a traceback or is lost."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def imported() -> None:
    """From here on a Ctrl-C is an exception that can be handled."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _not_lost(swallowed: Any) -> None:
    """Python drops what is raised while an object is deleted: a signal that came at that moment too."""
    error = swallowed.exc_value
    if isinstance(error, KeyboardInterrupt):
        # Again, once that is over.
        threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)).start()
    elif isinstance(error, SystemExit):
        os._exit(error.code if isinstance(error.code, int) else 1)
    else:
        sys.__unraisablehook__(swallowed)


sys.unraisablehook = _not_lost
# What is started in the background ignores it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
