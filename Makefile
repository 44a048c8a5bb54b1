# `make help` lists what there is. Any Python from 3.11 on will do: make PYTHON=python3.12 run
PYTHON ?= python3
DATA   ?= demo
PORT   ?= 8080
ARGS   ?=

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
AWS_STAMP := $(VENV)/.installed-aws
CODE  := syncline services deploy tests $(wildcard bench)
# What pytest ends with when ARGS choose no test.
NONE_CHOSEN := 5
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

.PHONY: help
help:  ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  DATA=$(DATA) PORT=$(PORT)    where run and stack keep their data and listen"
	@echo "  ARGS=\"-k permit -x\"  handed to pytest by the test targets"
	@echo "  PYTHON=$(PYTHON)      the Python (3.11 or newer) that .venv is made with"

# --- running -----------------------------------------------------------------

.PHONY: run
run: $(STAMP)  ## Start everything and keep two demo folders in sync; Ctrl-C stops it
	@$(BIN)/python -m deploy.local run --data "$(DATA)" --port "$(PORT)"

.PHONY: stack
stack: $(STAMP)  ## Start everything without the demo
	@$(BIN)/python -m deploy.local stack --data "$(DATA)" --port "$(PORT)"

# --- testing -----------------------------------------------------------------

.PHONY: test
test: $(STAMP)  ## Run all tests: unit, conformance, simulation, end to end
	@$(BIN)/python -m pytest tests/unit -n auto $(ARGS) || [ $$? = $(NONE_CHOSEN) ]
	@$(BIN)/python -m pytest tests/conformance tests/simulation tests/e2e $(ARGS) || [ $$? = $(NONE_CHOSEN) ]

.PHONY: test-unit
test-unit: $(STAMP)  ## Run the unit tests (no processes)
	@$(BIN)/python -m pytest tests/unit $(ARGS)

.PHONY: test-conformance
test-conformance: $(STAMP)  ## Run every port's suite, in memory and on the local AWS
	@$(BIN)/python -m pytest tests/conformance $(ARGS)

.PHONY: test-e2e
test-e2e: $(STAMP)  ## Run the end-to-end tests (real processes)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

.PHONY: test-containers
test-containers: $(STAMP)  ## Run the tests of the image and of compose (needs a Docker engine)
	@$(BIN)/python -m pytest tests/containers $(ARGS)

.PHONY: deploy-check
deploy-check: $(AWS_STAMP)  ## Synthesise the infrastructure on AWS, lint it, and deploy what can be into the local AWS
	@$(BIN)/python -m pytest tests/deploy $(ARGS)

# --- measuring ---------------------------------------------------------------

.PHONY: bench
bench: $(STAMP)  ## Measure what things cost, side by side (minutes; ARGS to each benchmark)
	@for name in $(basename $(notdir $(wildcard bench/bench_*.py))); do \
	  echo "$$name"; $(BIN)/python -m "bench.$$name" $(ARGS) || exit 1; \
	done

.PHONY: bench-client
bench-client: $(STAMP)  ## Measure whole clients beside rclone and unison (half an hour; ARGS to each benchmark)
	@for name in bench_noop bench_one_edit bench_folder_rename bench_client_memory; do \
	  echo "$$name"; $(BIN)/python -m "bench.$$name" $(ARGS) || exit 1; \
	done

# --- checking ----------------------------------------------------------------

.PHONY: check
check: $(STAMP)  ## Check formatting, lint, types, import contracts and the OpenAPI document
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m services.gateway.openapi --check docs/openapi.json

.PHONY: format
format: $(STAMP)  ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

.PHONY: openapi
openapi: $(STAMP)  ## Write docs/openapi.json from the code's own types
	$(BIN)/python -m services.gateway.openapi --write docs/openapi.json

# --- the environment ---------------------------------------------------------

.PHONY: venv
venv: $(STAMP)  ## Make .venv and install what requirements.txt pins

# The project itself goes in last and without dependencies: everything else is held to its hash.
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c '' 2>/dev/null || { \
	  echo "There is no $(PYTHON) that runs. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Syncline needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1 | cut -d" " -f2). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV) (about a minute the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

# What deploy/aws needs is large (the CDK and the Node.js it runs on), so only deploy-check installs it.
$(AWS_STAMP): $(STAMP) deploy/aws/requirements.txt
	@echo "Installing what the infrastructure on AWS is made with (about a minute the first time)"
	@$(PIP) install --require-hashes -r deploy/aws/requirements.txt
	@touch $@

.PHONY: lock
lock: $(STAMP)  ## Pin requirements.txt from pyproject.toml again (ARGS=--upgrade for the newest)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.txt $(ARGS)
	$(BIN)/uv pip compile --group aws --constraints requirements.txt --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --output-file deploy/aws/requirements.txt $(ARGS)
	$(BIN)/uv pip compile pyproject.toml --extra server --constraints requirements.txt --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file deploy/requirements.txt $(ARGS)
	$(BIN)/uv pip compile pyproject.toml --extra local --constraints requirements.txt --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file deploy/local/requirements.txt $(ARGS)
	@! grep -n '://' requirements.txt deploy/requirements.txt deploy/local/requirements.txt deploy/aws/requirements.txt || { echo "Requirements must not name addresses" >&2; exit 1; }

.PHONY: clean
clean:  ## Remove what tools leave behind; .venv and data stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
