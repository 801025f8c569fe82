# The two commands of a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_OUTPUT ?= demo-output

.PHONY: help demo test test-packages lint clean

help:
	@echo "make demo   explain the demo scene with the built-in detector"
	@echo "make test   lint, types, rooms and tests"
	@echo "make test-packages   install what the tests want beside Python (Debian, root)"
	@echo "make clean  remove the environment and what was made"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/streamcam demo --output $(DEMO_OUTPUT)

# OpenMP's threads would otherwise spin while they wait, which slows everything beside them down.
test: export OMP_WAIT_POLICY := PASSIVE
test: lint
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

test-packages:
	.ci/packages

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) .mypy_cache .ruff_cache .pytest_cache .coverage
