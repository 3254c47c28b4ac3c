"""A model behind FastAPI, as it is often done: the event is validated and turned into a row in Python, and LightGBM predicts it. BUNDLE is the folder of a bundle."""

import os
import sys
from pathlib import Path

import lightgbm
import numpy as np
import yaml
from fastapi import FastAPI, HTTPException, Request

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "training"))
from contract import Contract, Refused, parse_event  # noqa: E402

bundle = Path(os.environ["BUNDLE"])
contract = Contract((bundle / "contract.yaml").read_text(encoding="utf-8"))
policy = yaml.safe_load((bundle / "policy.yaml").read_text(encoding="utf-8"))
model = lightgbm.Booster(model_file=bundle / "model.txt")
app = FastAPI()


@app.post("/score")
async def score(request: Request):
    try:
        transaction, _, row = contract.row(parse_event((await request.body()).decode()))
    except (Refused, ValueError) as reason:
        raise HTTPException(422, str(reason)) from None
    p = float(model.predict(np.array([row]), num_threads=1)[0])
    return {"transaction_id": transaction, "decision": "decline" if p >= policy["decline"] else "review" if p >= policy["review"] else "approve", "probability": p}
