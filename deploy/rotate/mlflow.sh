#!/usr/bin/env bash
# Gives a user of MLflow (its own login, basic-auth) another password, while everything runs.
#   mlflow.sh USER DIR
# DIR holds mlflow_USER_password, which the processes read (MLFLOW_TRACKING_PASSWORD_FILE). MLFLOW_TRACKING_URI says where MLflow is, MLFLOW_TRACKING_SERVER_CERT_PATH whom to trust (empty: whom the
# system does). The user changes it itself; where the file has not its password any more, AS=admin has admin do it, by DIR/mlflow_admin_password. Processes take the new one with their next request.
set -euo pipefail
umask 077
user=${1:?usage: mlflow.sh USER DIR} dir=${2:?usage: mlflow.sh USER DIR}
as=${AS:-$user} uri=${MLFLOW_TRACKING_URI:?where is MLflow?}
file=$dir/mlflow_${user}_password
[[ $user =~ ^[A-Za-z0-9_.@-]+$ ]] || { echo "mlflow.sh: $user is no name of a user" >&2; exit 2; }
[[ $uri == https://* ]] || { echo "mlflow.sh: $uri is not https://: the passwords would go in clear" >&2; exit 2; }
for name in "$user" "$as"; do [ -s "$dir/mlflow_${name}_password" ] || { echo "mlflow.sh: $dir/mlflow_${name}_password is missing" >&2; exit 1; }; done

# quoted TEXT: for JSON, and for curl's configuration
quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' >"$file.new"
chmod --reference="$file" "$file.new"
chown --reference="$file" "$file.new"
before=$(cat "$dir/mlflow_${as}_password")
current=
[ "$as" != "$user" ] || current=", \"current_password\": $(quoted "$before")" # who changes his own is asked for it
ca=()
[ -z "${MLFLOW_TRACKING_SERVER_CERT_PATH:-}" ] || ca=(--cacert "$MLFLOW_TRACKING_SERVER_CERT_PATH")
# Passwords come by pipes: they stand in no list of processes.
code=$(curl --silent --show-error --max-time 60 "${ca[@]}" --output "$file.answer" --write-out '%{http_code}' --request PATCH --header 'Content-Type: application/json' \
  --config <(printf 'user = %s\n' "$(quoted "$as:$before")") --data "@"<(printf '{"username": %s, "password": "%s"%s}' "$(quoted "$user")" "$(cat "$file.new")" "$current") \
  "${uri%/}/api/2.0/mlflow/users/update-password")
if [ "$code" = 200 ]; then mv "$file.new" "$file"; fi # at once: until then processes come with the old one
answer=$(head -c 500 "$file.answer")
rm -f "$file.answer" "$file.new"
if [ "$code" != 200 ]; then
  echo "mlflow.sh: MLflow says $code to $as: $answer" >&2
  exit 1
fi
echo "$user has another password"
