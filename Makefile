# The course, from nothing but Python, make and git. `make` alone shows what there is.
VENV ?= .venv
PYTHON ?= python3
CACHE = $(or $(COURSE_CACHE),data/cache)
BIN = $(VENV)/bin

# The same for every notebook and test; helpers/base/environment.py says why.
export TF_CPP_MIN_LOG_LEVEL = 3
export KERAS_BACKEND = tensorflow
export OMP_WAIT_POLICY = PASSIVE
export GOMP_SPINCOUNT = 4000
export OPENBLAS_NUM_THREADS = 1
export PYTHONHASHSEED = 0
export PYDEVD_DISABLE_FILE_VALIDATION = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help run lab test lint setup fetch clean
.DELETE_ON_ERROR:

help:
	@echo "make run    run every notebook, several at a time; results appear in runs/"
	@echo "make lab    open JupyterLab"
	@echo "make test   lint, types, unit tests, and every notebook and solution"
	@echo "make lint   lint and types only"
	@echo "make clean  remove the environment, all caches with the weights, and the runs"
	@echo
	@echo "Each sets up what it needs first: the environment in $(VENV), weights in $(CACHE)."

run: fetch
	@$(BIN)/course run

lab: fetch
	@$(BIN)/jupyter lab notebooks

test: fetch lint
	$(BIN)/pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=240 \
	    --nbval-sanitize-with=tests/sanitize.cfg tests notebooks

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

setup: $(VENV)/.installed
fetch: $(CACHE)/.fetched

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo \
	    "The course needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is not one of them;" \
	    "name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV): some minutes and 8 GB the first time."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --progress-bar off --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(CACHE)/.fetched: | $(VENV)/.installed
	@$(BIN)/course fetch
	@touch $@

clean:
	rm -rf $(VENV) data/cache runs .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +
