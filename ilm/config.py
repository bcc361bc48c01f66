"""The schema of the configuration, and the check that reports every mistake in it at once.

The files in conf/ hold the defaults; the dataclasses here say which keys exist and of what type they are. Hydra alone
accepts unknown keys in an experiment file and after `+`, so `check` merges what was composed onto a fresh schema, key
by key, binds the arguments of every `_target_`, and then looks for values that make no sense together.

A node typed `Any` is instantiated by Hydra; its arguments are those of its `_target_`.
"""

import difflib
import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ilm.errors import UserError
from ilm.examples import OBJECTIVES, block_tokens


@dataclass
class Columns:
    writing_id: str | None = None
    l1: str | None = None
    cefr_level: str | None = None
    text: str | None = None
    learner_id: str | None = None
    topic: str | None = None
    split: str | None = None


@dataclass
class Synthetic:
    size: int = 6000  # texts
    seed: int = 0


@dataclass
class Extra:
    csv: str = "???"
    name: str | None = None  # of the corpus; that of the file
    sheet: str | None = None
    encoding: str | None = None  # that of the corpus beside it
    columns: Columns = field(default_factory=Columns)


@dataclass
class Corpus:
    name: str = "???"
    csv: str | None = None
    sheet: str | None = None
    reference: str | None = None
    extra: list[Extra] = field(default_factory=list)
    synthetic: Synthetic | None = None
    encoding: str = "utf-8"
    levels: list[str] = field(default_factory=list)
    max_dropped: float = 0.01  # share of rows
    sample_size: int | None = None  # texts
    columns: Columns = field(default_factory=Columns)


@dataclass
class CefrLevel:
    name: str = "???"
    levels: list[str] = field(default_factory=list)
    max_steps: int = -1  # optimizer steps


@dataclass
class Masking:
    name: str = "???"
    function: Any = None
    masks_per_document: int = 16
    tries: int = 16
    seed: int = 0
    resample_each_epoch: bool = False


@dataclass
class Model:
    name: str | None = None
    path: str | None = None
    package: str | None = None
    gguf_file: str | None = None
    pretrained: bool = True
    tokenizer: str | None = None
    tokenizer_size: int | None = None
    architecture: Any = None


@dataclass
class Adapter:
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    target_modules: list[str] | None = None


@dataclass
class Data:
    batch_size: int = 8  # examples per micro-batch and process
    max_tokens_per_batch: int | None = None
    max_length: int = 256  # tokens
    row_tokens: int | None = None
    num_workers: int = 1
    levels_drawn: str = "natural"


@dataclass
class Schedule:
    shape: str = "constant"
    warmup_steps: int = 0  # optimizer steps


@dataclass
class Validation:
    every_n_steps: int | None = None  # optimizer steps
    max_examples: int = 500


@dataclass
class EarlyStopping:
    patience: int | None = None  # validations


@dataclass
class Checkpoint:
    every_n_minutes: float = 10.0


@dataclass
class Split:
    seed: int = 0


@dataclass
class PrepareSplit(Split):
    keep_together: list[str] = field(default_factory=list)
    test_on: str | None = None
    near_duplicates: float | None = None  # Jaccard similarity


@dataclass
class Sweep:
    at_once: int | None = 1  # runs


@dataclass
class Paths:
    data: str = "data"
    experiments: str = "experiments"
    results: str = "results"


@dataclass
class Evaluation:
    objective: str | None = None
    corpus: str | None = None
    masks: str | None = None
    split: str = "test"
    levels: list[str] | None = None
    masks_per_document: int = 16
    limit: int | None = None  # documents per level
    max_examples: int | None = None
    max_length: int = 256  # tokens
    fitting: str | None = None
    drop_last: bool = False
    row_tokens: int | None = None
    batch_size: int = 64  # examples
    device: str = "auto"


@dataclass
class Prepare:
    corpus: Corpus = field(default_factory=Corpus)
    masking: Masking = field(default_factory=Masking)
    split: PrepareSplit = field(default_factory=PrepareSplit)
    num_workers: int | None = None
    preview: int = 0  # texts
    overwrite: bool = False
    check: bool = False
    export: str | None = None  # folder
    paths: Paths = field(default_factory=Paths)


