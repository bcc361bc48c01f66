"""Finds model files (a folder, an installed package, the model hub) and reports unreadable ones."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig

from ilm.errors import UserError

HUB_TIMEOUT_SECONDS = 5
TO_TRAIN = (
    "(model.path=FOLDER); or train from scratch (model.pretrained=false), or a small model that needs no download "
    "(model=tiny)"
)
# What a broken or unrelated file can raise.
_BROKEN = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError),
    *(SafetensorError, StrictDataclassError),
)


def locate(
    path: str, package: str | None = None, gguf_file: str | None = None, advice: str = TO_TRAIN
) -> tuple[str, dict[str, Any]]:
    """Where to load a model from, and the options for `from_pretrained`, which will not hang on an unreachable hub.

    `path`, `package`, `gguf_file`: as in `ilm.models.loading.pretrained_model`. `advice`: what to do if the hub fails.

    Raises: UserError, within seconds, if it is neither a folder nor cached nor available from the hub.
    """
    spec = importlib.util.find_spec(package) if package is not None else None
    if spec is not None and spec.origin is not None:
        if any(importlib.util.find_spec(name) is None for name in ("gguf", "accelerate")):
            raise UserError(
                f"The weights in the package {package} are a GGUF file: type `make smollm2` to install a reader for it."
            )
        return str(Path(spec.origin).parent), {"gguf_file": gguf_file}
    if Path(path).is_dir():
        return path, {"local_files_only": True}
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise UserError(
            f"The model folder {path} does not exist. Give a folder with a config.json, or a name on the model hub."
        )
    try:
        AutoConfig.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError):
        installing = f"; or type `make smollm2`, which installs the weights in the package {package}" if package else ""
        _require_on_hub(path, advice + installing)
    return path, {}


def _require_on_hub(path: str, advice: str) -> None:
    try:
        HfApi().model_info(path, timeout=HUB_TIMEOUT_SECONDS)
    except Exception as error:  # the hub client raises its HTTP library's errors
        raise UserError(
            f"The model {path!r} is not on this machine, and the model hub did not provide it ({_first_line(error)}). "
            f"Check the name and the network; or download it elsewhere and give its folder {advice}."
        ) from error


@contextmanager
def readable(what: str, advice: str = "") -> Iterator[None]:
    """Raises: UserError in place of the errors of a broken file."""
    try:
        yield
    except _BROKEN as error:
        raise UserError(f"{what} ({_first_line(error)}){advice}") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]
