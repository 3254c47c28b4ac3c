#!/usr/bin/env python3
"""Makes MLflow's users where they are missing, and grants them what they need. Nothing is taken away, and nobody's password is changed: deploy/rotate/mlflow.sh does that.

  users.py DIR     DIR has mlflow_admin_password, and mlflow_NAME_password of each user

Read from the environment, as MLflow's clients do: MLFLOW_TRACKING_URI, and MLFLOW_TRACKING_SERVER_CERT_PATH, the authority to trust.
"""

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

# What each may do on every model and experiment: scorers read; who trains makes runs and versions, and moves aliases.
USERS = {"scorer": "READ", "trainer": "EDIT"}
GRANTED = ("registered_model", "experiment")


class Server:
    def __init__(self, secrets):
        self.uri = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
        self.context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
        self.secrets = secrets

    def password(self, user):
        text = (self.secrets / f"mlflow_{user}_password").read_text(encoding="utf-8").rstrip("\r\n")
        if not text:
            raise SystemExit(f"users.py: {self.secrets}/mlflow_{user}_password is empty")
        return text

    def ask(self, user, path, body=None):
        """Asks as a user; returns the status, and MLflow's word for what is wrong."""
        login = base64.b64encode(f"{user}:{self.password(user)}".encode()).decode()
        request = urllib.request.Request(self.uri + path, headers={"Authorization": "Basic " + login, "Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.context) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as refused:
            text = refused.read(4096).decode(errors="replace")
            try:
                return refused.code, json.loads(text)["error_code"]
            except (ValueError, KeyError, TypeError):
                return refused.code, text
        except urllib.error.URLError as failed:
            raise SystemExit(f"users.py: {self.uri}{path}: {failed.reason}") from failed

    def make(self, path, body):
        """Makes something as admin; returns whether it was not there before."""
        status, why = self.ask("admin", path, body)
        if status != 200 and why != "RESOURCE_ALREADY_EXISTS":
            raise SystemExit(f"users.py: MLflow says {status} to {path}: {why}")
        return status == 200


def main(arguments):
    if len(arguments) != 1:
        raise SystemExit("usage: users.py DIR")
    server = Server(Path(arguments[0]))
    if not server.uri.startswith("https://"):
        raise SystemExit("users.py: MLFLOW_TRACKING_URI is not https://: passwords would go in clear")
    for user, permission in USERS.items():
        if server.make("/api/2.0/mlflow/users/create", {"username": user, "password": server.password(user)}):
            print(f"made {user}")
        for kind in GRANTED:
            if server.make("/api/3.0/mlflow/users/permissions/grant", {"username": user, "resource_type": kind, "resource_id": "*", "permission": permission}):
                print(f"{user} has {permission} on every {kind}")
        status, _ = server.ask(user, "/api/2.0/mlflow/users/current")
        if status != 200:
            raise SystemExit(f"users.py: MLflow says {status} to {user} with the password of mlflow_{user}_password: have admin change it (deploy/rotate/mlflow.sh)")


if __name__ == "__main__":
    main(sys.argv[1:])
