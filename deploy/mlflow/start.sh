#!/usr/bin/env bash
# Starts MLflow's server with its own users (basic-auth) and TLS, artifacts served through it: the image of docker-compose.yml does, and so do the tests (test/stack/mlflow.sh with MLFLOW_SECURE=1).
#   start.sh DIR [OPTION...]     DIR has mlflow_admin_password, mlflow_secret_key, mlflow_tls_crt and mlflow_tls_key; the options are more of `mlflow server`
# Read from the environment: MLFLOW_DATA (/mlflow), where artifacts and users.db are; MLFLOW_BACKEND_STORE_URI, as MLflow does (sqlite in MLFLOW_DATA); MLFLOW_HOST (127.0.0.1), MLFLOW_PORT (5000);
# MLFLOW_AUTH_CONFIG_PATH (/tmp/mlflow-auth.ini), the file that is written for MLflow.
set -euo pipefail
umask 077
secrets=${1:?usage: start.sh DIR [OPTION...]}
shift
data=${MLFLOW_DATA:-/mlflow} port=${MLFLOW_PORT:-5000}
export MLFLOW_BACKEND_STORE_URI=${MLFLOW_BACKEND_STORE_URI:-sqlite:///$data/mlflow.db}

for name in mlflow_admin_password mlflow_secret_key mlflow_tls_crt mlflow_tls_key; do
  [ -s "$secrets/$name" ] || { echo "start.sh: $secrets/$name is missing or empty: make secrets" >&2; exit 1; }
done

# Who is not told what he may do may do nothing: users.py tells it of each user. READ as the default would open everything to everybody who is made later.
# The password counts until the user admin is made, at the first start: later it is changed by deploy/rotate/mlflow.sh.
# A password is dear to check, and every look of a scorer brings one. The one worker forgets what it has checked as soon as a password is changed: with several, old ones would hold on for the time.
export MLFLOW_AUTH_CONFIG_PATH=${MLFLOW_AUTH_CONFIG_PATH:-/tmp/mlflow-auth.ini}
password=$(cat "$secrets/mlflow_admin_password")
rm -f "$MLFLOW_AUTH_CONFIG_PATH"
cat >"$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///$data/users.db
admin_username = admin
admin_password = ${password//%/%%}
auth_cache_ttl_seconds = 60
INI
# It signs what the pages' forms carry, and comes by the environment only.
MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat "$secrets/mlflow_secret_key")
export MLFLOW_FLASK_SERVER_SECRET_KEY

# Jobs are of what nobody uses here, and would ask the server in clear. Several names are right: that of the network, and those of this machine.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
exec mlflow server --app-name basic-auth --host "${MLFLOW_HOST:-127.0.0.1}" --port "$port" --workers 1 --artifacts-destination "$data/artifacts" --serve-artifacts \
  --allowed-hosts "mlflow:$port,127.0.0.1:$port,localhost:$port" --uvicorn-opts "--ssl-certfile '$secrets/mlflow_tls_crt' --ssl-keyfile '$secrets/mlflow_tls_key'" "$@"
