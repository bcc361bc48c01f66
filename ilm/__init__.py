"""Infilling language models for learner English (Donahue, Lee and Liang, ACL 2020)."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  said here, since an older Python stops at code that it cannot read
    raise SystemExit("ilm needs Python 3.11 or newer; this is {}.{}".format(*sys.version_info))

__version__ = "0.1.0"
