"""LoRA: low-rank updates are trained instead of the weights, and the rows of the infilling tokens with them.

Hu et al. 2022 (LoRA: Low-Rank Adaptation of Large Language Models), by the package `peft`. The layers are put into the
model in place, so what trains and scores a model works as it does without; `merged` gives back a plain model.
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
    """Raises: UserError where the optional package is not installed."""
    if importlib.util.find_spec("peft") is None:
        raise UserError('adapter=lora needs the package peft: type pip install -c constraints.txt -e ".[lora]"')


def add_lora(model: PreTrainedModel, adapter: Adapter, vocabulary: Vocabulary, seed: int) -> "PeftModel":
    """Put the layers of LoRA into `model`, in place; only they require gradients afterwards.

    The updates begin at zero, so the model computes what it did; their other factor is drawn from `seed`. The rows of
    the infilling tokens are trained too, of the input and of the output embeddings, as one where the model ties them.
    Returned is the handle that `merged` takes.

    Raises: UserError if `target_modules` name no layers that can be adapted.
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
    """The plain model that computes what the adapted one does; the updates alone are written to `folder` before."""
    with atomic_folder(folder) as temporary:
        adapted.save_pretrained(temporary, save_embedding_layers=False)
    return adapted.merge_and_unload()


def _is_linear(layer: torch.nn.Module) -> bool:
    return isinstance(layer, torch.nn.Linear | Conv1D)
