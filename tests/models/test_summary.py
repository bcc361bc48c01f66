from ilm.models.summary import module_lines
from tests.infilling.small_models import random_model


def test_equal_blocks_are_one_line_and_shared_weights_count_once():
    model = random_model("gpt2", 325)
    lines = [" ".join(line.split()) for line in module_lines(model)]
    assert lines[:3] == [
        "transformer.wte Embedding 325x32 10,400",
        "transformer.wpe Embedding 96x32 3,072",
        "transformer.h.*.ln_1 LayerNorm 32 32 2 x 64",
    ]
    assert lines[-1] == "lm_head Linear 325x32 shared"
    counts = [line.rpartition(" ")[2].replace(",", "") for line in lines[:-1]]
    times = [2 if " x " in line else 1 for line in lines[:-1]]
    total = sum(int(count) * number for count, number in zip(counts, times, strict=True))
    assert total == sum(parameter.numel() for parameter in model.parameters())
