# The two commands: `make table2` runs the main job on the bundled miniature, `make test` runs the tests
# (`make test-quick` leaves out the slow ones).
# Both need Python 3.11 or newer, make and a package index; everything else is set up here.

UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --frozen --all-extras
# A process for each core, four at most: every one of them imports torch.
# Without compiled files, each of the many processes that tests start would compile this project again.
PYTEST := PYTHONDONTWRITEBYTECODE= $(RUN) pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: table2 test test-quick setup lint docs clean

table2: setup
	$(RUN) duskbench data miniature data/miniature --night-only
	$(RUN) duskbench run configs/miniature.py --out runs/miniature

test: setup
	$(PYTEST)

test-quick: setup
	$(PYTEST) -m "not slow" --durations 10 --durations-min 1

lint: setup
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports

docs: setup
	$(RUN) sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html

setup: $(filter .tools/bin/uv,$(UV))
	$(UV) sync --frozen --all-extras --quiet --compile-bytecode

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/pip install --quiet uv

clean:
	rm -rf .venv .tools data/miniature runs/miniature docs/_build
