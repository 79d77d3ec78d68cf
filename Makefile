# Everything runs in an environment of its own, .venv, made at the first call; after that no network is needed.
#
#   make demo       train a convolutional network on handwritten digits and show what it did
#   make test       lint, type check, run every test, with the compiled parts and without
#   make fuzz       random programs for MINUTES=30 (or as many as you say), with seeds that nobody has run
#   make mutants    plant 40 faults and see which the tests notice; SEED=1 plants others
#   make bench      time everything beside its peers (PyTorch, JAX, tinygrad, ...), in an environment of their own
#   make notebooks  open the lessons in JupyterLab
#   make clean      remove what these commands made

PYTHON ?= python3
VENV := .venv
MINUTES ?= 30
SEED ?= 0
BIN := $(VENV)/bin
PEERS := .venv-peers
PARTS := setup.py setup.cfg pyproject.toml $(wildcard autoconv/*/native/*)

.PHONY: demo test fuzz mutants bench notebooks clean

demo: $(VENV)/run.stamp
	$(BIN)/python -m autoconv demo

test: $(VENV)/test.stamp
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto
	if $(BIN)/autoconv info | grep -q "native machine"; then AUTOCONV_NATIVE=0 $(BIN)/python -m pytest -n auto; fi

fuzz: $(VENV)/test.stamp
	cd tests && ../$(BIN)/python -m fuzz --minutes $(MINUTES)

mutants: $(VENV)/test.stamp
	cd tests && ../$(BIN)/python -m mutation --seed $(SEED)

bench: $(PEERS)/bench.stamp
	$(PEERS)/bin/python benchmarks/run.py

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

# a peer that has no build for this machine is left out
$(PEERS)/bench.stamp: benchmarks/peers.txt $(PARTS)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	grep -v '^#' benchmarks/peers.txt | while read -r peer; do \
	    $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check "$$peer" || echo "$$peer cannot be installed here"; \
	done
	$(PEERS)/bin/python -m compileall -q autoconv
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) autoconv-demo build dist *.egg-info autoconv/*/*.so .pytest_cache .ruff_cache .mypy_cache
