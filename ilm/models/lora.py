"""LoRA: trains low-rank updates of the weights, and the embedding rows of the infilling tokens.

Hu et al. 2022 (LoRA: Low-Rank Adaptation of Large Language Models), implemented by the package `peft`. The layers are
inserted into the model in place, so training and scoring work unchanged; `merged` returns a plain model.
"""

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ilm.config.model import Adapter
from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.files import atomic_folder
from ilm.hashing import order_key

if TYPE_CHECKING:
    from peft import PeftModel

# Every linear layer but the LM head.
ALL_LINEAR = "all-linear"


def require_peft() -> None:
    """Raises: UserError if the optional package is not installed."""
    if importlib.util.find_spec("peft") is None:
        raise UserError('adapter=lora needs the package peft: type pip install -c constraints.txt -e ".[lora]"')


def add_lora(model: PreTrainedModel, adapter: Adapter, vocabulary: Vocabulary, seed: int) -> "PeftModel":
    """Insert LoRA layers into `model`, in place; only they and the rows of the infilling tokens then require gradients.

    Updates start at zero, so the model's outputs are unchanged; their other factor is drawn from `seed`. The infilling
    tokens' rows are trained in both input and output embeddings, shared if the model ties these.

    Returns: a handle for `merged`.

    Raises: UserError if `target_modules` do not name adaptable layers.
    """
    from peft import LoraConfig, get_peft_model

    rows = list(range(vocabulary.base_size, vocabulary.size))
    embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.target_modules or ALL_LINEAR,
        trainable_token_indices={name: rows for name, module in model.named_modules() if module in embeddings},
        # GPT-2's linear layers are stored transposed.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(order_key(seed, "adapter") % 2**63)
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing")
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            names = sorted({name.rpartition(".")[2] for name, layer in model.named_modules() if _is_linear(layer)})
            raise UserError(
                f"adapter.target_modules={adapter.target_modules}: {str(error).splitlines()[0][:200]} Expected some "
                f"of {', '.join(names)}, or null for all of them."
            ) from error


def merged(adapted: "PeftModel", folder: Path) -> PreTrainedModel:
    """The plain model equivalent to the adapted one; first writes the updates alone to `folder`."""
    with atomic_folder(folder) as temporary:
        adapted.save_pretrained(temporary, save_embedding_layers=False)
    return adapted.merge_and_unload()


def _is_linear(layer: torch.nn.Module) -> bool:
    return isinstance(layer, torch.nn.Linear | Conv1D)
