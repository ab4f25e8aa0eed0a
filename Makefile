# Everything a newcomer needs is `make demo` and `make test`. Each target installs what it needs into .venv.
PYTHON ?= python3
PORT ?=
VIDEO ?=
MODEL ?=
CONTAINERS ?=
IMAGE ?=
QUEUE ?=
DRY_RUN ?=
ROLLBACK ?=
REVISION ?=
BASE ?=
SOURCE ?=
SIZE ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadgroup --max-worker-restart 0
PINS := constraints.txt pyproject.toml
# A checkpoint is exported with torch, which the demo's own model does not need.
HOW := $(if $(CONTAINERS),--containers $(if $(BASE),--base "$(BASE)"))
FOR_MODEL := $(if $(filter %.pt,$(wildcard $(MODEL))),.venv/.torch,.venv/.local)

.DEFAULT_GOAL := help
.PHONY: help demo up down test test-images test-terraform lint openapi demo-model image image-backend release bench bench-images bench-first-run bench-analyser bench-analyser-gpu terraform-docs terraform-inputs costs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(FOR_MODEL) ## Analyse a generated video, or VIDEO=clip.mp4 with MODEL=name-or-path, and show what is in it
	@$(BIN)/python -m demo $(if $(VIDEO),--video "$(VIDEO)") $(if $(MODEL),--model "$(MODEL)") $(if $(PORT),--port $(PORT)) $(HOW)

up: $(FOR_MODEL) ## Serve everything on http://localhost:8000 (PORT=) until Ctrl-C; MODEL=path adds weights of yours
	@$(BIN)/python -m local up $(if $(MODEL),--model "$(MODEL)") $(if $(PORT),--port $(PORT)) $(HOW)

down: ## Stop a stack that serves in another terminal
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local down; else echo "no stack is running"; fi

test: .venv/.test ## Run the tests of all code, which need neither container engine, terraform nor GPU
	@$(PYTEST) --ignore tests/images --ignore tests/terraform

test-images: .venv/.test ## Build both images, bake a machine, and run jobs in containers on it; takes podman, runc, mmdebstrap, packer
	@$(PYTEST) tests/images

test-terraform: .venv/.test .venv/.checkov ## Run the tests of terraform/; takes terraform, and TF_PLUGIN_DIR where its provider lies at hand
	@$(PYTEST) tests/terraform

lint: .venv/.test ## Check style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

openapi: .venv/.local ## Write docs/openapi.yaml, the description of the API, from the code
	@$(BIN)/python -m tools.openapi

demo-model: .venv/.torch ## Train, export and measure the demo model again (minutes)
	@$(PIP) --group train
	@$(BIN)/python -m demo.train_model

.PHONY: lock-model
lock-model: .venv/.torch ## Put the checkpoint MODEL= with its exports into the model lock, its files into SOURCE=s3://...; SIZE=384x640
	@$(PIP) --group train
	@$(BIN)/python -m tools.lock_model "$(MODEL)" --source "$(SOURCE)" $(if $(SIZE),--size "$(SIZE)")

image: .venv/.python ## Build the image of the analysis job with docker or podman; BASE= for a mirror of its base
	@$(BIN)/python tools/images.py job $(if $(BASE),--base "$(BASE)")

image-backend: .venv/.python ## Build the image of the backend (API, worker, migrations) in the same way
	@$(BIN)/python tools/images.py backend $(if $(BASE),--base "$(BASE)")

.PHONY: lambda-zip
lambda-zip: ## Build the Lambda's deployment package, the same bytes from the same sources
	@$(PYTHON) tools/lambda_zip.py

.PHONY: image-bases
image-bases: .venv/.python ## Pin the bases of both images to what their tags mean now, a line of each Dockerfile to review
	@$(BIN)/python tools/bases.py

release: .venv/.local ## Check IMAGE=repository@digest on a machine of QUEUE= and let jobs start from it; DRY_RUN=1, ROLLBACK=1 REVISION=
	@$(BIN)/python tools/release.py $(if $(ROLLBACK),--rollback $(if $(REVISION),--revision "$(REVISION)"),--image "$(IMAGE)") $(if $(QUEUE),--queue "$(QUEUE)") $(if $(DRY_RUN),--dry-run)

bench: bench-first-run bench-images bench-analyser bench-api bench-lambda ## Measure everything against the bars of the design

bench-first-run: ## Measure clone -> result in an empty folder with an empty HOME
	@$(PYTHON) bench/first_run.py

bench-images: .venv/.local ## Measure layers, what a change moves, and starts of the job's image (docker or podman; BASE=)
	@$(BIN)/python -m bench.images $(if $(BASE),--base "$(BASE)")

.PHONY: bench-api bench-lambda bench-quotes
bench-api: .venv/.test ## Measure the API of a whole local stack: requests, polls beside a bare view, and live streams
	@$(BIN)/python -m bench.api

bench-quotes: .venv/.test ## Hold quotes against receipts of analyses in a whole local stack
	@$(BIN)/python -m bench.quotes

bench-lambda: .venv/.test ## Measure the Lambda: cold import, package, what ten records cost beyond their calls
	@$(BIN)/python -m bench.submitter

bench-analyser: .venv/.test ## Measure speed, storing, memory and kills of the analyser (needs FRAMEBATCH_VIDEOS, FRAMEBATCH_MODELS)
	@$(BIN)/python -m bench.analyser

bench-analyser-gpu: .venv/.torch ## Measure the analyser on a GPU (needs one, and the same two folders)
	@$(BIN)/python -m bench.analyser_gpu

terraform-docs: ## Write the README of each Terraform module from its variables and outputs
	@$(PYTHON) tools/terraform_docs.py

terraform-inputs: ## Write terraform/contract.json, what Terraform declares of the contract
	@$(PYTHON) tools/terraform_inputs.py

costs: ## Work out what a month costs, into docs/costs.md (`python -m costs --help` for your own numbers)
	@$(PYTHON) -m costs --page docs/costs.md

lock: .venv/.python ## Pin the newest versions that pyproject.toml allows, for developers and for what is shipped
	@$(BIN)/python tools/lock.py

clean: ## Stop a running stack, then remove the environment and all local state
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local down || true; fi
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	@rm -rf .venv .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache bench/out client/build

.venv/.python: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Framebatch needs Python 3.11 or newer")'
	@echo "· setting up .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install "$$(grep '^pip==' constraints.txt)"
	@$(PIP) --group tools
	@touch $@

.venv/.local: .venv/.python
	@echo "· installing the local stack (no torch)"
	@$(PIP) --group local
	@touch $@

.venv/.torch: .venv/.local
	@echo "· installing torch"
	@$(PIP) --group export
	@touch $@

.venv/.test: .venv/.torch
	@echo "· installing what the tests need"
	@$(PIP) --group test
	@touch $@

# Apart, since it pins what we use as well.
.venv/.checkov: .venv/.python
	@echo "· installing checkov"
	@$(PYTHON) -m venv .venv/checkov
	@.venv/checkov/bin/python -m pip --disable-pip-version-check --quiet install checkov==3.3.30
	@touch $@
