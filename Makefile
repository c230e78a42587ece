# Alfarid. `make demo` shows a whole classroom on this machine; `make test` is what CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
BENCH ?=
FUZZ ?=
PAGES := web-admin/dist/index.html
PAGE_SOURCES := $(shell find web-admin/src web-admin/public -type f 2>/dev/null) \
	web-admin/index.html web-admin/package.json web-admin/vite.config.ts

# Where `make install-box` and `make install-machine` put things: / or, for packages, a folder.
DESTDIR ?=
BUILT ?= target/release
AS_ROOT := $(if $(DESTDIR),,$(if $(filter 0,$(shell id -u)),,sudo))
INSTALL := $(AS_ROOT) install

.PHONY: help setup demo quick test check bench fuzz pages gen clean \
	install-box install-machine place-box place-machine

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## Install what this machine lacks (lists it and asks first)
	@tests/setup.sh

demo: setup pages ## A box, three machines and a screen on air; Ctrl-C ends it all
	$(CARGO) build --workspace --bins
	target/debug/demo

quick: setup pages ## Unit and API tests: no root, no browser, a few minutes
	$(CARGO) test -q --workspace --exclude classroom
	$(CARGO) test -q -p classroom --lib --test tidy
	npm --prefix web-admin test

check: setup pages ## Format, lints, types
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	npm --prefix web-admin run lint

# All packages at once: with fewer, their dependencies have other features and are built again.
test: check ## Everything CI runs, the classroom in its namespaces among it
	npm --prefix web-admin test
	$(CARGO) test --workspace

bench: setup pages ## Measure, beside the peers: all, or BENCH=lesson, viewers, stream.iid5, ...
	@tests/setup.sh bench
	$(CARGO) build --release --workspace --bins
	$(BUILT)/bench $(BENCH)

fuzz: ## Feed every reader of network bytes with nonsense: all, or FUZZ=rtp
	tests/fuzz.sh $(FUZZ)

install-box: pages ## Build the box and install it here, or into DESTDIR
	$(CARGO) build --release --locked -p alfarid-daemon
	$(MAKE) place-box
ifeq ($(DESTDIR),)
	$(AS_ROOT) systemd-sysusers alfarid-daemon.conf
	$(AS_ROOT) /usr/lib/systemd/systemd-sysctl 10-alfarid-daemon.conf
	$(AS_ROOT) systemctl daemon-reload
	$(AS_ROOT) systemctl enable alfarid-daemon
	$(AS_ROOT) systemctl restart alfarid-daemon
endif

install-machine: ## Build the student machine and install it here, or into DESTDIR
	$(CARGO) build --release --locked -p alfarid-agent
	$(MAKE) place-machine
ifeq ($(DESTDIR),)
	$(AS_ROOT) systemd-sysusers alfarid-agent.conf
	$(AS_ROOT) /usr/lib/systemd/systemd-sysctl 10-alfarid-agent.conf
	$(AS_ROOT) systemctl daemon-reload
	$(AS_ROOT) systemctl enable alfarid-agent
	$(AS_ROOT) systemctl restart alfarid-agent
endif

place-box:
	$(INSTALL) -Dm755 $(BUILT)/alfarid-daemon -t $(DESTDIR)/usr/bin
	$(INSTALL) -Dm644 systemd/alfarid-daemon.service -t $(DESTDIR)/usr/lib/systemd/system
	$(INSTALL) -Dm644 systemd/alfarid-daemon.sysusers $(DESTDIR)/usr/lib/sysusers.d/alfarid-daemon.conf
	$(INSTALL) -Dm644 systemd/alfarid-daemon.sysctl $(DESTDIR)/usr/lib/sysctl.d/10-alfarid-daemon.conf
	$(INSTALL) -Dm644 config/alfarid.toml -t $(DESTDIR)/usr/share/alfarid
	$(INSTALL) -Dm644 README.md LICENSE -t $(DESTDIR)/usr/share/doc/alfarid

place-machine:
	$(INSTALL) -Dm755 $(BUILT)/alfarid-agent $(BUILT)/alfarid-player -t $(DESTDIR)/usr/bin
	$(INSTALL) -Dm644 systemd/alfarid-agent.service -t $(DESTDIR)/usr/lib/systemd/system
	$(INSTALL) -Dm644 systemd/alfarid-agent.sysusers $(DESTDIR)/usr/lib/sysusers.d/alfarid-agent.conf
	$(INSTALL) -Dm644 systemd/alfarid-agent.sysctl $(DESTDIR)/usr/lib/sysctl.d/10-alfarid-agent.conf
	$(INSTALL) -Dm644 systemd/alfarid-player.service -t $(DESTDIR)/usr/lib/systemd/user
	$(INSTALL) -Dm644 systemd/alfarid-player.desktop -t $(DESTDIR)/etc/xdg/autostart
	$(INSTALL) -Dm644 systemd/alfarid-player.desktop -t $(DESTDIR)/usr/share/applications

pages: $(PAGES) ## The web pages that the daemon carries

$(PAGES): $(PAGE_SOURCES) web-admin/node_modules/.installed
	npm --prefix web-admin run build
	@touch $@

web-admin/node_modules/.installed: web-admin/package-lock.json
	npm --prefix web-admin ci --no-audit --no-fund
	@touch $@

gen: ## Write the OpenAPI document and the types made from it again
	$(CARGO) build --workspace --bins
	target/debug/alfarid-daemon openapi > web-admin/openapi.json
	npm --prefix web-admin run gen

clean:
	$(CARGO) clean
	rm -rf web-admin/dist web-admin/node_modules
