# The tasks of a project: the same on a laptop and in automation. `make help` lists them.
# Included by the project's Makefile, which may add some. `##-` marks what workflows call.

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
# Stamps: the installer is there; everything is there.
BOOTED := .venv/.booted
INSTALLED := .venv/.installed

export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
# Compiled once here, so that no stage compiles on import.
export UV_COMPILE_BYTECODE ?= 1
# Trust the certificates that the system trusts, as pip does.
export UV_SYSTEM_CERTS ?= 1
export UV_PYTHON_DOWNLOADS ?= never
# uv does not read pip's settings: hand over the package mirror that pip knows, if any.
MIRROR = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}}}"

# Beside the tools, the lock of what reaches the remote in .dvc/config, of what the model in
# params.yaml needs, and of where work runs; a folder needs none, nor do most models and threads.
SCHEME := $(shell sed -n 's|^ *url *= *\([a-z0-9]*\)://.*|\1|p' .dvc/config)
MODEL := $(shell sed -n '/^model:/,/^[a-z]*:$$/s|.*use: *\([a-z0-9_-]*\).*|\1|p' params.yaml)
CHOSEN := $(or $(MLOPS_COMPUTE),$(shell sed -n '/^\[tool\.mlops\]/,/^\[/s|^compute *= *"\([A-Za-z0-9_-]*\)".*|\1|p' pyproject.toml))
COMPUTE := $(shell sed -n 's|^ *{* *backend: *\([a-z]*\).*|\1|p' conf/compute/$(CHOSEN).yaml 2>/dev/null)
LOCKS := requirements/dev.txt $(wildcard $(SCHEME:%=requirements/storage-%.txt) $(MODEL:%=requirements/model-%.txt) \
	$(COMPUTE:%=requirements/compute-%.txt))
# What is chosen later is older than the stamp, which says what was installed.
MISSING := $(filter-out requirements/dev.txt $(shell cat $(INSTALLED) 2>/dev/null),$(LOCKS))
STORAGE := s3 gs azure ssh
MODELS := xgboost catboost ebm
PLACES := dask ray
COMPILE := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# What comes as source is built with the locked setuptools, so that no build fetches one without hash.
SOURCE := --no-build-isolation-package antlr4-python3-runtime
# Where the environment was made; scripts in one that was moved, or lost its Python, do not start.
MADE_IN := $(shell test -x $(BIN)/python && sed -n 's|^command = .* -m venv ||p' .venv/pyvenv.cfg || echo nowhere)

# What a branch is judged against: without any remote the own main, where nobody else can have put
# one. Recipes take names of branches and commits from the environment: a branch may be called
# `$(rm -rf .)`.
ifeq ($(origin AGAINST),undefined)
AGAINST := $(if $(shell git remote 2>/dev/null),origin/main,main)
endif
export AGAINST
BASE := build/base
HANDOVER := build/handover/commits.bundle
KEYS := build/keys
MONITORED := reports/monitor/monitor.json
EXPERIMENTED := reports/experiment/experiment.json

