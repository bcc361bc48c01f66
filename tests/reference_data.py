"""The reference implementation's measured outputs, and the model of its evaluation."""

from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.examples.layout import Example, TargetType
from ilm.files import read_json

DATA = Path(__file__).parent / "data"
DOCUMENTS = read_json(DATA / "documents.json")["docs"]
EVALUATION = read_json(DATA / "evaluation.json")
MASK_TYPES = ("document", "paragraph", "sentence", "ngram", "word")


def formula_model() -> GPT2LMHeadModel:
    """The GPT-2 of evaluation.json: parameter k (by name) with n values is sin(i * (0.7 + 0.013 k) + k), scaled."""
    model = GPT2LMHeadModel(GPT2Config(**EVALUATION["model_config"], bos_token_id=0, eos_token_id=0)).eval()
    with torch.no_grad():
        for k, (name, parameter) in enumerate(sorted(model.named_parameters())):
            v = np.sin(np.arange(parameter.numel()) * (0.7 + 0.013 * k) + k)
            if name.endswith("weight") and ".ln_" in name:
                v = 1 + 0.1 * v
            else:
                v = (0.1 if name.endswith("bias") else 0.4) * v
            parameter.copy_(torch.from_numpy(v.astype(np.float32).reshape(parameter.shape)))
    return model


def evaluation_examples() -> list[Example]:
    """The rows of evaluation.json without their padding."""
    examples = []
    for row in EVALUATION["rows"]:
        real = np.array(row["target_types"]) != TargetType.PAD
        ids, types = (
            np.array(row["input_ids"], dtype=np.int32)[real],
            np.array(row["target_types"], dtype=np.uint8)[real],
        )
        examples.append(Example(ids, types, len(ids)))
    return examples
