"""Imported first by every entry point, so that even an early Ctrl-C exits cleanly and is not lost."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def imported() -> None:
    """Called after the imports: from now on Ctrl-C raises KeyboardInterrupt."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _not_lost(swallowed: Any) -> None:
    """Python ignores exceptions raised in `__del__`, even those of a signal that arrives there: raise them again."""
    error = swallowed.exc_value
    if isinstance(error, KeyboardInterrupt):
        # Signals the process once more, a little later; signalling the timer's thread would not wake the main one.
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    elif isinstance(error, SystemExit):
        os._exit(error.code if isinstance(error.code, int) else 1)
    else:
        sys.__unraisablehook__(swallowed)


sys.unraisablehook = _not_lost
# Background processes ignore SIGINT: keep that.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
