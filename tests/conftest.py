"""What many tests share: a small corpus prepared once a session, and Hydra's composition of a configuration.

Test files import the functions: `from tests.conftest import compose`.
"""

import copy
import csv
import gc
import os
import pickle
import random
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import hydra
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, settings
from omegaconf import DictConfig, open_dict

from ilm.cli.help import chosen_options

# How long an example takes says nothing on a machine that others use too. CI tries the same examples every time.
in_ci = bool(os.environ.get("CI"))
# Failures print how to repeat them; storing all examples on the disk took a tenth of the tests' time.
settings.register_profile(
    "ilm",
    deadline=None,
    derandomize=in_ci,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ilm")

# Full collections, each over all objects of the libraries, took a tenth of the tests' time.
gc.set_threshold(700, 10, 1000)

# Files are flushed to the disk in case of a power cut, which no test makes; waiting for it took a tenth of the time.
os.fsync = lambda file: None

# Tables are as wide as these variables of the caller's terminal say; the tests read tables of the default width.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# A shell starts what it puts into the background deaf to Ctrl-C, which commands under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent
CONF = REPOSITORY / "conf"
LEVEL_SIZES = {"A1": 36, "A2": 30, "B1": 26, "B2": 16, "C1": 14}

# A model that takes a tenth of a second to make; everything else as experiment=debug has it.
SMALL_MODEL = (
    "experiment=debug",
    "model.tokenizer_size=400",
    "model.architecture.n_layer=2",
    "model.architecture.n_embd=32",
    "model.architecture.n_head=2",
    "data.num_workers=0",
)

_SUBJECTS = (
    "My mother",
    "The tall teacher",
    "An old friend",
    "Nobody",
    "The “famous” actor",
    "Our neighbour’s dog",
    "A quiet student",
)
_VERBS = ("likes", "never visits", "didn’t see", "often writes about", "forgot", "is waiting for", "buyed")
_OBJECTS = (
    "the small house",
    "a letter from Spain 😀",
    "their lunch",
    "the last train",
    "new shoes and a coat",
    "many question",
    "an interesting film",
)
_ENDS = ("every morning.", "yesterday!", "in the city, I think.", "because it rains.", "— really?", "at work.")


_load_config = ConfigRepository.load_config
_loaded: dict[tuple[str, ...], bytes] = {}


def _load_once(self: ConfigRepository, config_path: str):
    """In place of Hydra's own function, which parses the same thirty files at every composition."""
    key = (*(source.path for source in self.sources), config_path)
    if key not in _loaded:
        _loaded[key] = pickle.dumps(_load_config(self, config_path))
    return pickle.loads(_loaded[key])


ConfigRepository.load_config = _load_once


@cache
def _chosen(root: str, *options: str) -> DictConfig:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(root, list(options), return_hydra_config=True)


def compose(root: str, *overrides: str) -> tuple[DictConfig, dict]:
    """The configuration as `python <root>.py <overrides>` gets it, and Hydra's chosen options by group.

    Files are read and merged once for the same options; values are then set in a copy, by Hydra's own function.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [part for part in parsed if not (part.is_hydra_override() or (CONF / part.key_or_group).is_dir())]
    cfg = copy.deepcopy(_chosen(root, *(part.input_line for part in parsed if part not in values)))
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    cfg.hydra.overrides.task = [part.input_line for part in parsed if not part.is_hydra_override()]
    choices = chosen_options(cfg.hydra)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg, choices


def rows_of_small_corpus(sizes: dict[str, int] | None = None) -> list[dict[str, str]]:
    """Rows of a corpus in the project's schema: learners' sentences, curly quotes, emoji, two paragraphs in most."""
    draw = random.Random(0)
    rows = []
    for level, size in (sizes or LEVEL_SIZES).items():
        for number in range(size):
            sentences = [
                " ".join(map(draw.choice, (_SUBJECTS, _VERBS, _OBJECTS, _ENDS))) for _ in range(2 + number % 4)
            ]
            text = "\n".join(filter(None, (" ".join(sentences[:2]), " ".join(sentences[2:]))))
            l1 = ("French", "German", "Arabic")[number % 3]
            rows.append({"writing_id": f"{level}-{number:03}", "l1": l1, "cefr_level": level, "text": text})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    """Write rows with the keys of the first as header."""
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, to see that nothing was changed."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def environment(**changed: str) -> dict[str, str]:
    """The environment for a command in a subprocess: two of them may run at the same time."""
    kept = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_ENDPOINT")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **changed}


def run_command(cwd: Path, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    """Run an entry point as a user would, from the folder `cwd`."""
    return subprocess.run(
        [sys.executable, str(REPOSITORY / script), *arguments],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=240,
    )


def pytest_collection_finish() -> None:
    """Exempt all that imports have made from garbage collection: each `gc.collect()` took 0.3 s."""
    gc.freeze()


@pytest.fixture
def without_figures(monkeypatch) -> None:
    """Reports have no figures, which take half of their time; those of module-wide fixtures are drawn."""
    monkeypatch.setattr("ilm.evaluation.comparison.report.figures", lambda *args: {})


@pytest.fixture(scope="session")
def small_csv(tmp_path_factory) -> Path:
    """The CSV file of the small corpus: 122 texts of five levels."""
    return write_csv(tmp_path_factory.mktemp("csv") / "small.csv", rows_of_small_corpus())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, small_csv) -> Path:
    """`paths.data` with the small corpus prepared as `small` with the default masks. Shared: never write here."""
    from prepare import prepare

    data = tmp_path_factory.mktemp("data")
    cfg, _ = compose(
        "prepare",
        *("corpus=custom", "corpus.name=small", f"corpus.csv={small_csv}", f"paths.data={data}", "num_workers=1"),
    )
    prepare(cfg)
    return data


@pytest.fixture
def small(prepared, tmp_path) -> list[str]:
    """Overrides that choose the small corpus, with experiments and results in the test's own folder."""
    return [
        "corpus=custom",
        "corpus.name=small",
        f"paths.data={prepared}",
        f"paths.experiments={tmp_path / 'experiments'}",
        f"paths.results={tmp_path / 'results'}",
    ]
