# Everything that can be done here: `make help`. Each command works on a fresh clone with Python 3.11 and make.

PYTHON ?= python3.11
STAGE ?= dev
PY := .venv/bin/python
export UV := $(CURDIR)/.tools/bin/uv
export UV_PYTHON_DOWNLOADS := never
export PYTHONDONTWRITEBYTECODE := 1
# But tests keep it: they start many processes, and each would compile what it imports.
test check: export PYTHONDONTWRITEBYTECODE :=
NPM ?= $(shell command -v npm || echo $(CURDIR)/.tools/bin/npm)

.DEFAULT_GOAL := help
.PHONY: help run test check bench rehearse browse package deploy destroy rotate-keys dynoxide format clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Tools come as wheels whose hashes stand in infra/tools: what an index serves instead is refused.
INSTALL_TOOL := .tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --requirement

$(UV): infra/tools/uv.txt
	$(PYTHON) -m venv .tools
	$(INSTALL_TOOL) infra/tools/uv.txt
	@touch $@

.venv/.synced: $(UV) pyproject.toml uv.lock
	$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

# The engine comes as an npm package; where there is no npm, a Node.js from PyPI brings it.
infra/npm/node_modules/.synced: $(UV) infra/npm/package-lock.json
	@command -v $(NPM) >/dev/null || $(INSTALL_TOOL) infra/tools/nodejs.txt
	cd infra/npm && $(NPM) ci --silent
	@touch $@

dynoxide: infra/npm/node_modules/.synced ## Install the persistent DynamoDB engine

# An OpenID provider that the tests log in at comes from npm too.
tests/npm/node_modules/.synced: $(UV) tests/npm/package-lock.json
	@command -v $(NPM) >/dev/null || $(INSTALL_TOOL) infra/tools/nodejs.txt
	cd tests/npm && $(NPM) ci --silent
	@touch $@

# What drives a browser is large, and only `browse` needs it.
.venv/.browser: .venv/.synced
	$(UV) sync --frozen --quiet --inexact --group browser --python $(PYTHON)
	@touch $@

CHROMIUM ?= /usr/bin/chromium
export CHROMIUM

$(CHROMIUM):
	@test "$$(id -u)" = 0 || { echo "Install Chromium, or name yours: make browse CHROMIUM=/path/to/chromium"; exit 1; }
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium

# Python would answer Ctrl-C with a traceback until infra/local/__main__.py runs, which hears it then.
run: .venv/.synced $(if $(filter dynoxide,$(ENGINE)),infra/npm/node_modules/.synced) ## Serve everything at http://localhost:8000 (ENGINE=dynoxide keeps accounts; PORT=…)
	@trap '' INT; exec $(PY) -m infra.local

test: .venv/.synced infra/npm/node_modules/.synced tests/npm/node_modules/.synced ## Run the suite but for its exhaustive runs (COVER=yes keeps coverage for check)
	$(PY) -m pytest -m "not slow" $(if $(filter yes,$(COVER)),--cov --cov-report= --cov-fail-under=0)

check: .venv/.synced infra/npm/node_modules/.synced tests/npm/node_modules/.synced ## All that a merge needs: style, types, layers, secrets, all tests with coverage (TESTED=yes: but those of test COVER=yes)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	cd examples/guarded-orders && MYPYPATH=.:../../clients/keyturn-guard ../../.venv/bin/mypy --config-file ../../pyproject.toml app.py deploy.py chalicelib
	.venv/bin/lint-imports
	git ls-files -z ':!tests' ':!*.lock' | xargs -0 .venv/bin/detect-secrets-hook --exclude-lines 'correct horse battery'
	git ls-files -z tests | xargs -0 .venv/bin/detect-secrets-hook --disable-plugin KeywordDetector
	$(PY) -m pytest $(if $(filter yes,$(TESTED)),-m slow --cov-append) --cov --cov-report=term-missing:skip-covered

rehearse: .venv/.synced infra/npm/node_modules/.synced ## Deploy into an AWS that moto plays, and drive what was deployed
	$(PY) -m pytest tests/rehearsal -p no:randomly -n 0 --timeout 600

browse: .venv/.browser tests/npm/node_modules/.synced $(CHROMIUM) ## Log in with Chromium at a running Keyturn; keeps screenshots
	$(PY) -m pytest tests/browser -p no:randomly -n 0 -s

bench: .venv/.synced infra/npm/node_modules/.synced ## Measure round trips, units, CPU and cold starts
	$(PY) -m tests.bench

package: .venv/.synced ## Build the zip that deploy uploads
	$(PY) -m infra.package

deploy: .venv/.synced ## Deploy (STAGE=dev|prod): table, keys, functions, API
	$(PY) -m infra.deploy --stage $(STAGE)

destroy: .venv/.synced ## Take a stage down; the table stays unless TABLE=delete
	$(PY) -m infra.destroy --stage $(STAGE) $(if $(filter delete,$(TABLE)),--with-table)

rotate-keys: .venv/.synced ## Publish new keys for a stage, used in ten minutes (LEAKED=yes drops the old ones at once)
	$(PY) -m infra.rotate --stage $(STAGE) $(if $(filter yes,$(LEAKED)),--leaked)

format: .venv/.synced ## Format the code
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

clean: ## Remove environments, caches and builds
	rm -rf .venv .tools build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage infra/npm/node_modules tests/npm/node_modules
