"""Infilling language models for learner English (Donahue, Lee and Liang, ACL 2020).

`from ilm import Infiller, InfillingModule, InfillingDataModule, PreparedCorpus, plan_training`; each is imported when
it is asked for.
"""

import importlib
import os
import sys
from typing import Any

if sys.version_info < (3, 11):  # noqa: UP036  said here, since an older Python stops at code that it cannot read
    raise SystemExit("ilm needs Python 3.11 or newer; this is {}.{}".format(*sys.version_info))

if sys.platform == "win32":
    raise SystemExit("ilm runs on Linux and macOS; on Windows install it within WSL (type: wsl --install)")

# Threads that wait for each other by spinning take the cores from other programs that want them; these sleep. Read by
# OpenMP when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_MODULES = {
    "Infiller": "ilm.infilling.infiller",
    "InfillingModule": "ilm.training.module",
    "InfillingDataModule": "ilm.training.datamodule",
    "PreparedCorpus": "ilm.corpus.store",
    "plan_training": "ilm.training.plan",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'ilm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
