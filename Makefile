# Everything is made from a Python 3.11 to 3.13 and PyPI; the JavaScript examples join where Node.js and npm are there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test soak lint bench bench-compare components lock wheel clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(INSTALLED): requirements.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## Run the main job: a daemon, a workflow in Python, activities, HTTP, a clean stop
	$(BIN)/python components/build.py fibo-activity http-python demo-python
	$(BIN)/python components/demo.py

test: $(INSTALLED) components ## Install what is needed and run all tests
	@# where Python is told to keep no bytecode, each daemon that a test starts would compile all its code again
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

soak: $(INSTALLED) components ## Run the long versions of the tests that have one
	OBELISK_SOAK=1 $(BIN)/python -m pytest

components: $(INSTALLED) ## Build the example components (WebAssembly) that are out of date
	$(BIN)/python components/build.py

lint: $(INSTALLED) ## Run ruff, mypy and the check of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

BENCH ?=

bench: $(INSTALLED) components ## Measure this machine, and other systems on it; BENCH="serial submit --rounds 5" chooses
	$(BIN)/python -m tests.bench $(BENCH)

bench-compare: $(INSTALLED) ## Draw what `make bench BENCH="--json docs/bench/results.json"` measured
	$(BIN)/python -m tests.bench.plots docs/bench/results.json

wheel: $(INSTALLED) ## Build the wheel into dist/
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

lock: ## Renew requirements.lock and requirements-dev.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.lock \
		--extra otel --group dev --group guests --group servers pyproject.toml -o requirements-dev.lock

clean: ## Remove what was built, but not the environment
	rm -rf dist components/build .obelisk
