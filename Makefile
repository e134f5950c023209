# Everything lives in .venv/ of this checkout; nothing but Python >= 3.11 and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
JOBS ?= 3
# Otherwise each of the many processes that tests start compiles the product anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long test-sdk test-s3 check docs bench torture torture-small lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

install: $(STAMP)  ## install everything into .venv/

demo: install  ## backfill the sample mailbox and search it (KEEP=1 keeps it up)
	@$(BIN)/atom-backfill demo $(if $(KEEP),--keep)

test: install  ## run the tests, but those of the docs, which `make check` runs, and the long ones
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not long" --ignore tests/docs

test-long: install  ## run the tests that take long
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m long

test-sdk: install  ## drive the simulators with the vendors' own clients
	$(PIP) install --require-hashes -r requirements/sdk.txt
	$(BIN)/python -m pytest -m sdk

test-s3: install  ## keep a memory in a simulated S3
	test -x $(VENV)-s3/bin/python || $(PYTHON) -m venv $(VENV)-s3
	$(VENV)-s3/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/s3.txt
	ATOM_S3_PYTHON=$(VENV)-s3/bin/python $(BIN)/python -m pytest -m s3

check: install  ## linters, types, layering, docs against the code
	$(BIN)/ruff check src tests bench atom_torture
	$(BIN)/ruff format --check src tests bench atom_torture
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.ini
	$(BIN)/python -m pytest -q tests/docs

docs: install  ## write the reference pages that are generated
	$(BIN)/python -m atom_backfill.cli.reference docs/reference

bench: install  ## run the benchmarks and write bench/report/
	$(BIN)/python -m bench

torture: install  ## break the product in every way that is known: SCHEDULES=10000 BRUNS=200 FROM=0 SECONDS=3600 RULES=1000
	$(BIN)/python -m atom_torture --schedules $(or $(SCHEDULES),10000) --processes $(or $(BRUNS),200) --from $(or $(FROM),0) --jobs 2 --plants
	$(BIN)/python -m atom_torture.crowd $(or $(SECONDS),3600)
	ATOM_RULES_EXAMPLES=$(or $(RULES),1000) $(BIN)/python -m pytest tests/integration/jobs/test_engine_rules.py

torture-small: install  ## of all that, what every change has to stand: minutes
	$(BIN)/python -m atom_torture --schedules 300 --processes 5 --jobs 2

lock:  ## compile requirements/*.in into hashed lock files (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/runtime.in -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/sdk.in -o requirements/sdk.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links requirements/s3.in -o requirements/s3.txt

clean:  ## remove the environment and caches
	rm -rf $(VENV) $(VENV)-s3 .mypy_cache .ruff_cache .hypothesis bench/report atom_torture/report
