#!/usr/bin/env bash
# A real MLflow tracking server and model registry on loopback, artifacts served through it, in a virtual environment of its own.
#
#   mlflow.sh install      make the environment, once
#   mlflow.sh start DIR    start the server in DIR, on SQLite; returns when it answers
#   mlflow.sh stop DIR     end it
#   mlflow.sh kill9 DIR    end it as a power cut would
#
# Read from the environment: MLFLOW_PORT (15000), MLFLOW_SECURE (with 1 it has users and TLS, as docker-compose.yml has it: DIR/secrets then has what deploy/compose/secrets.sh makes), OWNER_PID (the
# server is stopped and DIR is removed when that process has ended), PYTHON.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../.cache/venv-mlflow
deploy=$here/../../deploy
requirement='mlflow[auth]==3.17.2 Flask-WTF==1.3.0' # those of deploy/mlflow/Dockerfile

die() {
  echo "mlflow.sh: $*" >&2
  exit 1
}

install() {
  if [ "$(cat "$venv/requirement" 2>/dev/null)" = "$requirement" ]; then return; fi
  "${PYTHON:-python3}" -m venv --clear "$venv"
  # shellcheck disable=SC2086 # two words
  "$venv/bin/pip" install -q --no-compile --disable-pip-version-check $requirement
  echo "$requirement" >"$venv/requirement"
}

# running DIR: the pid of the server, which leads a process group of its workers; false when it does not run
running() {
  local pid
  pid=$(cat "$1/mlflow.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

start() {
  local dir=$1 port=${MLFLOW_PORT:-15000} url ask=(curl -fsS)
  install
  mkdir -p "$dir/artifacts"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  if running "$dir" >/dev/null; then return; fi
  url=http://127.0.0.1:$port
  if [ "${MLFLOW_SECURE:-}" = 1 ]; then
    "$deploy/compose/secrets.sh" "$dir/secrets" >/dev/null
    url=https://127.0.0.1:$port ask+=(--cacert "$dir/secrets/mlflow_ca")
  fi
  (
    cd "$dir"
    export PATH=$venv/bin:$PATH MLFLOW_BACKEND_STORE_URI=sqlite:///$dir/mlflow.db MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    server=(mlflow server --host 127.0.0.1 --port "$port" --workers 1 --artifacts-destination "$dir/artifacts" --serve-artifacts)
    if [ "${MLFLOW_SECURE:-}" = 1 ]; then
      export MLFLOW_DATA=$dir MLFLOW_PORT=$port MLFLOW_AUTH_CONFIG_PATH=$dir/auth.ini
      server=("$deploy/mlflow/start.sh" "$dir/secrets")
    fi
    setsid "${server[@]}" >"$dir/log" 2>&1 </dev/null &
    echo $! >"$dir/mlflow.pid"
  )
  for _ in $(seq 2400); do
    if "${ask[@]}" "$url/health" >/dev/null 2>&1; then
      [ "${MLFLOW_SECURE:-}" != 1 ] || MLFLOW_TRACKING_URI=$url MLFLOW_TRACKING_SERVER_CERT_PATH=$dir/secrets/mlflow_ca "$venv/bin/python" "$deploy/mlflow/users.py" "$dir/secrets" >>"$dir/log" 2>&1 || die "its users are not made, see $dir/log"
      return
    fi
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
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
