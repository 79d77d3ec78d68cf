# Everything runs in an environment of its own, .venv, made at the first call; after that no network is needed.
#
#   make demo       train a convolutional network on handwritten digits and show what it did
#   make quick      lint, type check, a few cases of each test that takes no second
#   make test       lint, type check, every test, with the compiled parts and without; and once on the oldest NumPy
#   make test-interop   models of other libraries beside these libraries, in an environment of its own
#   make test-xla   compiled functions on XLA (JAX), in an environment of its own
#   make fuzz       random programs for MINUTES=30 (or as many as you say), with seeds that nobody has run
#   make mutants    plant 40 faults and see which the tests notice; SEED=1 plants others
#   make bench      time everything beside its peers (PyTorch, JAX, tinygrad, ...), in an environment of their own
#   make notebooks  open the lessons in JupyterLab
#   make dist       sdist and wheel in dist/, checked; URL=https://... is the address of the published repository
#   make wheel-pure the wheel for every system, without compiled parts, in dist/
#   make site       the documentation as a site in build/site/html; make site-test looks at it in Chromium
#   make test-32    a core of the tests on 32 bits, in a Debian folder made once (Linux on x86, as root)
#   make clean      remove what these commands made

PYTHON ?= python3
VENV := .venv
MINUTES ?= 30
SEED ?= 0
BIN := $(VENV)/bin
PEERS := .venv-peers
OLDEST := .venv-oldest
INTEROP := .venv-interop
XLA := .venv-xla
# hundreds of programs that run once: XLA need not tune their code for the processor
MANY_ON_XLA := tests/xla/test_xla_random.py tests/xla/test_from_jax.py
UNTUNED := --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
# the tests of ac.compile and the oracles, which ask for whatever backend is named
ON_XLA := test_compile_inputs test_oracles test_guards test_absence test_whole_numbers test_ceil_mode test_optim_update
# the tutor, marking and most views compile nothing, so without the compiled parts a few cases of each are enough
EAGER := $(wildcard $(foreach room,marking tutor graph exercise explain stepper notebook_bundles,tests/test_$(room)*.py))
SITE := .venv-site
PARTS := setup.py setup.cfg pyproject.toml $(wildcard autoconv/*/native/* autoconv/*/*/native/*)
PIP := -m pip install --quiet --disable-pip-version-check
URL ?= $(filter https://%,$(shell git remote get-url origin 2>/dev/null))

.PHONY: demo quick test test-interop test-xla test-32 lint fuzz mutants bench notebooks dist wheel-pure site site-test clean

demo: $(VENV)/run.stamp
	$(BIN)/python -m autoconv demo

quick: lint
	$(BIN)/python -m pytest --quick -n auto

test: lint $(OLDEST)/test.stamp
	$(BIN)/python -m pytest -n auto
	if $(BIN)/autoconv info | grep -q "native machine"; then \
	  AUTOCONV_NATIVE=0 $(BIN)/python -m pytest -n auto $(addprefix --ignore=,$(EAGER)) && \
	  AUTOCONV_NATIVE=0 $(BIN)/python -m pytest --few -n auto $(EAGER); fi
	$(OLDEST)/bin/python -m pytest --few -n auto

test-interop: $(INTEROP)/test.stamp
	$(INTEROP)/bin/python -m pytest tests/interop

test-xla: $(XLA)/test.stamp
	XLA_FLAGS="$(UNTUNED)" $(XLA)/bin/python -m pytest -n auto $(MANY_ON_XLA)
	$(XLA)/bin/python -m pytest -n auto tests/xla $(addprefix --ignore=,$(MANY_ON_XLA))
	AUTOCONV_BACKEND=xla XLA_FLAGS="$(UNTUNED)" \
	  $(XLA)/bin/python -m pytest --few -n auto $(foreach name,$(ON_XLA),$(wildcard tests/$(name) tests/$(name).py))

lint: $(VENV)/test.stamp
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

fuzz: $(VENV)/test.stamp
	cd tests && ../$(BIN)/python -m fuzz --minutes $(MINUTES)

mutants: $(VENV)/test.stamp
	cd tests && ../$(BIN)/python -m mutation --seed $(SEED)

bench: $(PEERS)/bench.stamp
	$(PEERS)/bin/python benchmarks/run.py

notebooks: $(VENV)/notebooks.stamp
	$(BIN)/jupyter lab notebooks

dist: $(VENV)/dist.stamp
	rm -rf dist
	AUTOCONV_URL="$(URL)" $(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*

site: $(SITE)/site.stamp
	AUTOCONV_URL="$(URL)" $(SITE)/bin/python docs/site/build.py

site-test: site
	$(SITE)/bin/python -m pytest tests/site

test-32:
	sh tests/on_32_bits.sh build/i386

wheel-pure: $(VENV)/dist.stamp
	AUTOCONV_PURE=1 AUTOCONV_URL="$(URL)" $(BIN)/python -m build --no-isolation --wheel

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python $(PARTS)
	$(BIN)/python $(PIP) -e .
	$(BIN)/python -m compileall -q autoconv
	touch $@

$(VENV)/%.stamp: $(BIN)/python $(PARTS)
	$(BIN)/python $(PIP) -e ".[$*]"
	$(BIN)/python -m compileall -q autoconv
	touch $@

# autoconv itself is not installed there: the tests run the tree they stand in, with the parts compiled for .venv
$(OLDEST)/test.stamp: tests/oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP) -r tests/oldest.txt
	touch $@

# PyTorch's build for processors alone is a tenth of the size of its usual one
$(INTEROP)/test.stamp: $(PARTS)
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/python $(PIP) --retries 0 --timeout 10 --extra-index-url https://download.pytorch.org/whl/cpu -e ".[interop]"
	touch $@

$(XLA)/test.stamp: $(PARTS)
	$(PYTHON) -m venv $(XLA)
	$(XLA)/bin/python $(PIP) -e ".[xla,xla-test]"
	touch $@

# nothing is compiled for it: the site takes the wheel for every system
$(SITE)/site.stamp: $(PARTS)
	$(PYTHON) -m venv $(SITE)
	AUTOCONV_PURE=1 $(SITE)/bin/python $(PIP) -e ".[site]"
	touch $@

# a peer that has no build for this machine is left out
$(PEERS)/bench.stamp: benchmarks/peers.txt $(PARTS)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python $(PIP) -e .
	grep -v '^#' benchmarks/peers.txt | while read -r peer; do \
	    $(PEERS)/bin/python $(PIP) "$$peer" || echo "$$peer cannot be installed here"; \
	done
	$(PEERS)/bin/python -m compileall -q autoconv
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(OLDEST) $(INTEROP) $(XLA) $(SITE) autoconv-demo build dist *.egg-info autoconv/*/*.so
	rm -rf .pytest_cache .ruff_cache .mypy_cache
