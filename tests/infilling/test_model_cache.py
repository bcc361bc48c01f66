"""Models stay in memory as long as there is room."""

import weakref

from ilm.infilling.infiller import Infiller
from ilm.infilling.model_cache import ModelCache
from ilm.models.loading import save_model
from ilm.runs.trained_model import model_in
from tests.infilling.small_models import ENTRIES, random_model, vocabulary

ROWS = ENTRIES + 5


def test_the_least_recently_used_model_is_evicted_before_another_is_loaded(tmp_path):
    words, loaded, alive = vocabulary(), [], weakref.WeakSet()
    for name in "abc":
        save_model(random_model("gpt2", ROWS), words, tmp_path / name)
    models = {name: model_in(tmp_path / name) for name in "abc"}

    def load(model):
        assert len(alive) < 2
        loaded.append(model.name)
        alive.add(infiller := Infiller.of(model, "cpu"))
        return infiller

    cache = ModelCache(load, max_loaded=2)
    for name in "abacab":
        cache.get(models[name])
    assert loaded == ["a", "b", "c", "b"]
    assert [models[name] in cache for name in "abc"] == [True, True, False]
    assert cache.fingerprint(models["c"]) == models["c"].fingerprint()  # of what it was, for reports
    assert cache.get_all([models["a"], models["b"]])["a"] is cache.get(models["a"])
