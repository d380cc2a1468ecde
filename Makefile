# Every target sets up what it needs: a Python >= 3.11 and make are enough. Of several an optimized one is taken, for it
# answers more calls; PYTHON=/path/to/python3 takes another.
BIN := .venv/bin

.PHONY: help run reset test test-browser test-postgres test-slow coverage lint format bench bench-control bench-scale lock clean
.DEFAULT_GOAL := help

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.run: requirements.txt
	@test -x $(BIN)/python || { python="$(or $(PYTHON),$$(sh .ci/find-python))"; \
		test -n "$$python" || { echo "Python 3.11 or newer with venv is needed; set PYTHON=/path/to/python3"; exit 1; }; \
		echo "==> Making .venv with $$("$$python" -I quota_platform/interpreter.py)"; "$$python" -m venv .venv; }
	@echo "==> Installing $$(grep -c == requirements.txt) pinned packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	@echo "==> Installing the test and lint tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: .venv/.run ## Start the whole platform with demo data (PORT=8001, or any other setting; see docs/quickstart.md)
	@$(BIN)/python -m quota_platform.demo

reset: ## Forget the demo's data
	rm -rf var

# A run starts hundreds of Python processes, which would each compile the code anew.
test test-browser test-postgres test-slow coverage: export PYTHONDONTWRITEBYTECODE =

test: .venv/.dev ## Run the tests (embedded Valkey and SQLite; no service needed)
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not slow and not browser"

test-browser: .venv/.dev ## Run the tests in a browser (Chromium on PATH)
	$(BIN)/python -m pytest -m "not slow" tests/browser

test-postgres: .venv/.dev ## Run the tests that must hold on PostgreSQL too (an embedded one)
	$(BIN)/python -m tests.on_postgres

# Each of these only computes, in virtual time: several run at once, and none minds the others.
COMPUTED := tests/limiter/core tests/test_api_contract.py

test-slow: .venv/.dev ## Run the slow tests: chaos, load, and all of what the others sample
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "slow and not paced" $(COMPUTED)
	$(BIN)/python -m pytest -m "slow and not paced" $(COMPUTED:%=--ignore=%)
	$(BIN)/python -m pytest -n 7 --dist load -m paced
	$(BIN)/python -m pytest -n 2 --dist loadfile --hypothesis-profile whole tests/limiter/core/test_promises.py tests/limiter/core/test_giving_back.py

coverage: .venv/.dev ## Run the tests and print how much of the code they run
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/.dev ## ruff, mypy --strict, layers, words, migrations; JavaScript, templates and Lua
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python .ci/words.py
	DJANGO_SETTINGS_MODULE=tests.static_settings $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/oxlint --deny-warnings .
	$(BIN)/djlint --lint --quiet dashboard limiter quota_platform tenants
	@sh .ci/lua

format: .venv/.dev ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: .venv/.dev ## Measure beside other gateways and write docs/benchmarks.md
	$(BIN)/python -m tests.bench

bench-control: .venv/.dev ## Compare controllers on a simulated unit and write docs/control.md (half an hour; see --help)
	$(BIN)/python -m tests.bench.control

bench-scale: .venv/.dev ## Time pages, callers and tasks with 100,000 tenants, and pages over ten million events (15 GB)
	$(BIN)/python -m tests.bench.tenants_at_scale
	$(BIN)/python -m tests.bench.tenants_at_scale --database sqlite
	$(BIN)/python -m tests.bench.record_at_scale

lock: .venv/.dev ## Pin the newest releases that fit pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" --upgrade pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --custom-compile-command "make lock" --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## Remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
