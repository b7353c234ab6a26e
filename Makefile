# Binkeeper's targets; `make help` lists them. The servers that tests, demo and stack need are installed by
# scripts/install, which needs root on Debian or Ubuntu unless everything is there.

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
FUZZTIME ?= 30s

# A checkout that belongs to somebody else, as in many a CI, must not fail the build: git's word comes by VERSION.
#
# zstd is its own library, in C, and linked in, so that a program runs on any machine. Where there is no C compiler, zstd in
# Go stands in for it. Names are looked up by Go either way.
STATIC      := $(if $(filter 1,$(shell go env CGO_ENABLED)),-linkmode external -extldflags -static)
BUILD       := -buildvcs=false -trimpath -tags netgo,osusergo -ldflags "$(STATIC) -X binkeeper/internal/cli.version=$(VERSION)"
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build man demo up down status test unit faults soak chaos lint rules fuzz cover bench compose-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the programs: bin/worker, bin/monitor, bin/binkeeper
	go build $(BUILD) -o bin/ ./cmd/...

man: ## write the programs' manual pages into man/
	@mkdir -p man
	@for program in worker monitor binkeeper; do go run -tags man $(BUILD) ./cmd/$$program man man || exit 1; done
	@echo "try: man -l man/binkeeper-task-create.1"

demo: build ## kill a primary under load, and compare the backup byte for byte; SOURCE=mysql|mariadb|mariadb-11.8
	@go build $(BUILD) -o bin/scripts/ ./scripts/demo
	@bin/scripts/demo --programs bin --source '$(SOURCE)'

up: build ## start a source, ZooKeeper and two workers in .stack, and leave them running; SOURCE as for demo
	@go build $(BUILD) -o bin/scripts/ ./scripts/stack
	@bin/scripts/stack up --programs bin --source '$(SOURCE)'

down: ## stop what `make up` started; PURGE=1 removes its data too
	@go build $(BUILD) -o bin/scripts/ ./scripts/stack
	@bin/scripts/stack down $(if $(PURGE),--purge)

status: ## show what `make up` started, its tasks and workers
	@go build $(BUILD) -o bin/ ./cmd/binkeeper
	@go build $(BUILD) -o bin/scripts/ ./scripts/stack
	@bin/scripts/stack status --programs bin

# Each package starts servers of its own; three at a time keep two cores busy without starving a session. What was found
# with real servers is not taken from the cache.
test: ## run the unit tests, and one path with real servers for each package that needs any
	scripts/install gcc zookeeper mysql mariadb mariadb-11.8 zstd promtool systemd
	CGO_ENABLED=0 go test ./archive
	go test -race -tags integration -count=1 -p 3 ./...

unit: ## run the tests that need no servers
	go test -race ./...
	CGO_ENABLED=0 go test ./archive

faults: ## run the tests of faults, on real servers; GROUP=… one group of them (scripts/faults names them)
	scripts/faults $(GROUP)

soak: ## run the tests of faults at full length, in about an hour; GROUP=… as for faults
	scripts/faults --soak $(GROUP)

# The programs are those with the race detector: a race that a fault uncovers ends them, and the run.
chaos: ## strike real servers and workers at random, and compare every byte; MINUTES=3 SEED=…
	scripts/install gcc zookeeper mysql mariadb mariadb-11.8
	go build -race -buildvcs=false -o bin/race/ ./cmd/...
	@go build $(BUILD) -o bin/scripts/ ./scripts/chaos
	bin/scripts/chaos --programs bin/race --minutes $(or $(MINUTES),3) --seed $(or $(SEED),0)

lint: ## check the format, vet, staticcheck, who imports whom, and which test is where
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	go vet -tags 'integration faults soak' ./...
	$(STATICCHECK) -tags 'integration faults soak' ./...
	go run ./scripts/lint

rules: ## check and test the alerting rules, the dashboard and the systemd units
	scripts/install promtool systemd
	go test -tags integration ./deploy

fuzz: ## run every fuzz test for FUZZTIME, 30s each unless told
	scripts/fuzz $(FUZZTIME)

cover: ## show the coverage of all tests
	@mkdir -p bin
	go test -tags 'integration faults' -timeout 30m -p 3 -coverprofile bin/cover.out -coverpkg ./... ./...
	go tool cover -func bin/cover.out | tail -n 1

bench: build ## measure what docs/benchmarks.md tells of, in some twenty minutes; QUICK=1: on less data, in under four
	@scripts/install mysql zookeeper zstd
	@go build $(BUILD) -o bin/scripts/ ./scripts/bench
	@cd scripts/bench/library && go build -buildvcs=false -o ../../../bin/scripts/ .
	@bin/scripts/bench --programs bin $(if $(QUICK),--quick) --json bin/bench.json

compose-test: ## prove docker-compose.yml: kill a primary, hand over, and compare byte for byte; needs a container engine
	@scripts/compose

clean: ## remove what was built
	rm -rf bin man
