# make demo    segment the sample image into demo/
# make test    every check, the documentation and the whole suite
# make napari  open napari with the Segment widget
# make docs    build the documentation into site/
# make lint    the checks alone
# make format  format the code, and mend what ruff can mend
# make build   build wheel and sdist into dist/, check them, and run the wheel in an environment of its own
# make clean   remove the environment, the caches and what the others made
#
# PYTHON names the Python (3.11 or newer) that makes the environment, VENV its folder.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test napari docs lint format build clean

demo: $(VENV)/.package
	$(BIN)/blunet demo --out demo

test: lint docs
	scripts/system-libraries
	scripts/run-tests $(BIN)/python

napari: $(VENV)/.development
	$(BIN)/napari --with napari-blunet "Segment cells"

docs: $(VENV)/.development
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry src
	$(BIN)/npe2 validate --imports napari-blunet
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(VENV)/.development
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	scripts/try-wheel dist/*.whl

clean:
	rm -rf $(VENV) demo build dist site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .coverage
	find src tests -name __pycache__ -type d -exec rm -rf {} +

# pip is there only once the environment is whole; --clear starts afresh over a broken one.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %d.%d: name one, for instance make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)

# The installs are editable: a change of the sources needs none, a change of pyproject.toml does.
$(VENV)/.package: pyproject.toml | $(BIN)/pip
	@echo "Installing the package and its dependencies into $(VENV): some minutes the first time."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.development: pyproject.toml | $(BIN)/pip
	@echo "Installing the package and the tools for development into $(VENV): some minutes the first time."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.package $@
