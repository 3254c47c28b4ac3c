#!/usr/bin/env bash
# A real MLflow tracking server and model registry on loopback, artifacts served through it, in a virtual environment of its own.
#
#   mlflow.sh install      make the environment, once
#   mlflow.sh start DIR    start the server in DIR, on SQLite; returns when it answers
#   mlflow.sh stop DIR     end it
#   mlflow.sh kill9 DIR    end it as a power cut would
#
# Read from the environment: MLFLOW_PORT (15000), OWNER_PID (the server is stopped and DIR is removed when that process has ended), PYTHON.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../.cache/venv-mlflow
version=3.17.2

die() {
  echo "mlflow.sh: $*" >&2
  exit 1
}

install() {
  if [ "$(cat "$venv/installed" 2>/dev/null)" = "$version" ]; then return; fi
  "${PYTHON:-python3}" -m venv --clear "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check "mlflow==$version"
  echo "$version" >"$venv/installed"
}

# running DIR: the pid of the server, which leads a process group of its workers; false when it does not run
running() {
  local pid
  pid=$(cat "$1/mlflow.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() {
  local dir=$1 port=${MLFLOW_PORT:-15000}
  install
  mkdir -p "$dir/artifacts"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  if running "$dir" >/dev/null; then return; fi
  (
    cd "$dir"
    export MLFLOW_BACKEND_STORE_URI=sqlite:///$dir/mlflow.db MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    setsid "$venv/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1 --artifacts-destination "$dir/artifacts" --serve-artifacts >"$dir/log" 2>&1 </dev/null &
    echo $! >"$dir/mlflow.pid"
  )
  for _ in $(seq 900); do
    if curl -fsS "http://127.0.0.1:$port/health" >/dev/null 2>&1; then return; fi
    running "$dir" >/dev/null || break
    sleep 0.1
  done
  tail -n 10 "$dir/log" >&2
  die "MLflow does not start, see $dir/log"
}

# end NAME DIR: signals the whole group, and waits
end() {
  local pid
  if ! pid=$(running "$2"); then return; fi
  kill "-$1" -- "-$pid" 2>/dev/null || true
  for _ in $(seq 200); do
    kill -0 -- "-$pid" 2>/dev/null || break
    sleep 0.05
  done
  rm -f "$2/mlflow.pid"
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  stop:2) end TERM "$dir" ;;
  kill9:2) end KILL "$dir" ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
