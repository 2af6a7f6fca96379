# Two commands from an empty Debian 12: `make demo` and `make test`. Both set up first; a second set-up costs nothing.
.PHONY: setup demo test test-long check format bench campaign campaign-kills fuzz-wire
SECONDS = 60
# A crashed worker ends the run: where xdist replaces one, it may wait for ever (pytest-dev/pytest-xdist#1378).
PYTEST = .venv/bin/pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt scripts/setup setup.py $(wildcard harness/virtual/core/*.[ch]) $(wildcard harness/virtual/core/devices/*.[ch]) $(wildcard search/*.c)
	scripts/setup

demo: setup
	.venv/bin/hilnas search examples/fashion_mnist.toml

test: setup
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=90

test-long: setup
	HILNAS_NETWORKS=500 .venv/bin/pytest tests/harness/test_random_networks.py

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	find firmware harness search bench tests -name '*.[ch]' -o -name '*.cc' | xargs .venv/bin/clang-format --dry-run --Werror

format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	find firmware harness search bench tests -name '*.[ch]' -o -name '*.cc' | xargs .venv/bin/clang-format -i

bench: setup
	.venv/bin/python -m bench

campaign: setup
	.venv/bin/python -m tests.campaign --faults 20000 --seed 1

campaign-kills: setup
	.venv/bin/python -m tests.kills --kills 200 --seed 1

# Needs clang and atheris, which setup does not install; says so where they are missing.
fuzz-wire: setup
	.venv/bin/python -m bench wire_fuzz --seconds $(SECONDS)
