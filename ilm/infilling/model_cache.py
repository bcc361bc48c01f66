"""A least-recently-used cache of loaded models, for the terminal, JSON lines and the page."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from ilm.infilling.infiller import Infiller
from ilm.infilling.mixture import Filler, Mixture, Specialists
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")


class ModelCache:
    """Infillers by model, at most `max_loaded`; the least recently used is evicted before loading another.

    A model whose files have changed is reloaded. Only one thread may call `get`; any may call the other methods.
    """

    def __init__(self, load: Callable[[TrainedModel], Infiller], max_loaded: int):
        self._load, self.max_loaded = load, max_loaded
        # By folder, with its modification time in nanoseconds.
        self._entries: OrderedDict[Path, tuple[Infiller, int]] = OrderedDict()
        self._fingerprints: dict[Path, str] = {}

    def __contains__(self, model: TrainedModel) -> bool:
        return model.path in self._entries

    def fingerprint(self, model: TrainedModel) -> str | None:
        """The fingerprint of the files a model was last loaded from; None if it never was."""
        return self._fingerprints.get(model.path)

    def get(self, model: TrainedModel) -> Infiller:
        """The model's Infiller, loaded if necessary. Raises: UserError as `Infiller.of`."""
        key, modified = model.path, model.path.stat().st_mtime_ns
        if key in self._entries and self._entries[key][1] != modified:
            del self._entries[key]
        if key not in self._entries:
            while len(self._entries) >= self.max_loaded:
                evicted = next(iter(self._entries))
                del self._entries[evicted]
                gc.collect()
                log.debug("%s is evicted to load %s", evicted, model.name)
            self._entries[key] = self._load(model), modified
            self._fingerprints[key] = model.fingerprint()
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def get_all(self, models: Sequence[TrainedModel | Specialists]) -> dict[str, Filler]:
        """The Infillers of several models by name, including a mixture made of loaded ones."""
        return {
            model.name: Mixture({member.name: self.get(member) for member in model.members}, model.temperature)
            if isinstance(model, Specialists)
            else self.get(model)
            for model in models
        }
