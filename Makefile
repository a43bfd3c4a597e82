# make demo    segment the sample image into demo/
# make test    every check and the whole suite
# make napari  open napari with the Segment widget
# make lint    the checks alone
# make clean   remove the environment, the caches and demo/
#
# PYTHON names the Python (3.11 or newer) that makes the environment, VENV its folder.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test napari lint clean

demo: $(VENV)/.package
	$(BIN)/blunet demo --out demo

test: lint
	scripts/system-libraries
	scripts/with-display $(BIN)/python -m pytest -m window
	$(BIN)/python -m pytest

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/npe2 validate --imports napari-blunet

napari: $(VENV)/.development
	$(BIN)/napari --with napari-blunet "Segment cells"

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -exec rm -rf {} +

# pip is there only once the environment is whole; --clear starts afresh over a broken one.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: name one, for instance make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)

# The installs are editable: a change of the sources needs none, a change of pyproject.toml does.
$(VENV)/.package: pyproject.toml | $(BIN)/pip
	@echo "Installing the package and what it needs into $(VENV): some minutes the first time."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/pip
	@echo "Installing the package and what its tests need into $(VENV): some minutes the first time."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.package $@
