# Everything runs in an environment of its own, .venv, made at the first call; after that no network is needed.
#
#   make demo       train a convolutional network on handwritten digits and show what it did
#   make test       lint, type check, run every test
#   make bench      time a training step (beside PyTorch, where it is installed)
#   make notebooks  open the lessons in JupyterLab
#   make clean      remove what these commands made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARTS := setup.py setup.cfg pyproject.toml $(wildcard autoconv/*/native/*)

.PHONY: demo test bench notebooks clean

demo: $(VENV)/run.stamp
	$(BIN)/python -m autoconv demo

test: $(VENV)/test.stamp
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(VENV)/run.stamp
	$(BIN)/python benchmarks/cnn.py

notebooks: $(VENV)/notebooks.stamp
	$(BIN)/jupyter lab notebooks

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python $(PARTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	$(BIN)/python -m compileall -q autoconv
	touch $@

$(VENV)/%.stamp: $(BIN)/python $(PARTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	$(BIN)/python -m compileall -q autoconv
	touch $@

clean:
	rm -rf $(VENV) autoconv-demo build dist *.egg-info autoconv/*/*.so .pytest_cache .ruff_cache .mypy_cache
