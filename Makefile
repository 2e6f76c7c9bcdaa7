# Everything starts here. `make` alone prints what there is; each target does its own set-up.
SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready
FLAGS ?=
# Hundreds of processes start from this tree: without bytecode each would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults fuzz audit-deps nightly up down clean

help:  ## Print this
	@echo "Millrace: make <target> [FLAGS=\"…\"]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## Push 29,961 real payments through all of it, prove the books. FLAGS="--exit --crash"
	@$(BIN)/millrace demo $(FLAGS)

# Three processes on two cores, each with a broker and Postgres of its own: the tests wait as long as they compute.
# What `check` runs (tests/tidy) is not run twice.
test: $(READY)  ## Run the tests on a real Kafka and Postgres. FLAGS="tests/folder -k words -n 0"
	@$(BIN)/python -m pytest -n 3 --no-loadscope-reorder -m "not night" --ignore=tests/tidy $(FLAGS)

check: $(READY)  ## Format, lint, types, import rule, house style; needs no servers
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run $(BIN)/ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@report=$$($(BIN)/lint-imports --no-cache) || { echo "$$report"; exit 1; }
	@$(BIN)/bandit -q -ll -c pyproject.toml -r payments schemas runtime ingest_api streams connectors sinks reconciliation screening console millrace benchmarks
	@$(BIN)/python -m schemas check
	@$(BIN)/python -m schemas.access_page --check
	@$(BIN)/python -m schemas.asyncapi --check
	@$(BIN)/python -m schemas.ledger_page --check
	@$(BIN)/python -m millrace.risk_page --check
	@$(BIN)/python -m ingest_api.http.documents --check
	@$(BIN)/python -m pytest tests/tidy

bench: $(READY)  ## Measure payments/s, latency, CPU per payment. FLAGS="--json out.json"
	@$(BIN)/python -m benchmarks $(FLAGS)

faults: $(READY)  ## Break things under load, verify the books. FLAGS="--list", "--scenario NAME --seed 1"
	@$(BIN)/python -m tests.faults $(FLAGS)

fuzz: $(READY)  ## Send what the OpenAPI document allows and forbids; no 500, nothing undeclared. FLAGS="--cases 20000 --json out.json"
	@$(BIN)/python -m tests.fuzz $(FLAGS)

audit-deps: $(READY)  ## Compare every installed package with the known vulnerabilities; needs the internet
	@$(BIN)/pip-audit --strict --progress-spinner off --skip-editable $(FLAGS)

nightly: $(READY)  ## The long tests; every fault × 10 seeds, every guard out once → docs/reliability.md. FLAGS="--seeds 2"
	@$(BIN)/python -m pytest -m night
	@$(BIN)/python -m tests.faults.nightly $(FLAGS)

up: $(READY)  ## Start Kafka, Postgres and the pipeline. FLAGS="--brokers 3"
	@$(BIN)/millrace up $(FLAGS)

down: $(READY)  ## Stop them; nothing is lost. FLAGS="--wipe" deletes all records
	@$(BIN)/millrace down $(FLAGS)

clean:  ## Stop everything; delete records, tools' caches and the virtual environment
	@if [ -x $(BIN)/millrace ]; then $(BIN)/millrace down --wipe; fi
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml scripts/setup
	@sh scripts/setup
	@touch $(READY)
