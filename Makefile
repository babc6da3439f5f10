# `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Where this is set, as in many containers, every process compiles torch anew: seconds for each job.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo parity test test-slurm test-fast lint format type figures clean slurm-up slurm-status slurm-down

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything in it (uses uv; fetches it if it is not there)

demo: $(READY) ## the masking ablation on the embedded benchmark, from media files to the table
	$(BIN)/tgdp-sweep masking
	$(BIN)/tgdp-report tables

parity: $(READY) ## ours against the released model's figures, a table of differences
	$(BIN)/tgdp-bench parity tests/parity/figures.npz

test: $(READY) ## every test but those that need a SLURM, three files at a time
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slurm"

test-slurm: $(READY) ## those: two clusters of their own on this machine (packages: make slurm-up)
	$(BIN)/pytest -n 2 --dist loadfile -m slurm tests/slurm

test-fast: $(READY) ## the tests that take no more than a moment
	$(BIN)/pytest -m "not slow" tests/unit tests/property

lint: $(READY) ## style, types, direction of imports, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/pyright

format: $(READY) ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: $(READY) ## types alone
	$(BIN)/pyright

slurm-up: $(READY) ## a real SLURM on this machine, three nodes, for trying sweeps (docs/slurm.md)
	@$(BIN)/python -m slurm.testbed up

slurm-status: $(READY) ## which of its daemons live; nodes, partitions, queue
	@$(BIN)/python -m slurm.testbed status

slurm-down: $(READY) ## stop it, and nothing else
	@$(BIN)/python -m slurm.testbed down

clean: ## remove the environment; results stay
	rm -rf $(VENV)

# uv takes the CUDA build of torch that torchvision matches; pip's choice of a CPU file breaks it.
$(READY): pyproject.toml constraints.txt
	@if command -v uv >/dev/null; then \
	    test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV); \
	    uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	    test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	    $(BIN)/python -m pip install --quiet uv; \
	    $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@
