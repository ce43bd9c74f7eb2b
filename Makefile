# What one does with a checkout; `make` alone lists it. What is installed and built stays in this directory, in .venv,
# node_modules of admin and tests/conformance, and octomesh_graphql/_web; the demo's data are in .octomesh. Outside of it
# are the caches of pip and npm, and of test-cluster and test-faults: see scripts/kubernetes-control-plane.

PYTHON  ?= python3
WORKERS ?= 4
ARGS    ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Stamps: newer than the lock files they were installed from.
RUNTIME := $(VENV)/installed-runtime
DEV     := $(VENV)/installed-dev
BROWSER := $(VENV)/installed-browser

# The pages: newer than every source of theirs. npm writes its stamp itself, and AXE is there after a full install.
PAGES   := octomesh_graphql/_web/index.html
NPM     := admin/node_modules/.package-lock.json
AXE     := admin/node_modules/axe-core/axe.min.js
SOURCES := $(shell find admin -name node_modules -prune -o -type f -print)

# Whether Node is here, and new enough: admin/package.json asks for the same.
NODE := command -v npm >/dev/null && node -e \
	'const [major, minor] = process.versions.node.split(".").map(Number); \
	process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run pages web node test test-browser test-conformance test-hostile test-cluster test-faults \
	screenshots measure-panel schema lint format lock clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  ARGS is handed on: make test ARGS='-k lease'.  PYTHON chooses the interpreter: make run PYTHON=python3.12"

run: $(RUNTIME) pages ## Start the demo: the server with a real MongoDB and a tenant to look at (Ctrl-C ends it)
	@exec $(BIN)/octomesh demo $(ARGS)

# For `run`: the pages if they can be had, and never a reason not to start.
pages:
	@$(MAKE) --question --no-print-directory $(PAGES) 2>/dev/null || { \
		if $(NODE); then $(MAKE) --no-print-directory $(PAGES) || \
			echo "Admin Panel and GraphiQL could not be built, for the reason above. The server starts without."; \
		elif [ -e $(PAGES) ]; then echo "Admin Panel and GraphiQL are older than their sources: building them anew" \
			"takes Node 20.19 or newer with npm. The server starts with the old ones."; \
		else echo "Admin Panel and GraphiQL are not built: that takes Node 20.19 or newer with npm, then make web." \
			"The server starts without."; fi; }

web: node ## Build the Admin Panel and the GraphiQL page (takes Node 20.19 or newer)
	@$(MAKE) --no-print-directory $(PAGES)
	@du -sh $(dir $(PAGES))

# Four workers even on two cores, because half of the time they wait for the journal of the MongoDB that each one starts.
test: $(DEV) ## Run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# The tools for types come with axe-core, so this installs before it builds; the server is this checkout's own.
# Two workers: each one has a Chromium and a MongoDB of its own.
test-browser: node $(BROWSER) $(AXE) ## Run the tests in a real browser: Debian's Chromium, or OCTOMESH_CHROMIUM
	@$(MAKE) --no-print-directory web
	@$(BIN)/python -m pytest -n 2 tests/browser $(ARGS)

test-conformance: node $(DEV) tests/conformance/node_modules/.package-lock.json ## Run other people's audits of GraphQL servers (takes Node)
	@$(BIN)/python -m pytest tests/conformance $(ARGS)

test-hostile: $(DEV) ## Send everything one should not, and watch the server stay well
	@$(BIN)/python -m pytest -n 2 tests/hostile $(ARGS)

# At most two workers: each one starts a Kubernetes of its own, 450 MB. test_faults_*.py is for `make test-faults`.
test-cluster: $(DEV) ## Run the tests against a real Kubernetes API server, which is built once if there is none
	@assets=$$(scripts/kubernetes-control-plane) && KUBEBUILDER_ASSETS="$$assets" \
		$(BIN)/python -m pytest -n 2 tests/cluster --ignore-glob='*/cluster/test_faults_*.py' $(ARGS)

# Two workers: most of the time is waiting until what was broken is noticed. A run tells the seed that repeats it.
test-faults: $(DEV) ## Break database, servers and cluster (FAULT_SEED=N repeats a run, ARGS='--some 10' takes 10 of them)
	@assets=$$(scripts/kubernetes-control-plane) && KUBEBUILDER_ASSETS="$$assets" \
		$(BIN)/python -m pytest -n 2 tests/faults tests/cluster/test_faults_*.py $(ARGS)

screenshots: node $(BROWSER) ## Take the pictures of the Admin Panel in README.md anew, with a browser as in test-browser
	@$(MAKE) --no-print-directory web
	@$(BIN)/python scripts/screenshots

measure-panel: node $(BROWSER) ## Measure the Admin Panel with 500 pools and 5,000 adapters, with a browser as in test-browser
	@$(MAKE) --no-print-directory web
	@$(BIN)/python scripts/measure-panel

schema: $(RUNTIME) ## Write schema.graphql anew from the code, and the TypeScript types from that
	@$(BIN)/python -m octomesh_graphql.api.printing
	@if $(NODE); then cd admin && { [ -x node_modules/.bin/graphql-codegen ] || npm ci --loglevel=error; } \
		&& npm run --silent generate; \
	else echo "admin/src/gql is as it was: writing it anew takes Node 20.19 or newer with npm"; fi

lint: $(DEV) ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -x admin/node_modules/.bin/tsc ]; then cd admin && npm run check; \
	else echo "TypeScript is not checked: that takes (cd admin && npm ci)"; fi

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
	@$(call FROM_PYPROJECT,["project"]["optional-dependencies"]["browser"]) \
		| $(LOCK) - -c requirements-dev.lock -o requirements-browser.lock
	@$(call FROM_PYPROJECT,["project"]["optional-dependencies"]["embedded"]) \
		| $(LOCK) - -c requirements-dev.lock -o requirements-embedded.lock
	@{ $(call FROM_PYPROJECT,["build-system"]["requires"]); echo 'editables~=0.3'; } \
		| $(LOCK) - -c requirements-dev.lock -o requirements-build.lock
	@grep -c '==' requirements*.lock

clean: ## Remove .venv, caches and build output (the demo's data in .octomesh stays)
	rm -rf $(VENV) build dist octomesh_graphql/_web admin/node_modules
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

$(BROWSER): $(DEV) requirements-browser.lock
	@echo "Installing what drives a browser into $(VENV)"
	@$(PIP) --require-hashes -r requirements-browser.lock
	@touch $@

node:
	@$(NODE) || { echo "The pages take Node 20.19 or newer with npm; here is $$(node --version 2>&1)"; exit 1; }

# Without the tools for types, unless they are there: building needs none of them, and they are two thirds of the
# packages.
$(NPM): admin/package.json admin/package-lock.json admin/.npmrc
	@echo "Installing the locked packages into admin/node_modules; the first time takes about half a minute"
	@cd admin && npm ci $(if $(wildcard $(AXE)),,--omit=dev) --loglevel=error
	@touch $@

$(AXE): admin/package.json admin/package-lock.json admin/.npmrc
	@echo "Installing all locked packages into admin/node_modules; the first time takes half a minute"
	@cd admin && npm ci --loglevel=error
	@touch $(NPM) $@

$(PAGES): $(NPM) $(SOURCES)
	@echo "Building Admin Panel and GraphiQL"
	@cd admin && npm run --silent build -- --logLevel warn

tests/conformance/node_modules/.package-lock.json: tests/conformance/package.json tests/conformance/package-lock.json
	@cd tests/conformance && npm ci --loglevel=error
	@touch $@
