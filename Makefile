# Names for commands. What they do is in tests/toolchain/ (checks, environments) and tests/cluster/ (test cluster).

# The first of these that really runs and is new enough; a version manager's shim may be neither.
BOOTSTRAP := $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$python && break; done)
PYTHON := .venv/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/.collections

NODES ?= 1
REAL ?=
METRICS ?=
CELLS ?= all
BASE ?= main

# Where root on Linux says that real nodes are possible, a test that cannot start one fails.
ifeq ($(shell id -u)-$(shell uname -s),0-Linux)
export CANARY_EXPECT_REAL_NODES := 1
endif

STAGES := lint types imports docs changelog sanity sanity-import ansible-lint package unit coverage sim-slice integration test-cluster molecule matrix

.PHONY: help venv demo test $(STAGES) sim sim-truth fuzz faults exactness headroom-truth judgement-truth judgement-e2e traffic-truth kubernetes-matrix slow bench cluster cluster-down quick rights writers blocks format release-notes pins clean
.DEFAULT_GOAL := help

help:
	@echo "make demo             a good release promoted, a crashing and an erring one undone, one through a gateway, one blue/green, on a real Kubernetes"
	@echo "make test             everything that has to hold, with a table of times at the end"
	@echo "make quick            lint, types, imports, and the tests that can break by what differs from BASE=$(BASE)"
	@echo "make STAGE            one stage of it: $(STAGES)"
	@echo "make coverage         make unit, and what it covers: so it runs in continuous integration"
	@echo "make cluster          a real Kubernetes with NODES=$(NODES) fake nodes (REAL=1: real ones); prints its KUBECONFIG"
	@echo "                      REAL=1 METRICS=1: with metrics-server, which takes 4 to 8 minutes the first time"
	@echo "make cluster-down     ends it"
	@echo "make fuzz             10,000 calls of verbs at a server with wrong types, missing members and endless texts in its answers, and"
	@echo "                      10,000 calls of modules through both doors with anything for any of their options"
	@echo "make faults           1,000 releases on a real cluster in which processes die, requests get lost and others write (goes on"
	@echo "                      where it was)"
	@echo "make exactness        every size of every Deployment up to 12 replicas, as an onlooker counts (CELLS=slice: a dozen)"
	@echo "make sim              100,000 releases in a simulated cluster, with every fault (goes on where it was) -> docs/simulation.md"
	@echo "make sim-truth        200 random histories in the simulation and on a real cluster, which have to end in the same words"
	@echo "make headroom-truth   10,000 random clusters, predicted and tried (hours; goes on where it was) -> docs/headroom-truth.md"
	@echo "make judgement-truth  simulates what judgement promises (hours; goes on where it was) -> docs/judgement-truth.md"
	@echo "make judgement-e2e    20 good and 20 bad releases on a real node under a steady load -> docs/judgement-releases.md"
	@echo "make traffic-truth    shares, failed requests, races, deaths and lags on real proxies (20 minutes) -> docs/traffic-truth.md"
	@echo "make kubernetes-matrix the integration tests and random clusters on older Kubernetes (an hour) -> docs/kubernetes-versions.md"
	@echo "make slow             tests too long for make test: real traffic, Istio, Envoy and KEDA, deaths at random moments, random sequences,"
	@echo "                      every moment of every fault in the simulation, the properties of the unit tests with other examples than"
	@echo "                      in make test, and all scenarios of molecule"
	@echo "make bench            what releases cost beside kubectl and kubernetes.core -> docs/benchmarks.md; what headroom costs in 5,000"
	@echo "                      nodes with 150,000 pods, and the time from Ready to a verb's return"
	@echo "make venv             the Python environment in .venv, and this tree as a collection in .collections"
	@echo "make rights           playbooks/vars/rights.yml -> docs/rights.md, docs/rbac.yaml, docs/rbac-headroom.yaml"
	@echo "make writers          docs/source/writers.yml -> docs/writers.md"
	@echo "make blocks           docs/source/blocks.yml -> the documentation of the modules that repeat it"
	@echo "make format           the formatter, and what the linter can mend by itself"
	@echo "make release-notes    changelogs/fragments -> CHANGELOG.md, CHANGELOG.rst"
	@echo "make pins             requirements/*.in -> requirements/*.txt"
	@echo "make clean            removes environments, archives and caches inside this tree"

venv:
	@test -n "$(BOOTSTRAP)" || { echo "error: no Python >= 3.11 found; as root: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(BOOTSTRAP) -m tests.toolchain.venvs make main

demo: venv
	@$(PYTHON) -m tests.demo

test: venv
	@$(PYTHON) -m tests.toolchain.stages

$(STAGES): venv
	@$(PYTHON) -m tests.toolchain.stages $@

cluster: venv
	@$(PYTHON) -m tests.cluster up --nodes $(NODES) $(if $(REAL),--real) $(if $(METRICS),--metrics)

cluster-down: venv
	@$(PYTHON) -m tests.cluster down

sim: venv
	@nice $(PYTHON) -m tests.sim --releases 100000 --report docs/simulation.md

sim-truth: venv
	@nice $(PYTHON) -m tests.sim.truth

fuzz: venv
	@nice $(PYTHON) -m tests.sim.hostile --calls 10000
	@nice $(PYTHON) -m pytest -q -n 2 --hypothesis-profile fuzz tests/unit/frontdoor/test_fuzz_in_a_cluster.py

faults: venv
	@nice $(PYTHON) -m tests.faults

exactness: venv
	@$(PYTHON) -m tests.exactness --cells $(CELLS)
	@$(PYTHON) -m tests.exactness --cells slice --through ansible --at-once 2

headroom-truth: venv
	@nice $(PYTHON) -m tests.truth.headroom

judgement-truth: venv
	@$(BOOTSTRAP) -m tests.toolchain.venvs make truth
	@nice .venv-truth/bin/python -m tests.truth.judgement

judgement-e2e: venv
	@$(PYTHON) -m tests.truth.releases --report docs/judgement-releases.md

traffic-truth: venv
	@$(PYTHON) -m tests.truth.traffic --report docs/traffic-truth.md

kubernetes-matrix: venv
	@nice $(PYTHON) -m tests.truth.kubernetes --report docs/kubernetes-versions.md

slow: venv
	@$(PYTHON) -m pytest --hypothesis-profile random tests/unit
	@$(PYTHON) -m pytest -n 2 -m slow tests/sim
	@$(PYTHON) -m pytest -m slow tests/integration tests/faults
	@PATH=$(CURDIR)/.venv/bin:$$PATH ANSIBLE_CONFIG=$(CURDIR)/ansible.cfg $(PYTHON) -m tests.molecule test --all

bench: venv
	@$(BOOTSTRAP) -m tests.toolchain.venvs make bench
	@$(PYTHON) -m tests.bench --report docs/benchmarks.md

quick: venv
	@$(PYTHON) -m tests.toolchain.stages lint types imports
	@$(PYTHON) -m tests.toolchain.selection --base $(BASE)

rights: venv
	@$(PYTHON) -m tests.toolchain.rights

writers: venv
	@$(PYTHON) -m tests.toolchain.writers

blocks: venv
	@$(PYTHON) -m tests.toolchain.blocks

format: venv
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

release-notes: venv
	PATH=$(CURDIR)/.venv/bin:$$PATH antsibull-changelog release --update-existing --reload-plugins

pins: venv
	@$(BOOTSTRAP) -m tests.toolchain.venvs pin main client-24 core-2.20 core-2.21 truth bench

clean:
	rm -rf .venv .venv-* .collections .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache build tests/output
