# One command each. The first use makes the virtual environment and installs into it; later ones do not.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
QUIET  := --quiet --disable-pip-version-check

# One process per core, so one thread for each.
ALONE  := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
.PHONY: help demo test test-oldest fuzz benchmarks lint format types gradcheck gradients kernels kills parity keras-parity tutorials \
	wheel wheel-check clean
.DELETE_ON_ERROR:

help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.plot  ## Train LeNet-5 on the digits that come with the package, and draw the result
	$(PY) -m gradtape train lenet5 --data mnist_sample

test: $(VENV)/.test  ## Run the test suite
	$(ALONE) $(PY) -m pytest --numprocesses auto --dist worksteal $(PYTEST_ARGS)

# The oldest versions that setup.cfg allows, in an environment of their own.
OLDEST        := $(VENV)-oldest
OLDEST_PYTHON ?= $(shell python3.10 -c 'import sys; print(sys.executable)' 2>/dev/null || echo $(PYTHON))

test-oldest: $(OLDEST)/.stamp  ## Run the test suite with the oldest versions that setup.cfg allows
	$(ALONE) $(OLDEST)/bin/python -m pytest --numprocesses auto --dist worksteal $(PYTEST_ARGS)

$(OLDEST)/.stamp: setup.cfg pyproject.toml Makefile tests/oldest.py
	test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python tests/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip $(QUIET) install --constraint $(OLDEST)/constraints.txt --editable '.[test]'
	touch $@

lint: $(VENV)/.dev  ## Check style, formatting and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(MAKE) types

format: $(VENV)/.dev  ## Mend style and formatting
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

gradcheck: $(VENV)/.test  ## Check every op's gradient numerically, and that a wrong rule would be noticed
	$(ALONE) $(PY) -m gradtape gradcheck
	$(ALONE) $(PY) -m gradtape mutants

# The kernels once more as plain Python, and once with every index checked; 200 random models as programs; random
# graphs; and native kernels and vectors at more sizes and many more numbers than in `make test`.
kernels: $(VENV)/.test  ## Check the ops on Numba kernels, uncompiled and with bounds checks, and native programs
	NUMBA_DISABLE_JIT=1 $(PY) -m tests.on_kernels > $(VENV)/on_kernels
	NUMBA_DISABLE_JIT=1 $(ALONE) $(PY) -m gradtape gradcheck $$(cat $(VENV)/on_kernels) --thin 3
	NUMBA_BOUNDSCHECK=1 $(ALONE) $(PY) -m gradtape gradcheck $$(cat $(VENV)/on_kernels) --thin 3
	GRADTAPE_RANDOM_MODELS=200 GRADTAPE_RANDOM_GRAPHS=320 GRADTAPE_THOROUGH=1 $(ALONE) $(PY) -m pytest --numprocesses auto \
		--dist worksteal tests/test_program_random.py tests/test_random_graphs.py tests/test_simd.py tests/test_native_*.py tests/test_zoo.py

kills: $(VENV)/.plot  ## Kill trainings at 500 random moments and see whether they end with the same bits
	$(ALONE) $(PY) tests/kills.py $(KILLS_ARGS)

# Damaged and hostile files of every format. A fault is found again by what it prints: --seed, --format, --only.
FILES ?= 20000
SEED  ?= 0
fuzz: $(VENV)/.test  ## Read FILES mutants of each file format, which must do no harm (20,000; SEED=0)
	$(ALONE) $(PY) -m tests.fuzz --files $(FILES) --seed $(SEED)

gradients: $(VENV)/.test  ## Check every op's gradient, and write the table to docs/gradients.md
	$(ALONE) $(PY) -m gradtape gradcheck --report docs/gradients.md

# PyTorch and Keras in an environment of their own: nothing else needs them. The wheel that PyPI has for Linux brings
# gigabytes of CUDA along; `make parity PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu` does not.
PEERS  := torch==2.13.0 keras==3.15.1
PARITY := $(VENV)-parity

parity: $(PARITY)/.stamp  ## Compare every op with PyTorch, and the vocabulary with Keras
	$(ALONE) $(PARITY)/bin/python -m pytest tests/parity --numprocesses auto $(PYTEST_ARGS)

keras-parity: $(PARITY)/.stamp  ## The same, and write docs/keras-parity.md
	$(ALONE) $(PARITY)/bin/python -m pytest tests/parity --keras-page docs/keras-parity.md $(PYTEST_ARGS)

$(PARITY)/.stamp: setup.cfg pyproject.toml Makefile
	test -x $(PARITY)/bin/python || $(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/python -m pip $(QUIET) install --editable '.[test]' $(PEERS)
	touch $@

# The peers whose speed is compared, in an environment of their own.
RIVALS := $(VENV)-peers

benchmarks: $(RIVALS)/.stamp  ## Measure against PyTorch, TensorFlow, JAX and Keras; renews docs/performance.md
	$(RIVALS)/bin/python -m benchmarks.all --quick

$(RIVALS)/.stamp: setup.cfg pyproject.toml Makefile
	test -x $(RIVALS)/bin/python || $(PYTHON) -m venv $(RIVALS)
	$(RIVALS)/bin/python -m pip $(QUIET) install --editable '.[plot]' $(PEERS) tensorflow-cpu 'jax[cpu]'
	touch $@

tutorials: $(VENV)/.plot $(VENV)/.test  ## Run the tutorials from top to bottom
	for lesson in tutorials/*.py; do echo "$$lesson"; MPLBACKEND=Agg $(PY) $$lesson || exit 1; done
	GRADTAPE_THOROUGH=1 $(PY) -m pytest tests/test_tutorials.py

wheel: $(VENV)/.test  ## Build the sdist and the wheel into dist/
	rm -rf build dist
	$(PY) -m build

# The wheel in an environment of its own, as a user gets it: what `types` and `wheel-check` look at.
INSTALLED := $(VENV)-wheel

$(INSTALLED)/.stamp: wheel
	test -x $(INSTALLED)/bin/python || $(PYTHON) -m venv $(INSTALLED)
	$(INSTALLED)/bin/python -m pip $(QUIET) install dist/*.whl 'mypy>=1.11' 'matplotlib>=3.9'
	$(INSTALLED)/bin/python -m pip $(QUIET) install --force-reinstall --no-deps dist/*.whl
	touch $@

types: $(INSTALLED)/.stamp  ## Check the types of the installed wheel
	$(INSTALLED)/bin/python -m mypy --config-file pyproject.toml -p gradtape

wheel-check: $(INSTALLED)/.stamp  ## Train for an epoch with the installed wheel, away from the sources
	rm -rf $(INSTALLED)/run
	cd $(INSTALLED) && bin/gradtape train lenet5 --data mnist_sample --epochs 1 --limit 256 --out run

clean:  ## Remove environments, builds and caches
	rm -rf $(VENV) $(INSTALLED) $(OLDEST) $(PARITY) $(RIVALS) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(PY):
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("gradtape needs Python 3.10 or newer. Name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	$(PY) -m pip $(QUIET) install --upgrade pip

# A stamp for each set of extras, renewed when the requirements change.
$(VENV)/.%: setup.cfg pyproject.toml | $(PY)
	$(PY) -m pip $(QUIET) install --editable '.[$*]'
	touch $@
