# `make demo` and `make test` do all their own set-up; they need only Rust and Python.
# One cargo profile (dev) and one feature set serve tests, extension and demo, and the target folder
# lies outside the clone, so a fresh clone compiles only Trilith itself.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test fmt lint bench shell clean toolchain extension \
        check-format check-features check-clippy check-python test-rust test-python test-examples

export CARGO_TARGET_DIR ?= $(HOME)/.cache/trilith/target
export VIRTUAL_ENV := $(CURDIR)/.venv
export STEPS := $(VIRTUAL_ENV)/steps.tsv
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)
unexport CONDA_PREFIX PYTHONHOME

BIN := .venv/bin
STEP := .ci/step
CRATES := -p trilith-engine -p trilith-udfs -p trilith
PYTHON_CODE := python examples benches .ci
DEMO_PATH ?= demo.tri

help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

demo: toolchain .venv/build.ready ## build, then index Python's standard library and ask it questions
	@$(STEP) --begin
	@$(STEP) "build extension" maturin develop
	@$(STEP) "demo" $(BIN)/python examples/demo.py --path $(DEMO_PATH)

test: toolchain .venv/test.ready ## every check and test, with the time of each step
	@$(STEP) --begin
	@$(STEP) "format" $(MAKE) --no-print-directory check-format
	@$(STEP) "one feature set" $(BIN)/python .ci/features.py
	@$(STEP) "clippy" $(MAKE) --no-print-directory check-clippy
	@$(STEP) "rust tests" .ci/counted cargo test --locked $(CRATES)
	@$(STEP) "build extension" maturin develop
	@$(STEP) "ruff" $(MAKE) --no-print-directory check-python
	@$(STEP) "pytest" .ci/counted $(BIN)/python -m pytest python/tests
	@$(STEP) "stubtest" $(BIN)/python -m mypy.stubtest trilith._native
	@$(STEP) "examples" $(MAKE) --no-print-directory test-examples
	@$(STEP) --table

fmt: .venv/test.ready ## format Rust and Python
	cargo fmt --all
	ruff format $(PYTHON_CODE)
	ruff check --fix $(PYTHON_CODE)

lint: toolchain .venv/test.ready check-format check-clippy check-python ## formatters and linters only
	$(BIN)/python .ci/features.py

bench: toolchain .venv/bench.ready ## release build, then the engine alone and every comparison with others
	cargo bench --locked -p trilith-engine --bench engine
	maturin develop --release
	$(BIN)/python benches/compare/all.py

shell: toolchain ## build the shell and open the demo's database in it
	cargo run --locked -p trilith --bin trilith -- $(DEMO_PATH)

clean: ## remove the virtual environment and the demo's database; compiled crates stay
	rm -rf .venv $(DEMO_PATH)
	@echo "Compiled crates are in $(CARGO_TARGET_DIR); remove that folder to start from nothing."

toolchain:
	@.ci/toolchain

.venv/bin/python:
	@python="$$(.ci/toolchain python)" && echo "==> virtual environment with $$python" && "$$python" -m venv --clear .venv

.venv/%.ready: .ci/requirements-%.txt .ci/requirements-build.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv/bench.ready: benches/requirements.txt .ci/requirements-build.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r .ci/requirements-build.txt -r $<
	@touch $@

check-format: .venv/test.ready
	@.ci/toolchain rust-tools
	cargo fmt --all --check
	ruff format --check $(PYTHON_CODE)

check-clippy:
	cargo clippy --locked $(CRATES) -p trilith-python --all-targets -- -D warnings -D clippy::too_many_lines

check-python: .venv/test.ready
	ruff check $(PYTHON_CODE)

test-examples:
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; $(BIN)/python examples/demo.py --quick --path "$$folder/demo.tri"
