"""How much bfloat16 changes scores: a specialist and the generalist on the same test examples, in both precisions.

    python benchmarks/precision.py data/sample C1 experiments/C1_RUN experiments/ALL_RUN

Scores the first examples by hash of a level's test texts as `evaluate.py` does, in float32 and under bfloat16 autocast.
Prints mean losses in nats, the contrast between the two models, and the differences between single targets.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from ilm.corpus.store import PreparedCorpus
from ilm.examples.dataset import InfillingDataset, first_by_hash
from ilm.examples.layout import Examples
from ilm.examples.token_store import TokenStore
from ilm.masking.store import MaskStore
from ilm.models.devices import usable_device
from ilm.models.packing import row_length
from ilm.models.scoring import KINDS, TargetScores, score
from ilm.runs.trained_model import TrainedModel, model_in


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder of a prepared corpus")
    parser.add_argument("level")
    parser.add_argument("models", type=Path, nargs=2, help="folders of a specialist and of the generalist")
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    corpus, device = PreparedCorpus.open(arguments.corpus), usable_device(arguments.device, "--device")
    found: dict[tuple[int, bool], TargetScores] = {}
    for number, model in enumerate(map(model_in, arguments.models)):
        network, examples = model.load()[0].to(device), examples_of(corpus, arguments.level, model, arguments.examples)
        rows = row_length(None, device, int(examples.lengths.max()))
        for half in (False, True):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                found[number, half] = score(network, examples, rows, device)
        show(model.name, found[number, False], found[number, True])
    for kind in KINDS:
        exact, half = (found[0, way].losses()[kind] - found[1, way].losses()[kind] for way in (False, True))
        print(f"contrast, {kind}: float32 {exact:.4f}, bfloat16 {half:.4f}, difference {half - exact:+.1e}")


def examples_of(corpus: PreparedCorpus, level: str, model: TrainedModel, count: int) -> Examples:
    masks = MaskStore.open(next((corpus.folder / "masks").glob("hierarchical-*")))
    vocabulary = model.vocabulary
    tokens = TokenStore.open_or_make(corpus.folder / "tokens", corpus, vocabulary, model.token_store(vocabulary))
    rows = corpus.rows("test", [level])
    dataset = InfillingDataset(rows, masks.splits["test"], tokens, vocabulary, objective="ilm", max_length=512)
    return dataset.lay_out(first_by_hash(dataset, corpus.documents["writing_id"].array, corpus.seed, count))


def show(name: str, exact: TargetScores, half: TargetScores) -> None:
    for kind, loss in exact.losses().items():
        print(f"{name}, {kind}: float32 {loss:.4f}, difference {half.losses()[kind] - loss:+.1e}")
    differences = np.abs(half.nll - exact.nll)
    squared = np.sqrt((differences**2).mean())
    print(f"{name}, single targets: root mean square {squared:.4f}, largest {differences.max():.4f}")


if __name__ == "__main__":
    main()
