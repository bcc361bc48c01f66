"""The size of a checkpoint is known before there is one."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ilm.training.callbacks.checkpoints import checkpoint_bytes


class Wrapped(torch.nn.Module):
    def __init__(self, *, tied: bool):
        super().__init__()
        config = GPT2Config(vocab_size=2000, n_positions=64, n_embd=64, n_layer=2, n_head=2, tie_word_embeddings=tied)
        self.model = GPT2LMHeadModel(config)


def test_a_file_of_weights_has_the_size_foretold(tmp_path):
    sizes = {}
    for tied in (True, False):
        module = Wrapped(tied=tied)
        torch.save(module.state_dict(), tmp_path / "weights.pt")
        sizes[tied] = (tmp_path / "weights.pt").stat().st_size
        assert abs(checkpoint_bytes(module, 0) / sizes[tied] - 1) < 0.05
    assert sizes[False] > 1.5 * sizes[True]