# `gh` goes to github.com unless it is told of an Enterprise Server.
ifdef GITHUB_SERVER_URL
export GH_HOST ?= $(lastword $(subst ://, ,$(GITHUB_SERVER_URL)))
endif

# The raw data: by their pointer, unless a stage of dvc.yaml makes them.
FETCHED := $(shell awk '/^    [a-z]/ {outs = /^    outs:/} \
	outs && /(- |[[, ])data\/raw *([],:]|$$)/ {print "yes"}' dvc.yaml)
RAW = $(if $(FETCHED),$(INSTALLED),data/raw.dvc)

# Asked before DVC starts, which writes an empty folder into its pointer.
PRESENT = $(if $(FETCHED),true,PYTHONPATH=engine/src python -P -m mlops.git.absence)

# A bundle made before its inputs were committed, or before a rebase, names no commit of this branch
# that has them: DVC sees no change.
define REPRO
@$(PRESENT)
	dvc repro
	@mlops lineage --check --against "$$AGAINST"; test $$? != 1 || { dvc repro --quiet --force --single-item bundle && dvc repro --quiet; }
endef

# `dvc pull --quiet` says nothing of what fails, and without it a log of success is printed.
CHAMPION = dvc pull --quiet deploy/production/champion.dvc >&2 || { echo "deploy/production/champion cannot be fetched:" \
	'promote a candidate first, or see what `dvc pull deploy/production/champion.dvc` says' >&2; exit 1; }

# $LOG_CONFIG has the credentials of a log in a bucket.
LOG_KEYS = test -z "$$LOG_CONFIG" || (umask 077 && mkdir -p $(KEYS)/log && printf '%s\n' "$$LOG_CONFIG" > $(KEYS)/log/conf.json)
READ_LOG = FSSPEC_CONFIG_DIR="$(CURDIR)/$(KEYS)/log"

.DEFAULT_GOAL := help
.PHONY: workflows changed neighbours help setup install remote repro candidate results gate promote dashboards verify proposal handover accept signed deployer token release reconcile test check format lock clean anew monitor replay alerts experiment proposed refresh refreshed ingest predict materialise upgrade upgraded

help:  ## list these tasks
	@awk -F ':.*##-? ' '/^[a-z]+:.*##-? /{one = sprintf("make %-11s %s\n", $$1, $$2); \
		if (/:.*##- /) called = called one; else printf "%s", one} \
		END {printf "\nFor workflows:\n%s", called}' $(MAKEFILE_LIST)

setup: $(RAW)  ## install what the locks say; write and version sample data where there is none
	@! printf '%s' "$$PWD" | LC_ALL=C grep -q '[^ -~]' || echo "check: DVC's queue (\`--queue\`, \`--temp\`) fails" \
		"below a folder whose name is not ASCII, as in $$PWD: move the project before you sweep"
	@lacking="$$($(PRESENT) 2>&1)" || { echo "Installed, and $$lacking"; exit 0; }; \
		start='git add --all && git commit -m "Start" && '; ! git rev-parse -q --verify HEAD >/dev/null || start=; \
		echo "Ready. Next: . .venv/bin/activate && $${start}dvc repro"

repro: $(RAW)  ## run every stage of the pipeline whose inputs changed
	@mlops mend
	$(REPRO)

install: $(INSTALLED)  ##- install what the locks say

remote:  ##- write $DVC_CONFIG, the credentials of the data remote, to .dvc/config.local
	@test -z "$$DVC_CONFIG" || (umask 077 && printf '%s\n' "$$DVC_CONFIG" > .dvc/config.local)

candidate: $(INSTALLED)  ##- fetch the data of this commit, run what changed, commit the results
	@mlops mend
	@mlops fetch --against "$$AGAINST"; code=$$?; test $$code = 1 || \
		{ test $$code = 0 && $(MAKE) --no-print-directory results; }

results: $(INSTALLED)  ##- run what changed, commit the results
	$(REPRO)
	@PYTHONPATH=engine/src python -P -m mlops.release.transfer --results "Run the pipeline"

gate: $(INSTALLED)  ## judge a new candidate by policy and code of AGAINST (origin/main, without a remote main); REDERIVE=1 makes it again
	@git rev-parse --quiet --verify --end-of-options "$$AGAINST^{commit}" >/dev/null || { \
		echo "git knows no $$AGAINST to judge against: fetch it (\`git fetch\`), or name another base:" \
		"\`make gate AGAINST=main\`" >&2; exit 2; }
	@rm -rf $(BASE) && git --no-replace-objects cat-file blob "$$AGAINST:./engine/src/mlops/git/extraction.py" | python -P - "$$AGAINST" $(BASE)
	PYTHONPATH=$(BASE)/engine/src:$(BASE)/src python -P -m mlops.cli gate --against "$$AGAINST" --if-new $${REDERIVE:+--rederive}

promote: $(INSTALLED)  ## share what the pipeline made, declare the candidate that the gate passed
	@test -d candidate || echo "candidate/ is not here, since no model is concerned: nothing to promote"
	@test ! -d candidate || { dvc push && mlops promote --against "$$AGAINST"; }

verify: $(INSTALLED)  ##- verify what this commit declares and AGAINST does not
	mlops verify --against "$$AGAINST"

proposal: $(INSTALLED)  ##- say what became of the candidate, in Markdown
	@mlops proposal --against "$$AGAINST" --since "$${SINCE:-HEAD}" $${FORK:+--fork} $${QUEUE:+--queue} \
		$${FAILED:+--failed} --out reports/gate/proposal.md

handover:  ##- put the commits since SINCE, if any, into a file; name the last
	@test "$$(git rev-parse HEAD)" = "$$SINCE" || { mkdir -p $(dir $(HANDOVER)) && \
		git bundle create --quiet $(HANDOVER) "$$SINCE..HEAD" && echo "commit=$$(git rev-parse HEAD)"; }

accept:  ##- push the commits of that file, if they follow ONTO and hold results alone, to BRANCH
	PYTHONPATH=engine/src $(PYTHON) -P -m mlops.release.transfer $(HANDOVER) --onto "$$ONTO" --branch "$$BRANCH"

signed:  ##- verify, by `gh`, that the workflow `model` has signed what this commit declares
	@for verdict in deploy/*/*gate.json; do test ! -e "$$verdict" || gh attestation verify "$$verdict" \
		--repo "$$GITHUB_REPOSITORY" --signer-workflow "$$GITHUB_REPOSITORY/.github/workflows/$${SIGNER:-model.yml}" || exit 1; done

deployer:  ##- push with $ENV_KEY, the deploy key on GitHub that alone may write env/*, if there is one; needs `gh`
	@test -z "$$ENV_KEY" || { umask 077 && mkdir -p $(KEYS) && printf '%s\n' "$$ENV_KEY" > $(KEYS)/env && \
		host="$${GITHUB_SERVER_URL#https://}" && \
		gh api meta --jq '.ssh_keys[]' | sed "s|^|$$host |" > $(KEYS)/known_hosts && test -s $(KEYS)/known_hosts && \
		git config core.sshCommand "ssh -i '$(CURDIR)/$(KEYS)/env' -o IdentitiesOnly=yes -o UserKnownHostsFile='$(CURDIR)/$(KEYS)/known_hosts'" && \
		git remote set-url --push origin "git@$$host:$$GITHUB_REPOSITORY.git"; }

token:  ##- push with $PUSH_TOKEN, a project's token on GitLab, if there is one; PROPOSE=1 has GitLab open merge requests
	@test -z "$$PROPOSE" || git config push.pushOption merge_request.create
	@test -z "$$PUSH_TOKEN" || { \
		git config credential.helper '!f() { printf "username=token\npassword=%s\n" "$$PUSH_TOKEN"; }; f' && \
		git remote set-url --push origin "$$CI_PROJECT_URL.git"; }

release: $(INSTALLED)  ## release what this commit declares
	mlops release

reconcile: $(INSTALLED)  ## repair what differs from what this commit declares
	mlops reconcile

dashboards: $(INSTALLED)  ## write Prometheus' rules and Grafana's dashboard by conf/monitoring
	mlops dashboards

# Exit codes of `mlops monitor` are verdicts; where it fails, there is no report.
monitor: $(INSTALLED)  ## say what changed in the log LOG of what is served, and whether it hurts
	@$(LOG_KEYS)
	@rm -rf $(dir $(MONITORED)); $(CHAMPION)
	@$(READ_LOG) mlops monitor --log "$$LOG" >&2 || test -f $(MONITORED)
	@PYTHONPATH=engine/src python -P -m mlops.bundle.alerts $(MONITORED)

replay: $(INSTALLED)  ## say what this policy of the monitor would have alerted in 90 days, and that of AGAINST
	@$(LOG_KEYS)
	@$(CHAMPION)
	@$(READ_LOG) mlops monitor --log "$$LOG" --replay 90d --policy "$$AGAINST"

alerts: $(INSTALLED)  ##- open, edit and close the issues of what the monitor found
	mlops alerts $(MONITORED)

experiment: $(INSTALLED)  ## say what the log LOG knows of the experiment that production declares, if any
	@$(LOG_KEYS)
	@rm -rf $(dir $(EXPERIMENTED))
	@$(READ_LOG) mlops experiment status --if-any --log "$$LOG" --at "$$(date -u +%F)" >&2
	@test ! -e $(EXPERIMENTED) || echo "report=yes"

proposed: $(INSTALLED)  ##- open the pull request of what follows of that report
	mlops experiment propose --report $(EXPERIMENTED)

refresh: $(INSTALLED)  ## open the pull request of a candidate of new rows: for the report BECAUSE, EVERY so many days, or now
	@mlops refresh $${BECAUSE:+--because "$$BECAUSE"} $${EVERY:+--every "$$EVERY"} || test $$? = 1

refreshed:  ##- tell the pull request of BRANCH what became of it at ONTO; close one that is no better
	@PYTHONPATH=engine/src $(PYTHON) -P -m mlops.release.closing --report reports/gate --branch "$$BRANCH" --commit "$$ONTO"

ingest: $(INSTALLED)  ## bring rows (from the day SINCE on, to before UNTIL, of TABLE alone) and open the pull request of what changed
	@mlops ingest --propose $${SINCE:+--since "$$SINCE"} $${UNTIL:+--until "$$UNTIL"} $${TABLE:+--table "$$TABLE"}

materialise: $(INSTALLED)  ## have the store in MLOPS_ONLINE hold the newest features that production reads (as known AT)
	@test -n "$$MLOPS_ONLINE" || { echo "MLOPS_ONLINE names no store: set it, like redis://host:6379/0" >&2; exit 1; }
	@$(CHAMPION)
	@for table in data/tables/*.dvc; do test ! -e "$$table" || dvc pull --quiet "$$table" || exit 1; done
	@mlops materialise --bundle deploy/production/champion $${AT:+--at "$$AT"}

predict: $(INSTALLED)  ## score PREDICT_INPUT into PREDICT_OUTPUT with what production declares
	@$(CHAMPION)
	@mlops predict "$${PREDICT_INPUT:?name the tables}" --out "$${PREDICT_OUTPUT:?name the answers}" --ids \
		--bundle deploy/production/champion $${PREDICT_PARTITION:+--partition "$$PREDICT_PARTITION"} \
		$${PREDICT_LOG:+--log "$$PREDICT_LOG"}

# An upgrade that a machine cut off may have left files of two versions: HEAD has whole ones.
upgrade:  ## follow the template to its last release, or to TO=v2; UNDO=1 takes the last upgrade back
	@git cat-file blob HEAD:./engine/src/mlops/upgrading/recovery.py 2>/dev/null | $(PYTHON) -P -
	@$(MAKE) --no-print-directory install
	@$(MIRROR) mlops upgrade $${TO:+--to "$$TO"} $${TEMPLATE:+--template "$$TEMPLATE"} $${UNDO:+--undo}

upgraded:  ##- push the upgrade of ONTO that reports/upgrade has, and open or edit its pull request
	@PYTHONPATH=engine/src $(PYTHON) -P -m mlops.release.upgraded reports/upgrade --onto "$$ONTO"

test: $(INSTALLED)  ## run the tests
	pytest -n auto --maxprocesses 4 --dist loadfile

workflows: $(INSTALLED)  ## in a repository of several projects: write this one's workflows to its top, where GitHub and GitLab read them
	@mlops workflows

changed:  ##- say whether this project differs from SINCE, in a repository of several
	@PYTHONPATH=engine/src $(PYTHON) -P -m mlops.workflows.concern --since "$$SINCE"

neighbours:  ##- report on GITHUB_SHA what is required of the projects beside this one of which it changes nothing; needs `gh`
	@PYTHONPATH=engine/src $(PYTHON) -P -m mlops.workflows.neighbours --commit "$$GITHUB_SHA"

check: $(INSTALLED)  ## lint, types, composition of params.yaml with conf/, tests
	@mlops engine
	@mlops workflows --check
	ruff check .
	ruff format --check .
	mypy
	mlops resolve
	pytest -n auto --maxprocesses 4 --dist loadfile

format: $(INSTALLED)  ## bring the code into shape
	ruff check --fix .
	ruff format .

lock: $(BOOTED)  ## compile requirements/*.txt from pyproject.toml; newest versions: make lock UPGRADE=--upgrade
	@set -e; export $(MIRROR); \
	compile() { echo "requirements/$$1.txt"; $(COMPILE) $(UPGRADE) $$2 $$3 -o requirements/$$1.txt; }; \
	of() { for group; do printf -- '--group %s ' $$group; done; }; \
	engine=engine/pyproject.toml; own=pyproject.toml; \
	compile dev "$$(of $$engine:dev $$own:train $$own:serve $$own:dev)"; \
	compile train "$$(of $$engine:train $$own:train)" "-c requirements/dev.txt"; \
	for group in serve serve-skops batch; do \
		compile $$group "$$(of $$engine:$$group $$own:serve)" "-c requirements/dev.txt"; done; \
	for group in uv otel ship tracking; do compile $$group "$$(of $$engine:$$group)" "-c requirements/dev.txt"; done; \
	for kind in $(STORAGE); do \
		compile storage-$$kind "$$(of $$engine:$$kind)" "-c requirements/dev.txt"; done; \
	for model in $(MODELS); do \
		compile model-$$model "$$(of $$engine:$$model)" "-c requirements/dev.txt"; done; \
	for place in $(PLACES); do \
		compile compute-$$place "$$(of $$engine:$$place)" "-c requirements/dev.txt"; done

clean:  ## remove the environment and the tools' caches; never data, results or history
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find engine src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BOOTED): requirements/uv.txt $(if $(subst $(CURDIR)/.venv,,$(MADE_IN)),anew)
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "\`$(PYTHON)\` is not a Python 3.11 or newer with the venv module: install one (on Debian and" \
		"Ubuntu with python3-venv), or name it, like: make setup PYTHON=python3.12" >&2; exit 1; }
	@test "$(MADE_IN)" = "$(CURDIR)/.venv" && $(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(INSTALLED): $(BOOTED) $(LOCKS) engine/pyproject.toml $(if $(MISSING),anew)
	@echo "Installing $(LOCKS)"
	@$(MIRROR) $(UV) pip install --require-hashes $(SOURCE) $(LOCKS:%=-r %)
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable ./engine
	@echo "$(LOCKS)" > $@

# Inside another repository the project is a part of it, unless that repository ignores it.
data/raw.dvc: | $(INSTALLED)
	@git rev-parse --is-inside-work-tree >/dev/null 2>&1 && ! git check-ignore -q . || git init -q -b main
	@test -n "$$(ls data/raw 2>/dev/null)" || mlops sample
	dvc add --quiet data/raw
