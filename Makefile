# What one does with a checkout; `make` alone lists it. Everything lands in .venv, nothing outside this directory.

PYTHON  ?= python3
WORKERS ?= 4
ARGS    ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Stamps: newer than the lock files they were installed from.
RUNTIME := $(VENV)/installed-runtime
DEV     := $(VENV)/installed-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-cluster schema lint format lock clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  ARGS is handed on: make test ARGS='-k lease'.  PYTHON chooses the interpreter: make run PYTHON=python3.12"

run: $(RUNTIME) ## Start the demo: the server with a real MongoDB and a tenant to look at (Ctrl-C ends it)
	@exec $(BIN)/octomesh demo $(ARGS)

# Four workers even on two cores, because half of the time they wait for the journal of the MongoDB that each one starts.
test: $(DEV) ## Run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# At most two workers: each one starts a Kubernetes of its own, 450 MB.
test-cluster: $(DEV) ## Run the tests against a real Kubernetes API server, which is built once if there is none
	@assets=$$(scripts/kubernetes-control-plane) && KUBEBUILDER_ASSETS="$$assets" \
		$(BIN)/python -m pytest -n 2 tests/cluster $(ARGS)

schema: $(RUNTIME) ## Write schema.graphql anew from the code
	@$(BIN)/python -m octomesh_graphql.api.printing

lint: $(DEV) ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## Put the code into its usual form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Everything is resolved once, into requirements-dev.lock; the others are held to it, so what was tested is what runs.
# --no-config: somebody's private index must not get into the locks.
LOCK = $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --annotation-style line $(if $(UPGRADE),--upgrade)
FROM_PYPROJECT = $(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))$(1), sep="\n")'

# editables: what hatchling asks for besides, to install us in place.
lock: $(VENV)/pyvenv.cfg ## Write the lock files anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(PIP) 'uv>=0.13.9,<0.14'
	@$(LOCK) pyproject.toml --extra embedded --extra dev -o requirements-dev.lock
	@$(LOCK) pyproject.toml -c requirements-dev.lock -o requirements.lock
	@$(call FROM_PYPROJECT,["project"]["optional-dependencies"]["embedded"]) \
		| $(LOCK) - -c requirements-dev.lock -o requirements-embedded.lock
	@{ $(call FROM_PYPROJECT,["build-system"]["requires"]); echo 'editables~=0.3'; } \
		| $(LOCK) - -c requirements-dev.lock -o requirements-build.lock
	@grep -c '==' requirements*.lock

clean: ## Remove .venv, caches and build output (the demo's data in .octomesh stays)
	rm -rf $(VENV) build dist octomesh_graphql/_web
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find octomesh_graphql tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or newer is needed. Name one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)

# Our own package is built with the hatchling of requirements-build.lock: an isolated build would fetch one unchecked.
$(RUNTIME): $(VENV)/pyvenv.cfg pyproject.toml requirements.lock requirements-embedded.lock requirements-build.lock
	@echo "Installing the locked packages into $(VENV); the first time takes about half a minute"
	@$(PIP) --require-hashes -r requirements.lock -r requirements-embedded.lock -r requirements-build.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@echo "Installing the tools for tests and lint into $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