@dataclass
class Train:
    corpus: Corpus = field(default_factory=Corpus)
    cefr_level: CefrLevel = field(default_factory=CefrLevel)
    masking: Masking = field(default_factory=Masking)
    model: Model = field(default_factory=Model)
    adapter: Adapter | None = None
    optimizer: Any = None
    trainer: Any = None
    logger: Any = None
    callbacks: Any = None
    objective: str = "ilm"
    seed: int = 0
    name: str | None = None
    match: str | None = None
    init_from: str | None = None
    data: Data = field(default_factory=Data)
    schedule: Schedule = field(default_factory=Schedule)
    validation: Validation = field(default_factory=Validation)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    sweep: Sweep = field(default_factory=Sweep)
    split: Split = field(default_factory=Split)
    paths: Paths = field(default_factory=Paths)
    export_reference: bool = False
    compile: bool = False
    dry_run: bool = False
    overwrite: bool = False


@dataclass
class Cloze:
    n_masks: int = 1  # blanks of an item
    samples_per_text: int = 5  # items
    max_chars: int | None = 500
    seed: int = 42
    positions: str = "human-tokens"
    one_word: bool = True
    candidates: int = 10
    max_answer_tokens: int = 10
    mlm_length: str = "given"
    batch_size: int = 8  # items
    resamples: int = 10_000


@dataclass
class Evaluate:
    corpus: Corpus = field(default_factory=Corpus)
    task: str = "perplexity"
    models: list[str] | None = None
    name: str | None = None
    input: str | None = None
    limit: int | None = None  # texts
    evaluation: Evaluation = field(default_factory=Evaluation)
    cloze: Cloze = field(default_factory=Cloze)
    paths: Paths = field(default_factory=Paths)


@dataclass
class Decoding:
    candidates: int = 3
    temperature: float = 1.0
    top_k: int | None = None  # tokens
    top_p: float | None = 0.95
    greedy: bool = False
    best: bool = False
    beams: int = 0
    distinct: bool = False
    by_probability: bool = False
    max_answer_tokens: int = 128
    max_answer_words: int | None = None
    cut: bool = True
    batch_size: int = 128  # candidates


@dataclass
class Server:
    host: str = "127.0.0.1"
    port: int = 7860
    max_loaded: int = 8  # models


@dataclass
class Infill:
    corpus: Corpus = field(default_factory=Corpus)
    masking: Masking = field(default_factory=Masking)
    models: list[str] | None = None
    model_path: str | None = None
    input: str | None = None
    n_masks: int | None = None  # words
    web: bool = False
    server: Server = field(default_factory=Server)
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
    decoding: Decoding = field(default_factory=Decoding)
    paths: Paths = field(default_factory=Paths)


# Arguments of Lightning's Trainer that the run decides: with others its steps would not be those it planned.
DECIDED_BY_THE_RUN = {
    *("barebones", "callbacks", "default_root_dir", "fast_dev_run", "gradient_clip_algorithm", "logger", "max_time"),
    *("enable_checkpointing", "enable_model_summary", "enable_progress_bar", "use_distributed_sampler"),
    *("limit_predict_batches", "limit_test_batches", "limit_train_batches", "limit_val_batches", "overfit_batches"),
    *("min_epochs", "min_steps", "reload_dataloaders_every_n_epochs", "num_sanity_val_steps"),
    *("val_check_interval", "check_val_every_n_epoch"),
}
SHAPES = ("constant", "linear", "cosine")
LEVELS_DRAWN = ("natural", "equally")
TASKS = ("perplexity", "cloze")
POSITIONS = ("human-tokens", "random")
MLM_LENGTHS = ("given", "guessed")
# Keys of `evaluation` that task=cloze reads, and what there is instead of others.
EVALUATION_OF_CLOZE = ("evaluation.corpus", "evaluation.split", "evaluation.levels", "evaluation.device")
INSTEAD_IN_CLOZE = {
    "evaluation.limit": "limit",
    "evaluation.max_examples": "limit",
    "evaluation.max_length": "cloze.max_chars",
    "evaluation.batch_size": "cloze.batch_size",
}
KEEP_TOGETHER = ("text", "learner_id", "topic", "near_duplicates")
TEST_ON = ("topic", "learner_id", "l1")


