"""The masks that a `masking` node of the configuration asks for: their settings, and where they lie."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

import ilm
from ilm.corpus.store import PreparedCorpus
from ilm.errors import UserError
from ilm.masking.functions import MaskFunction
from ilm.masking.sampling import masks_folder_name, masks_settings


def mask_function(node: Mapping[str, Any]) -> MaskFunction:
    """The mask function of `masking.function`: a `_target_` and its arguments.

    Raises: UserError as the function does for arguments that it refuses, without Hydra's wrapping.
    """
    try:
        function = instantiate(dict(node))
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(f"masking.function: {error}") from error
    mask_types = getattr(function, "mask_types", None)
    if not callable(function) or not mask_types or not all(isinstance(name, str) for name in mask_types):
        raise UserError(
            f"masking.function: {node['_target_']} is no mask function. Expected a class with `mask_types`, a tuple of "
            "names, and `__call__(text, rng)` that returns Spans; see MaskFunction in ilm/masking/functions.py."
        )
    return function


def configured_masks(corpus: PreparedCorpus, masking: Mapping[str, Any]) -> tuple[dict[str, Any], Path]:
    """The settings of the masks that `masking` (a plain `ilm.config.Masking`) asks for, and their folder.

    The hash in the folder's name covers the source file of a user's own function too: editing it makes other masks.

    Raises: UserError if the function cannot be imported.
    """
    target = masking["function"]["_target_"]
    try:
        source = Path(inspect.getsourcefile(get_object(target)))
    except (ImportError, ValueError) as error:
        raise UserError(
            f"The mask function {target} cannot be imported ({error}). Put its module beside train.py or on PYTHONPATH."
        ) from error
    own = source.resolve().is_relative_to(Path(ilm.__file__).resolve().parent)
    settings = masks_settings(
        corpus.documents_hash,
        masking["name"],
        dict(masking["function"]),
        masking["masks_per_document"],
        masking["tries"],
        masking["seed"],
        None if own else source,
    )
    return settings, corpus.folder / "masks" / masks_folder_name(settings)
