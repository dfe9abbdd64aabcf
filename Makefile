# Every verb makes what it needs first; a second call finds it made. `make help` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
MILLRACE_PORT ?= 4566
export MILLRACE_PORT

# The shell has a USER of its own: only one given to make counts.
SUBJECT := $(if $(filter command line,$(origin USER)),$(USER),demo)

BIN := .venv/bin
RUN := $(BIN)/python -m infra.local
# It imports for seconds where it may not keep what it compiled.
SAM_ENV := env -u PYTHONDONTWRITEBYTECODE PATH="$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0
# Only what delivers goes by the region of a profile; the other verbs want any.
SAM_DEPLOY := $(SAM_ENV) .venv-sam/bin/sam deploy
SAM := $(SAM_ENV) AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-us-east-1} .venv-sam/bin/sam
TEMPLATES := template.yaml $(wildcard infra/*.yaml)
SOURCES := $(shell find functions infra -type f -not -name '*.pyc' -not -path 'infra/local/*') template.yaml samconfig.toml

.PHONY: help up down url token test lint format types build sample deploy deploy-local bench costs openapi conformance outage simulate demo slow lock e2e clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

# ---- Run it here ------------------------------------------------------------------------------

up: .venv/ready ## start the emulator on MILLRACE_PORT (4566), deploy, print what to call
	@$(RUN) up

down: .venv/ready ## stop what `up` started on MILLRACE_PORT
	@$(RUN) down

url: .venv/ready ## print the API's base URL, nothing else
	@$(RUN) url

token: .venv/ready ## print a JWT, nothing else: USER=alice [TIER=premium] [SCOPES="..."] [TENANT=...]
	@$(RUN) token "$(SUBJECT)" $(if $(TIER),--tier "$(TIER)") $(if $(SCOPES),--scopes "$(SCOPES)") $(if $(TENANT),--tenant "$(TENANT)")

sample: .aws-sam/build/template.yaml .venv-lambda/ready ## run a built function: FN=ShortenerRedirect EVENT=events/shortener/redirect.unknown.json
	@$(RUN) sample "$(FN)" "$(EVENT)"

# ---- Check it ---------------------------------------------------------------------------------

test: lint types .aws-sam/build/template.yaml .venv-lambda/ready ## everything: lint, types, all tests but the slow ones
	@$(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist loadfile

lint: .venv/ready .venv-sam/ready ## style, and the three checks of every template
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(MAKE) --silent -j 4 $(TEMPLATES:%=.millrace/lint/%.ok)

format: .venv/ready ## let ruff rewrite what it can
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

types: .venv/ready ## mypy, strict
	@$(BIN)/mypy

e2e: .venv/ready .aws-sam/build/template.yaml .venv-lambda/ready ## only the tests over HTTP, on an emulator of their own
	@$(BIN)/python -m pytest -m "e2e and not slow"

bench: .venv/ready ## cold starts, warm calls, checks and questions on this machine: [EVENTS=1000000]
	@$(BIN)/python -m tests.performance

outage: .venv/ready ## what visitors notice while the store hangs, then fails: a minute and a half
	@$(BIN)/python -m tests.performance.outage

simulate: .venv/ready ## crash, duplicate, reorder and throttle under a seed: SEEDS=200 [ARGS="--mutants"]
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),200) $(ARGS)

demo: .venv/ready ## one link's life in the terminal, with the bill of each step; no server
	@$(BIN)/python -m millrace demo

slow: .venv/ready .aws-sam/build/template.yaml .venv-lambda/ready ## the tests that take minutes
	@$(BIN)/python -m pytest -m slow

openapi: .venv/ready ## write docs/openapi.json anew
	@$(BIN)/python -m pytest tests/integration/test_openapi.py -k published --write-openapi

conformance: .venv/ready ## write docs/conformance.md anew
	@$(BIN)/python -m tests.support.conformance

costs: .venv/ready ## write docs/costs.md anew
	@$(BIN)/python -m pytest tests/integration -k costs --write-costs

# None of the three finds all mistakes: `--lint` does not expand the transform, plain `validate`
# knows no resource types, and cfn-lint needs the translation to see what SAM makes of it.
.millrace/lint/%.ok: % infra/local/templates.py infra/local/sam.lock requirements.lock
	@mkdir -p $(@D)
	@$(SAM) validate --lint --template $< >$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@$(SAM) validate --region us-east-1 --template $< >$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@$(RUN) translate $< >$@.json
	@$(BIN)/cfn-lint --non-zero-exit-code warning --template $@.json
	@touch $@

# ---- Deliver it -------------------------------------------------------------------------------

build: .aws-sam/build/template.yaml ## sam build: every function and the layer, for either architecture

# Not from the cache of another template: sam keeps that apart itself.
.aws-sam/build/template.yaml: $(SOURCES) .venv/ready .venv-sam/ready
	@$(SAM) build >&2
	@touch $@

deploy: build ## sam deploy to the AWS account of your credentials: ARGS="--parameter-overrides ..."
	@$(SAM_DEPLOY) $(ARGS)

deploy-local: build ## deploy to a LocalStack-compatible endpoint that runs: ENDPOINT=http://localhost:4566 [PARAMETERS="Key=value ..."]
	@$(RUN) deploy "$(ENDPOINT)" $(PARAMETERS)

# ---- Set-up -----------------------------------------------------------------------------------

# numpy is left out: what we use of datasketches works without, and six variants of it are more
# than a layer holds.
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-package numpy \
	--custom-compile-command "make lock"
# Groups are taken from ./pyproject.toml; without naming the file, the project itself stays out.
COMPILE_GROUP := $(subst compile pyproject.toml,compile,$(COMPILE))

lock: .venv/ready ## resolve all four lock files anew from pyproject.toml
	@$(COMPILE) --group dev --output-file requirements.lock
	@$(COMPILE) --constraints requirements.lock --output-file infra/deps_layer/requirements.txt
	@$(COMPILE_GROUP) --group sam --output-file infra/local/sam.lock
	@$(COMPILE_GROUP) --group lambda-runtime --constraints requirements.lock --output-file infra/local/lambda_runtime.lock

# uv comes by pip, at the version and with the hashes that the lock file names.
.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Millrace needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not there). Choose another: make PYTHON=python3.13 ..." >&2; exit 1; }
	@echo "Setting up .venv from requirements.lock" >&2
	@$(PYTHON) -m venv --clear .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt >&2
	@VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --no-config --require-hashes requirements.lock >&2
	@touch $@

.venv-sam/ready: infra/local/sam.lock .venv/ready
	@echo "Setting up .venv-sam from $<" >&2
	@$(BIN)/python -m venv --clear --without-pip .venv-sam
	@VIRTUAL_ENV=.venv-sam $(BIN)/uv pip sync --quiet --no-config --require-hashes $< >&2
	@touch $@

.venv-lambda/ready: infra/local/lambda_runtime.lock .venv/ready
	@echo "Setting up .venv-lambda from $<" >&2
	@$(BIN)/python -m venv --clear --without-pip .venv-lambda
	@VIRTUAL_ENV=.venv-lambda $(BIN)/uv pip sync --quiet --no-config --require-hashes $< >&2
	@touch $@

requirements.lock:
	@echo "requirements.lock is missing: git restore requirements.lock" >&2; exit 1

clean: down ## stop the emulator and remove all that the other verbs made
	@rm -rf .venv .venv-sam .venv-lambda .aws-sam .millrace .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
