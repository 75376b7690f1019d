# Everything here runs in .venv, which tools/bootstrap.py makes from requirements.lock.

# Some Python to start with. pyenv's python3 fails in this folder where pyenv has no 3.13, so each
# candidate must really run.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 \
	/usr/bin/python3 /usr/local/bin/python3 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin

.PHONY: help venv quickstart test test-long check format bench lock clean

help: ## show this list
	@echo "AITB Nautilus"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-18s %s\n' "$$name" "$$text"; done

venv: ## make .venv, or bring it up to date
	@python="$(PYTHON)"; test -n "$$python" || { \
		echo "make: needs some Python of 3.11 or newer to start; PYTHON=/path/to/python3 names one" >&2; exit 1; }; \
	"$$python" tools/bootstrap.py

quickstart: venv ## simulate a market, train a model, back-test it, point to the report
	@$(BIN)/aitb quickstart
	@echo "For aitb in this shell: source $(BIN)/activate"

# Two more than cores: tests of nodes wait half of the time; more still only crowd one another. What
# is compiled of the tests is kept, whatever the shell says: it takes each worker six seconds.
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 2, 6))')

test: venv ## run the tests; those that need recorded data are skipped, visibly, without it
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long"

test-long: venv ## run the tests that take minutes: every fault of an exchange on a live node, a soak
	@$(BIN)/python -m pytest -n 2 -m long

check: venv ## lint, format, strict types, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: venv ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv ## run the benchmarks, each figure beside its limit
	@$(BIN)/python benchmarks/run.py

lock: venv ## write requirements.lock anew (make lock UPGRADE=--upgrade takes newer versions)
	UV_SYSTEM_CERTS=true UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --generate-hashes \
		--no-emit-index-url --no-emit-find-links --python-version 3.13 --extra train --group dev $(UPGRADE) \
		--output-file requirements.lock pyproject.toml

clean: ## remove .venv and every cache; data and runs stay
	rm -rf .venv .venv-tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
