# Python runs this at its start where PYTHONPATH names the folder: it writes down what the emulator is asked to allow, and what it said.
import json
import os

try:
    from ministack.core import iam_evaluator
except ImportError:
    # Some other Python's start, as pip's while it installs the emulator.
    iam_evaluator = None


def writing_down(decide):
    def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        denied = decide(
            access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context
        )
        line = {"key": access_key_id, "action": iam_action, "resource": resource_arn, "allowed": denied is None}
        with open(os.environ["MILLPOND_ASKED"], "a") as file:
            file.write(json.dumps(line) + "\n")
        return denied

    return enforce


if iam_evaluator is not None:
    iam_evaluator.enforce = writing_down(iam_evaluator.enforce)
