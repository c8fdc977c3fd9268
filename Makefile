# make setup    what netemu needs: Debian packages and .venv (asks sudo for apt-get only)
# make demo     bring a three-tier network up, prove it with packets, and leave it for you to try
# make test     everything that must hold: style, types, unit tests, real packets, here and on a full kernel in QEMU
# make vm       a shell on that kernel, without root, for a machine that lacks features; see docs/fullkernel.md
# make fuzz     10,000 documents for the reader, 200 random networks for up, verify and down, every error at every step
# make bench    how close netemu comes to the least that the same work takes
# make lint     style and types only
# make clean    remove what these made in the clone

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-bench setup-vm demo vm lint test fuzz bench clean

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
NETEMU := $(strip $(SUDO) .venv/bin/netemu)
DEMO := scenarios/three-tier.yaml

help:
	@sed -n 's/^# //p' Makefile

setup:
	@tools/setup

setup-test:
	@tools/setup --test

setup-bench:
	@tools/setup --bench

setup-vm:
	@tools/setup --vm

demo: setup
	$(NETEMU) up $(DEMO)
	$(NETEMU) verify shop
	$(NETEMU) status shop
	@echo
	@echo "The lab is up; it stays until you take it down. Try:"
	@echo "  $(NETEMU) exec --lab shop visitor -- curl -s http://20.61.0.10"
	@echo "  $(NETEMU) exec --lab shop web1 -- curl -s http://app1:8080"
	@echo "  $(NETEMU) exec --lab shop web1 -- curl -s -m 3 http://db1:5432      (the rule deny-all-but-app says no)"
	@echo "  $(NETEMU) capture --lab shop web1 tcp port 80"
	@echo "  $(NETEMU) graph $(DEMO) > shop.svg"
	@echo "Take it down:"
	@echo "  $(NETEMU) down shop"

vm: setup-vm
	@.venv/bin/netemu boot $(if $(SCENARIO),--up $(SCENARIO)) $(if $(RUN),-- $(RUN))

lint: setup
	.venv/bin/ruff check .
	.venv/bin/mypy

test: setup-test lint
	tools/check_vagrantfile
	if [ -f tools/fidelity.py ]; then $(SUDO) .venv/bin/python tools/fidelity.py --check; fi
	$(SUDO) .venv/bin/python tools/test.py

fuzz: setup-test
	$(SUDO) env NETEMU_FUZZ=10000 NETEMU_RANDOM_LAST=200 NETEMU_SWEEP=1 .venv/bin/pytest tests/fuzz \
	  tests/kernel/test_random_networks.py tests/kernel/test_random_matrices.py tests/kernel/life/test_crashes.py

bench: setup-bench
	$(SUDO) .venv/bin/python bench/run.py

clean:
	$(SUDO) rm -rf .venv .kernel .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec $(SUDO) rm -rf {} +
