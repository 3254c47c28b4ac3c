#!/usr/bin/env bash
# All tests: installs what they need, starts one Kafka and one Postgres for those that share them, and stops them, whatever happens.
#   test/run.sh [PACKAGE…]        only these Go packages, instead of ./...
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
[ $# -gt 0 ] || set -- ./...

step() {
  printf '\n== %s (%d s)\n' "$*" $((SECONDS - began))
}

step "check"
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "run gofmt -w on: $unformatted" >&2; exit 1; }

step "install"
# The race detector needs a C compiler.
command -v "${CC:-gcc}" >/dev/null || test/stack/apt.sh gcc libc6-dev
command -v qemu-aarch64 >/dev/null || test/stack/apt.sh qemu-user
test/stack/postgres.sh install
test/stack/monitoring.sh install
test/stack/apt.sh chromium-headless-shell fonts-dejavu-core libgomp1
# What is fetched is waited for, not worked for: meanwhile Go compiles.
fetched=$(mktemp)
{
  test/stack/kafka.sh install
  PYTHON=${PYTHON:-python3} test/stack/mlflow.sh install
  make -s .cache/venv/installed .cache/venv-airflow/installed .cache/venv-api/installed
} >"$fetched" 2>&1 &
fetching=$!

step "vet"
go vet -tags keycloak,drill,s3,upgrade ./...
(cd test/compose && go vet ./...)
(cd test/kubernetes && go vet ./...)
(cd deploy/grafana && go vet ./...)
wait "$fetching" || { cat "$fetched" >&2; exit 1; }
rm -f "$fetched"

step "start Kafka and Postgres"
servers=$(mktemp -d -t mlmonitor-test.XXXXXX)
chmod 711 "$servers" # Postgres runs as a user of its own
emulated=
finish() {
  [ -z "$emulated" ] || kill "$emulated" 2>/dev/null || true
  for line in "$servers"/*.pid; do [ ! -f "$line" ] || pkill -P "$(cat "$line")" 2>/dev/null || true; done
  test/stack/kafka.sh stop "$servers/kafka" || true
  test/stack/postgres.sh stop "$servers/postgres" || true
  rm -rf "$servers"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
# Free ports, below those that package rig takes for servers of single tests.
ports=$("${PYTHON:-python3}" - <<'PY'
import random, socket
held = []
while len(held) < 4:
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(10000, 15000)))
        held.append(s)
    except OSError:
        pass
print(*(s.getsockname()[1] for s in held))
PY
)
read -ra ports <<<"$ports"
export OWNER_PID=$$ # should this script be killed, the servers end all the same
KAFKA_SECURE=1 KAFKA_JVM='-Xms512m -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC' KAFKA_PORTS=${ports[0]} KAFKA_CONTROLLER_PORTS=${ports[1]} KAFKA_SECURE_PORTS=${ports[2]} \
  test/stack/kafka.sh start "$servers/kafka" &
kafka=$!
PGPORT=${ports[3]} test/stack/postgres.sh start "$servers/postgres"
wait "$kafka"
unset OWNER_PID
export MLMONITOR_TEST_KAFKA_DIR=$servers/kafka MLMONITOR_TEST_POSTGRES_DIR=$servers/postgres

# Verdicts must have the same bits on every machine. Beside the Python tests: each has a core.
(GOARCH=arm64 CGO_ENABLED=0 go test -short -exec qemu-aarch64 ./scorer/forest) >"$servers/arm64.log" 2>&1 &
emulated=$!

step "Python tests"
go build -o "$servers/mlmonitor" ./cmd/mlmonitor # training makes profiles with it
export MLMONITOR=$servers/mlmonitor
failed=
report=$servers/python.xml
.cache/venv/bin/python -m pytest -q -p no:cacheprovider --junit-xml "$report" training || failed=1

step "Airflow reads its schedules"
MLMONITOR_PYTHON=$PWD/.cache/venv/bin/python AIRFLOW_HOME=$servers/airflow AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=300 .cache/venv-airflow/bin/python -m pytest -q -p no:cacheprovider deploy/airflow || failed=1

step "score on arm64, emulated"
wait "$emulated" || failed=1
emulated=
cat "$servers/arm64.log"

step "Go tests"
go build -o "$servers/tally" ./test/tally
go build -race ./...
# Three lines of packages, each one after the other: what starts whole clusters and mostly waits for them, what shares one Kafka and one Postgres, and, behind both in line for the processor, what needs no
# servers; the torture and what starts servers of its own follow that, so that the three take about as long.
served=("$@") whole=() alone=() torture=()
if [ "$*" = ./... ]; then
  clusters='/test/(e2e|torture)$'
  pure='/(scorer|schemas|drift|reports|producer|replay/metrics|test/simulation|test/alerts|test/tally|test/bench|test/torture/wire)(/|$)'
  whole=(./test/e2e) torture=(./test/torture)
  mapfile -t alone < <(go list ./... | grep -vE "$clusters" | grep -E "$pure" | grep -v '/scorer/forest$')
  mapfile -t served < <(go list ./... | grep -vE "$clusters" | grep -vE "$pure")
fi
# What is of one goroutine has nothing for the race detector, which makes it ten times as long: statistics of simulations, and all of the engine but what many callers do at once.
simulations='AtTheStatedRate|RaisesFewAlarms|FraudIsRare|CompromisedTerminal|FirstEventsLookLike|MemoryOfASimulation|BeyondTheirMemory|IntervalsHoldTheTruth'
callers='ManyCallersAtOnce'
patience=-timeout=2h # each wait in a test is bounded by itself
in_line() {
  [ $# = 0 ] || go test -json -race -p 1 "$patience" -skip "$simulations" "$@" || true # the tally finds what failed
}
without_servers() {
  in_line "${alone[@]}"
  go test -json "$patience" -run "$simulations" ./drift ./test/bench/drift ./producer ./replay/metrics || true
  if [ ${#alone[@]} -gt 0 ]; then
    go test -json -race "$patience" -run "$callers" ./scorer/forest || true
    go test -json "$patience" -skip "$callers" ./scorer/forest || true
  fi
}
# What they read lies outside their modules, where Go's cache of results does not look for changes.
other_modules() {
  for module in test/compose test/kubernetes deploy/grafana; do (cd "$module" && go test -json -count=1 "$patience" ./...) || true; done
}
{
  in_line "${whole[@]}" >"$servers/whole.json" 2>&1 &
  echo $! >"$servers/whole.pid"
  {
    (renice -n 15 -p "$BASHPID" >/dev/null && without_servers)
    in_line "${torture[@]}"
    [ ${#torture[@]} = 0 ] || other_modules
  } >"$servers/alone.json" 2>&1 &
  echo $! >"$servers/alone.pid"
  in_line "${served[@]}"
  wait # for the others
  cat "$servers/whole.json" "$servers/alone.json"
} | "$servers/tally" -junit "$report" || failed=1

[ -z "$failed" ] || exit 1
