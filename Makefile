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

.PHONY: help run lab test lint setup setup-test fetch lock clean
.DELETE_ON_ERROR:

help:
	@echo "make run    run every notebook, several at a time; results appear in runs/"
	@echo "make lab    open JupyterLab"
	@echo "make test   lint, types, unit tests, and every notebook and solution"
	@echo "make lint   lint and types only"
	@echo "make lock   pin the versions of pyproject.toml again (needs uv)"
	@echo "make clean  remove the environment, all caches with the weights, and the runs"
	@echo
	@echo "Each sets up what it needs first: the environment in $(VENV), weights in $(CACHE)."

run: fetch
	@$(BIN)/course run

lab: fetch
	@$(BIN)/jupyter lab notebooks

test: fetch lint
	$(BIN)/pytest -n 2 --nbval-lax --nbval-current-env --nbval-cell-timeout=600 \
	    --nbval-sanitize-with=tests/sanitize.cfg tests notebooks

lint: setup-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

setup: $(VENV)/.installed
setup-test: $(VENV)/.installed-test
fetch: $(CACHE)/.fetched

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo \
	    "The course needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is not one of them;" \
	    "name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Setting up $(VENV): some minutes and 8 GB the first time (README: 3 GB on Linux)."
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --progress-bar off --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.lock
	@$(BIN)/python -m pip install -q --progress-bar off --requirement requirements-test.lock
	@touch $@

$(CACHE)/.fetched: helpers/weights.py | $(VENV)/.installed
	@$(BIN)/course fetch
	@touch $@

# PyTorch pins its GPU libraries itself, and only the build that needs them should bring them: a
# CPU build that is already in the environment stays as it is.
LOCK = $(UV) pip compile --universal --python-version 3.11 --no-annotate --quiet \
    --custom-compile-command "make lock" --no-emit-package triton \
    $(addprefix --no-emit-package cuda-,bindings pathfinder toolkit) \
    $(addprefix --no-emit-package nvidia-,cublas cuda-cccl cuda-cupti cuda-nvrtc cuda-runtime \
    cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink \
    nvshmem-cu13 nvtx)
UV ?= uv

lock:
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --extra test --constraint requirements.lock -o requirements-test.lock

clean:
	rm -rf $(VENV) data/cache runs .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +
