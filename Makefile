# Stofstrøm. `make` alone lists what there is to make.
#
# `make run` and `make test` need Go, make and npm and nothing else.
# What needs a C compiler or Debian packages is `make test-full`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN        := bin/stofstrom
ENGINE     := ops/embedded/clickhouse/fetch.sh
GO_SOURCES := $(shell find domain ingest projections analytics ops -name '*.go' -o -name '*.sql' -o -name '*.yaml' -o -name '*.csv' -o -name '*.gz' 2>/dev/null)
VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOFLAGS    += -trimpath
export GOFLAGS

# Test timeouts are ceilings against hanging, not measurements.
TEST_TIMEOUT := 15m
RUN_ARGS     ?=
BENCH_ARGS   ?=

.PHONY: help setup build run test test-full race promtool lint vuln bench bench-log fuzz conformance torture generate generated-clean ci-long clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## fetch Go modules and the ClickHouse engine (checksummed, into .cache)
	@go mod download
	@bash $(ENGINE)

build: $(BIN) ## build bin/stofstrom

$(BIN): go.mod go.sum $(GO_SOURCES)
	@mkdir -p bin
	go build -ldflags '-X github.com/stofstrom/stofstrom/ops/app.Version=$(VERSION)' -o $@ ./ops/cmd/stofstrom

run: setup build ## everything in one: embedded stores, the sample imported, table printed, then serving
	@exec $(BIN) serve --sample wdi $(RUN_ARGS)

test: setup ## all tests that need Go, make and npm only
	go test -timeout $(TEST_TIMEOUT) ./...

test-full: setup ## what needs a C compiler or Debian packages too: race detector, promtool; installs them
	@bash ops/setup/debian.sh gcc libc6-dev prometheus
	@$(MAKE) --no-print-directory race promtool

# The tests of whole processes run without it here: what runs in them runs in
# the packages' own tests with it, and make ci-long runs them with it too.
race:
	CGO_ENABLED=1 go test -race -short -timeout $(TEST_TIMEOUT) $$(go list ./... | grep -v /ops/e2e)

promtool:
	@bash ops/e2e/promtool.sh

lint: ## golangci-lint, gofmt, go vet, go mod tidy
	go tool golangci-lint run ./...
	go mod tidy -diff

vuln: ## known vulnerabilities in what we depend on
	@bash ops/setup/vuln.sh

bench: setup ## short benchmarks; method in docs/bench
	go test -run '^$$' -bench . -benchtime 200ms -benchmem ./domain/... ./ingest/... ./projections/... ./analytics/... ./ops/embedded/...

bench-log: ## the event log beside a no-op server and JetStream; BENCH_ARGS="-short", "-open 10000000", …; method in docs/bench/log.md
	go run ./ops/bench/log $(BENCH_ARGS)

fuzz: ## every fuzz target for FUZZTIME each (default 30s)
	@bash ops/setup/fuzz.sh $${FUZZTIME:-30s}

conformance: setup ## one suite per port on the memory twin and the real thing; the official client's own tests on our node
	go test -count=1 -timeout 30m ./ops/conformance/...
	go run ./ops/conformance/esdbclient/run

torture: setup build ## kill processes at random moments; ROUNDS per kind (default 10), SEED repeats a run
	go test -count=1 -timeout 60m -run 'TestTorture' -v ./ops/e2e -torture.rounds=$${ROUNDS:-10} -torture.seed=$${SEED:-0}

generate: ## write the documents that are made from code
	go run ./ops/gen

generated-clean: generate
	@git diff --exit-code -- docs && [ -z "$$(git status --porcelain -- docs)" ] || { git status --short -- docs; echo "generated documents are stale: run make generate and commit"; exit 1; }

ci-long: setup build ## the full forms of the suites that CI runs short
	STOFSTROM_LONG=1 go test -count=1 -timeout 90m ./...
	STOFSTROM_LONG=1 $(MAKE) --no-print-directory conformance torture
	CGO_ENABLED=1 go test -race -timeout 90m ./ops/e2e
	FUZZTIME=$${FUZZTIME:-2m} $(MAKE) --no-print-directory fuzz

clean: ## remove what was built; data and the engine stay
	rm -rf bin