def check(cfg: DictConfig, schema: type, choices: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Check a composed configuration; returns it resolved and typed, as plain containers.

    `choices` are the chosen options by group (`ilm.cli.main.chosen_options`): `cefr` and `cefr_level` must not
    contradict each other.

    Raises: UserError that lists all mistakes: unknown and missing keys, wrong types, arguments that a `_target_` does
    not take, values out of range.
    """
    try:
        given = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the configuration cannot be resolved: {str(error).splitlines()[0]}") from error
    if isinstance(given.get("models"), str):
        given["models"] = [given["models"]]  # models=A1: brackets are easily forgotten, and special to some shells
    corpus = given.get("corpus")
    if isinstance(corpus, dict) and (extra := corpus.get("extra")) is not None:
        files = extra if isinstance(extra, list) else [extra]
        # A path alone is a file whose columns have their usual names.
        corpus["extra"] = [{"csv": file} if isinstance(file, str) else file for file in files]
    settings, mistakes = _typed(given, schema)
    mistakes += _targets(cfg)
    # Values can be compared where all are there and of the right type.
    if all(mistake.startswith("unknown key") for mistake in mistakes):
        mistakes += _values(settings, choices or {})
    if mistakes:
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise UserError(f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)} in the configuration:\n{lines}")
    return settings


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf of nested plain dictionaries; lists are leaves."""
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def _typed(given: Mapping[str, Any], schema: type) -> tuple[dict[str, Any], list[str]]:
    """The given values in the types of the schema, and what is wrong with them."""
    typed = OmegaConf.structured(schema)
    wanted = [key for key, _ in flat(OmegaConf.to_container(typed))]
    mistakes = [f"{key} is missing" for key in wanted if not _is_given(given, key)]
    if not mistakes:
        # Where this fails every key is looked at alone, to tell all mistakes.
        with suppress(OmegaConfBaseException):
            return OmegaConf.to_container(OmegaConf.merge(typed, given), throw_on_missing=True), []
    for key, value in flat(given):
        if not _is_known(key, schema):
            known = [k for k, _ in flat(OmegaConf.to_container(OmegaConf.structured(schema)))]
            mistakes.append(f"unknown key {key}{suggestion(key, known)}")
        elif isinstance(value, str) and value == "???":
            mistakes.append(f"{key} has no value: type {key}=...")
        else:
            nested = value
            for part in reversed(key.split(".")):
                nested = {part: nested}
            try:
                typed = OmegaConf.merge(typed, nested)
            except OmegaConfBaseException as error:
                reason = str(error).splitlines()[0]
                hint = f"; a list is typed in brackets: {key}=[{value}]" if "ListConfig" in reason else ""
                mistakes.append(f"{key}={value}: {reason}{hint}")
    return OmegaConf.to_container(typed), mistakes


def _is_given(given: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(given, Mapping) or part not in given:
            return False
        given = given[part]
    return True


def _is_known(key: str, schema: type) -> bool:
    """Whether the schema has this dotted key; below a node typed `Any` every key is."""
    kind: Any = schema
    for part in key.split("."):
        if kind is Any:
            return True
        # An optional section is a union of its dataclass and None.
        kind = next((t for t in (kind, *get_args(kind)) if is_dataclass(t)), None)
        if kind is None or part not in (hints := get_type_hints(kind)):
            return False
        kind = hints[part]
    return True


def suggestion(key: str, known: Sequence[str]) -> str:
    """What to say of a mistyped dotted key: which of the `known` ones was perhaps meant; empty if none is close."""
    # A short key is best compared with the last parts, a typo in a section with whole keys.
    last = {k.rsplit(".", 1)[-1]: k for k in known}
    close = difflib.get_close_matches(key, known, n=1) or [
        last[match] for match in difflib.get_close_matches(key.rsplit(".", 1)[-1], last, n=1)
    ]
    return f"; did you mean {close[0]}?" if close else ""


def _targets(node: Any, path: str = "") -> Iterator[str]:
    """What is wrong with the arguments of every `_target_`: bound to its signature, without calling it."""
    if not isinstance(node, DictConfig):
        return
    if "_target_" in node:
        yield from _binding(node, path)
    for key in node:
        if not OmegaConf.is_missing(node, key):
            yield from _targets(node[key], f"{path}.{key}" if path else str(key))


def _binding(node: DictConfig, path: str) -> Iterator[str]:
    target = node["_target_"]
    try:
        signature = inspect.signature(get_object(target))
    except Exception as error:  # whatever importing a user's module raises
        reason = " ".join(str(error).split())[:300]
        yield f"{path}._target_={target} cannot be imported: {reason}"
        return
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    given = {key for key in node if key not in ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")}
    for key in sorted(given - set(signature.parameters)):
        if not takes_any:
            close = difflib.get_close_matches(key, signature.parameters, n=1)
            hint = f"; did you mean {path}.{close[0]}?" if close else f"; it takes {', '.join(signature.parameters)}"
            yield f"unknown key {path}.{key}: {target} takes no such argument{hint}"
    if not node.get("_partial_"):
        for name, parameter in signature.parameters.items():
            needed = parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if needed and name not in given:
                yield f"{path}.{name} has no value, and {target} needs one"


def _values(settings: Mapping[str, Any], choices: Mapping[str, str | None]) -> Iterator[str]:
    """Values that are of the right type but make no sense, alone or together."""

    def value_of(key: str) -> Any:
        value: Any = settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def numbers(kind: type, minimum: float, *keys: str) -> Iterator[str]:
        expected = "a whole number" if kind is int else "a number"
        for key in keys:
            value = value_of(key)
            # Below a `_target_` nothing has been typed yet. NaN is smaller than nothing.
            right = isinstance(value, (int, kind)) and not isinstance(value, bool) and value >= minimum
            if value is not None and not (right and math.isfinite(value)):
                yield f"{key}={value}: expected {expected} of at least {minimum:g}"

    def one_of(key: str, allowed: Sequence[str]) -> Iterator[str]:
        if (value := value_of(key)) is not None and value not in allowed:
            yield f"{key}={value}: expected one of {', '.join(allowed)}"

    chosen, level = choices.get("cefr"), choices.get("cefr_level")
    if chosen and level and chosen != level:
        yield f"cefr={chosen} and cefr_level={level} contradict each other: give one of them"
    yield from numbers(
        int, 1, "corpus.sample_size", "corpus.synthetic.size", "masking.masks_per_document", "masking.tries"
    )
    yield from numbers(int, 0, "preview", "num_workers", "seed", "split.seed", "masking.seed", "corpus.synthetic.seed")
    yield from numbers(int, 1, "data.batch_size", "validation.every_n_steps", "validation.max_examples")
    yield from numbers(int, 0, "data.num_workers", "schedule.warmup_steps")
    yield from numbers(float, 0, "checkpoint.every_n_minutes", "corpus.max_dropped")
    yield from numbers(int, 1, "sweep.at_once")
    yield from numbers(int, 1, "early_stopping.patience", "evaluation.masks_per_document", "evaluation.limit")
    yield from numbers(int, 1, "evaluation.max_examples", "evaluation.batch_size")
    yield from numbers(int, 1, "trainer.accumulate_grad_batches", "trainer.log_every_n_steps")
    yield from numbers(int, -1, "trainer.max_steps", "trainer.max_epochs")
    yield from numbers(float, 0, "trainer.gradient_clip_val", "optimizer.lr")
    yield from numbers(int, 2, "data.max_length", "evaluation.max_length")
    yield from numbers(int, 1, "decoding.candidates", "decoding.top_k", "decoding.max_answer_tokens")
    yield from numbers(int, 1, "decoding.max_answer_words", "decoding.batch_size", "adapter.rank")
    yield from numbers(int, 0, "decoding.beams", "n_masks")
    yield from one_of("dtype", ("float32", "bfloat16"))
    if value_of("decoding.best") and value_of("decoding.greedy"):
        yield "decoding.best and decoding.greedy: give one of them"
    if 0 < (value_of("decoding.beams") or 0) < (value_of("decoding.candidates") or 0):
        yield f"decoding.beams={value_of('decoding.beams')}: expected decoding.candidates or more, or 0"
    if value_of("n_masks") is not None and value_of("input") is None:
        yield "n_masks draws blanks in the texts of a file: type input=FILE"
    yield from numbers(float, 0, "adapter.alpha", "adapter.dropout")
    for key in ("decoding.temperature", "decoding.top_p"):
        value, largest = value_of(key), 1.0 if key == "decoding.top_p" else math.inf
        if value is not None and not (0 < value <= largest and math.isfinite(value)):
            yield f"{key}={value}: expected a number above 0" + (" and at most 1" if largest == 1.0 else "")
    if (path := value_of("model_path")) is not None and (value_of("models") is not None or chosen):
        yield f"model_path={path} beside {f'cefr={chosen}' if chosen else 'models'}: give one of them"
    if value_of("web") and value_of("input") is not None:
        yield f"web=true beside input={value_of('input')}: give one of them"
    if (port := value_of("server.port")) is not None and not 0 <= port <= 65535:
        yield f"server.port={port}: expected a port from 1 to 65535, or 0 for any free one"
    yield from numbers(int, 1, "server.max_loaded")
    yield from one_of("objective", OBJECTIVES)
    yield from one_of("schedule.shape", SHAPES)
    yield from one_of("data.levels_drawn", LEVELS_DRAWN)
    yield from one_of("task", TASKS)
    yield from numbers(int, 1, "limit", "cloze.n_masks", "cloze.samples_per_text", "cloze.max_answer_tokens")
    yield from numbers(int, 1, "cloze.batch_size", "cloze.resamples")
    yield from numbers(int, 10, "cloze.candidates", "cloze.max_chars")
    yield from numbers(int, 0, "cloze.seed")
    yield from one_of("cloze.positions", POSITIONS)
    yield from one_of("cloze.mlm_length", MLM_LENGTHS)
    if "cloze" in settings:
        yield from _of_the_other_task(settings)
    yield from one_of("evaluation.split", ("test", "valid"))
    yield from one_of("evaluation.fitting", ("naive",))
    yield from one_of("evaluation.objective", OBJECTIVES)
    yield from one_of("split.test_on", TEST_ON)
    if unknown := sorted(set(value_of("split.keep_together") or ()) - set(KEEP_TOGETHER)):
        yield f"split.keep_together names {', '.join(unknown)}: expected some of {', '.join(KEEP_TOGETHER)}"
    if (similarity := value_of("split.near_duplicates")) is None:
        if "near_duplicates" in (value_of("split.keep_together") or ()):
            yield "split.keep_together names near_duplicates, but split.near_duplicates is null: type 0.8, for example"
    elif not 0 < similarity <= 1:
        yield f"split.near_duplicates={similarity}: expected a similarity above 0 and at most 1, for example 0.8"
    yield from one_of("model.tokenizer", ("gpt2", "corpus"))
    for key in ("name", "corpus.name", "masking.name", "model.name", "cefr_level.name"):
        value = value_of(key)
        if value is not None and not re.fullmatch(r"\w[\w.+-]*", value):
            yield f"{key}={value}: expected letters, digits and . _ + - only, since it names a folder"
    for section in ("data", "evaluation"):
        length, row = value_of(f"{section}.max_length"), value_of(f"{section}.row_tokens")
        if length is not None and row is not None and row < length:
            yield (
                f"{section}.row_tokens={row} is shorter than {section}.max_length={length}; a row holds whole examples"
            )
    corpus = settings["corpus"]
    if not corpus["levels"]:
        yield "corpus.levels is empty: expected names such as [A1,A2,B1,B2,C1]"
    # Another corpus to evaluate on may have other levels.
    own_levels = () if value_of("evaluation.corpus") is not None else ("evaluation.levels",)
    for key in ("cefr_level.levels", *own_levels):
        levels = value_of(key)
        if levels is not None and (not levels or set(levels) - set(corpus["levels"])):
            yield f"{key}={levels}: expected one or more of corpus.levels={corpus['levels']}"
    if corpus["csv"] is not None and corpus["synthetic"] is not None:
        yield f"corpus.csv={corpus['csv']} for a synthetic corpus: type corpus=custom corpus.name=NAME corpus.csv=..."
    if corpus["reference"] is not None and (corpus["csv"] is not None or corpus["synthetic"] is not None):
        other = "corpus.csv" if corpus["csv"] is not None else "a synthetic corpus"
        yield f"corpus.reference beside {other}: type corpus=custom corpus.name=NAME, and one of the two"
    if any(extra["csv"] in (None, "???") for extra in corpus["extra"]):
        yield "corpus.extra: an entry has no csv; expected paths, or entries like {csv: FILE, name: NAME}"
    # What reads a prepared corpus needs none of its sources.
    sources = [corpus[key] for key in ("csv", "synthetic", "reference")]
    if "preview" in settings and not settings["check"] and all(source is None for source in sources):
        yield f"corpus.csv has no value: type corpus.csv=PATH, the CSV file of {corpus['name']}"
    for key in ("optimizer", "trainer", "masking.function"):
        node = value_of(key)
        if key.split(".")[0] in settings and not (isinstance(node, Mapping) and "_target_" in node):
            yield f"{key} has no _target_: choose an option of its group"
    if "trainer" in settings:
        yield from _training_values(settings, experiment := choices.get("experiment"))
        if experiment == "token_matched" and settings["match"] is None:
            yield "match has no value: type match=C1, the specialist whose target tokens end the run"


def _of_the_other_task(settings: Mapping[str, Any]) -> Iterator[str]:
    """Options of evaluate.py that the chosen task would ignore: whatever is not as it is by default."""
    task, defaults = settings["task"], dict(flat(OmegaConf.to_container(OmegaConf.structured(Evaluate()))))
    given = [key for key, value in flat(settings) if key in defaults and value != defaults[key]]
    if task == "perplexity":
        unread = [key for key in given if key in ("input", "limit") or key.startswith("cloze.")]
        yield from (f"{key} is for task=cloze{' (see evaluation.limit)' if key == 'limit' else ''}" for key in unread)
    elif task == "cloze":
        for key in given:
            if key.startswith("evaluation.") and key not in EVALUATION_OF_CLOZE:
                instead = f": type {INSTEAD_IN_CLOZE[key]}=..." if key in INSTEAD_IN_CLOZE else ""
                yield f"{key} is for task=perplexity{instead}"
        if settings["input"] is not None:
            unread = [key for key in given if key in ("evaluation.corpus", "evaluation.split")]
            yield from (f"{key} is for prepared texts, and input={settings['input']} gives others" for key in unread)


def _training_values(settings: Mapping[str, Any], experiment: str | None) -> Iterator[str]:
    model, trainer, optimizer = settings["model"], settings["trainer"] or {}, settings["optimizer"] or {}
    for key in ("max_steps", "max_epochs"):
        if trainer.get(key) == 0:
            yield f"trainer.{key}=0: expected a positive number, or -1 for no bound"
    for key in sorted(DECIDED_BY_THE_RUN & set(trainer)):
        yield f"trainer.{key}: the run decides this itself; see trainer.max_steps, validation and early_stopping"
    bounds = [key for key in ("max_steps", "max_epochs") if trainer.get(key) not in (None, -1)]
    matched = settings["match"] is not None or experiment == "token_matched"
    if not bounds and not matched:
        yield "trainer.max_steps and trainer.max_epochs set no end: give one a positive number"
    yield from _comparison_values(settings, bounds)
    most, block = settings["data"]["max_tokens_per_batch"], block_tokens(max(1, settings["data"]["max_length"]))
    if most is not None and (most % block or most < block):
        close = max(block, round(most / block) * block)
        yield f"data.max_tokens_per_batch={most}: expected a multiple of {block} tokens, such as {close}"
    if trainer.get("precision") in (16, "16", "16-mixed") and optimizer.get("fused"):
        yield "optimizer.fused=true with trainer.precision=16-mixed clips scaled gradients: type optimizer.fused=false"
    if optimizer.get("lr") in (None, 0):
        yield f"optimizer.lr={optimizer.get('lr')}: expected a positive number"
    if model["tokenizer"] == "corpus" and (model["tokenizer_size"] or 0) < 257:
        yield f"model.tokenizer_size={model['tokenizer_size']}: a byte-level BPE needs more than 256 entries"
    if model["tokenizer"] == "corpus" and model["pretrained"]:
        yield "model.pretrained=true with model.tokenizer=corpus: pretrained weights need their own tokenizer"
    if model["path"] is None and (model["pretrained"] or model["tokenizer"] is None or model["architecture"] is None):
        yield "model.path has no value: type model.path=NAME_OR_FOLDER, a model on the hub or a folder in its format"
    if model["path"] is None and model["name"] is None:
        yield "model.name has no value"


def _comparison_values(settings: Mapping[str, Any], bounds: Sequence[str]) -> Iterator[str]:
    """What makes a comparison one: `bounds` are the bounds on steps that the trainer has."""
    match, level = settings["match"], settings["cefr_level"]
    if match is not None:
        if level["name"] != "all":
            yield f"match={match} with cefr={level['name']}: it stops the generalist, so type cefr=all"
        if match == "all":
            yield "match=all: expected what the generalist is matched with, a level such as C1, a run or its folder"
        for key in bounds:
            yield (
                f"match={match} beside trainer.{key}={settings['trainer'][key]}: the specialist decides when it ends; "
                f"type experiment=token_matched match={match}"
            )
    if settings["data"]["levels_drawn"] == "equally":
        if len(level["levels"]) < 2:
            yield f"data.levels_drawn=equally with cefr={level['name']}: a specialist has one level; type cefr=all"
        if settings["masking"]["resample_each_epoch"]:
            yield (
                "data.levels_drawn=equally with masking.resample_each_epoch=true: small levels are repeated within an "
                "epoch, so an epoch has no masks of its own; choose one of them"
            )
    if (adapter := settings["adapter"]) is not None and adapter["dropout"] >= 1:
        yield f"adapter.dropout={adapter['dropout']}: expected at least 0 and less than 1"
