# Python runs this at its start where PYTHONPATH names the folder: it writes down what the emulator is asked to allow, and what it said.
import json
import os

from ministack.core import iam_evaluator

decide = iam_evaluator.enforce


def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    denied = decide(
        access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context
    )
    line = {"key": access_key_id, "action": iam_action, "resource": resource_arn, "allowed": denied is None}
    with open(os.environ["MILLPOND_ASKED"], "a") as file:
        file.write(json.dumps(line) + "\n")
    return denied


iam_evaluator.enforce = enforce
