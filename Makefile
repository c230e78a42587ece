# Alfarid. `make demo` shows a whole classroom on this machine; `make test` is what CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
BENCH ?=
PAGES := web-admin/dist/index.html
PAGE_SOURCES := $(shell find web-admin/src web-admin/public -type f 2>/dev/null) \
	web-admin/index.html web-admin/package.json web-admin/vite.config.ts

.PHONY: help setup demo quick test check bench pages gen clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## Install what this machine lacks (lists it and asks first)
	@tests/setup.sh

demo: setup pages ## A box, three machines and a screen on air; Ctrl-C ends it all
	$(CARGO) build --workspace --bins
	$(CARGO) run -q -p classroom --bin demo

quick: setup pages ## Unit and API tests: no root, no browser, a few minutes
	$(CARGO) test -q --workspace --exclude classroom
	$(CARGO) test -q -p classroom --lib --test tidy
	npm --prefix web-admin test

check: setup pages ## Format, lints, types, generated files
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	npm --prefix web-admin run lint
	$(CARGO) run -q -p alfarid-daemon -- openapi | diff - web-admin/openapi.json

test: check quick ## Everything CI runs, the classroom in its namespaces among it
	$(CARGO) build --workspace --bins
	$(CARGO) test -p classroom --tests -- --test-threads=1

bench: setup pages ## Measure, beside the peers: all, or BENCH=lesson
	$(CARGO) build --release --workspace --bins
	$(CARGO) run -q --release -p classroom --bin bench -- $(BENCH)

pages: $(PAGES) ## The web pages that the daemon carries

$(PAGES): $(PAGE_SOURCES) web-admin/node_modules/.installed
	npm --prefix web-admin run build
	@touch $@

web-admin/node_modules/.installed: web-admin/package-lock.json
	npm --prefix web-admin ci --no-audit --no-fund
	@touch $@

gen: ## Write the OpenAPI document and the types made from it again
	$(CARGO) run -q -p alfarid-daemon -- openapi > web-admin/openapi.json
	npm --prefix web-admin run gen

clean:
	$(CARGO) clean
	rm -rf web-admin/dist web-admin/node_modules
