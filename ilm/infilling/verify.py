"""A check of every model that is loaded: do passes with the shared KV cache compute what plain passes do?

An architecture may keep a state of its own (Mamba), look to the right (BERT), or count positions in another way. It
would then generate something else than the model means, and nothing would tell.
"""

import torch
from transformers import PreTrainedModel

from ilm.config.infill import Decoding
from ilm.errors import UserError
from ilm.examples.vocabulary import Vocabulary
from ilm.infilling.blanks import BlankLimits, Context
from ilm.infilling.constraints import AnswerConstraints
from ilm.infilling.generate import Generator, SequenceGroup
from ilm.infilling.kv_cache import UNKNOWN

# Relative to 1 - log-probability, of the weights' type.
MAX_DIFFERENCE = {torch.float32: 1e-3, torch.float64: 1e-3}
MAX_DIFFERENCE_OF_HALF = 0.2
ANSWER_TOKENS = 3


@torch.inference_mode()
def verify_generation(model: PreTrainedModel, vocabulary: Vocabulary, constraints: AnswerConstraints) -> None:
    """Generate two candidates for each of two contexts of different lengths, and score them in plain passes.

    Raises: UserError if a token has another probability there, or the model's attention cannot be replaced.
    """
    blank, start = int(vocabulary.blanks[0]), vocabulary.start_of_infill
    texts = ((start, blank, start), (blank, start, start, blank, start))  # tokens that every vocabulary has
    limits = (BlankLimits(ANSWER_TOKENS, ANSWER_TOKENS),)
    contexts = [Context("", ("", ""), (0,), limits, (False,), ids) for ids in texts]
    groups = [group for context in contexts for group in SequenceGroup.of(context, range(2), seed=0)]
    Generator(model, constraints, Decoding(top_p=None), max_tokens=max(map(len, texts)) + ANSWER_TOKENS + 1).generate(
        groups
    )
    most = MAX_DIFFERENCE.get(model.dtype, MAX_DIFFERENCE_OF_HALF)
    for group in groups:
        for sequence in group.done:
            answer = torch.tensor(sequence.token_ids[0], device=model.device)
            read = torch.cat([torch.tensor(group.context.ids, device=model.device), answer])
            logits = model(input_ids=read[None], use_cache=False).logits[0, -len(answer) - 1 : -1]
            expected = logits.float().log_softmax(-1).gather(1, answer[:, None])[:, 0]
            found = torch.tensor(sequence.token_log_probabilities[0], device=model.device)
            if not bool(((found - expected).abs() <= most * (1 - expected)).all()):
                raise UserError(f"{type(model).__name__} {UNKNOWN}")
