"""Models trained here (Donahue et al. 2020): the answer follows the whole context, and its end token ends it.

She ate<|infill_word|> for lunch.<|startofinfill|>      generates   pasta<|endofinfill|>
"""

from ilm.config.evaluate import Cloze
from ilm.evaluation.cloze.prefix_decoding import PrefixDecoder, PrefixLM, Prompt
from ilm.evaluation.cloze.subwords import EncodedItem
from ilm.examples.layout import lay_out
from ilm.infilling.blanks import default_type
from ilm.infilling.infiller import Infiller
from ilm.models.scoring import score
from ilm.runs.trained_model import INFILLING


class InfillingLM(PrefixLM):
    """Its blanks are of the type that a blank typed without one has."""

    kind = "ilm"

    def __init__(self, infiller: Infiller, options: Cloze):
        self.vocabulary = infiller.vocabulary
        super().__init__(infiller.model, self.vocabulary.tokenizer, options, max_tokens=infiller.max_tokens)
        self.mask_type = default_type(self.vocabulary.mask_types)

    def info(self):
        return {**super().info(), "blank": self.vocabulary.mask_types[self.mask_type]}

    def _example(self, item: EncodedItem):
        """The text as the training example whose answers are the learner's words."""
        spans = [(self.mask_type, first, last) for first, last in item.token_spans]
        length = len(item.ids) + 2 * len(spans) + 1
        return lay_out(list(item.ids), spans, self.vocabulary, INFILLING, length)

    def _input_length(self, item: EncodedItem) -> int:
        blanks = len(item.token_spans)
        return len(item.ids) + 2 * blanks + 1 + blanks * self.options.max_answer_tokens

    def _score(self, items):
        examples = [self._example(item) for item in items]
        longest = max(example.full_length for example in examples)
        found = score(self.model, examples, longest, self.model.device)
        scores = []
        for number, item in enumerate(items):
            # Blanks and context are in front of the answers.
            lengths = [len(item.word_ids(blank)) + 1 for blank in range(len(item.token_spans))]
            nll = found.nll[found.examples == number][-sum(lengths) :]
            ends = [sum(lengths[: blank + 1]) for blank in range(len(lengths))]
            scores.append([-float(nll[end - n : end].sum()) for end, n in zip(ends, lengths, strict=True)])
        return scores

    def _prompt(self, item, blank, filled):
        end = self.vocabulary.end_of_infill
        blanks = [[int(self.vocabulary.blanks[self.mask_type])]] * len(item.token_spans)
        answered = [token for ids in filled for token in (*ids, end)]
        context = (*item.fill(blanks), self.vocabulary.start_of_infill)
        return Prompt((), (*context, *answered), (end,))

    def _decoder(self, prompts):
        def forward(ids, mask, positions, _, cache):
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )

        return PrefixDecoder(forward, [prompt.prefix for prompt in prompts], self.model.device)
