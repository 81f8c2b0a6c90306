"""Verifies webhooks with what receivers in Python would take: `standardwebhooks` for v1, PyNaCl for v1a.

Each line of standard input is a case in JSON; each line of the answer is true or false.
"""

import base64
import json
import sys

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey
from standardwebhooks import Webhook, WebhookVerificationError


def v1(key, headers, body):
    try:
        Webhook(key).verify(body, headers)
        return True
    # A signature that is none at all it does not expect: ValueError.
    except (WebhookVerificationError, ValueError):
        return False


def v1a(key, headers, body):
    verify_key = VerifyKey(base64.b64decode(key.removeprefix("whpk_"), validate=True))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for signature in headers["webhook-signature"].split(" "):
        version, _, value = signature.partition(",")
        if version != "v1a":
            continue
        try:
            verify_key.verify(content, base64.b64decode(value, validate=True))
            return True
        except BadSignatureError:
            pass
    return False


for line in sys.stdin:
    case = json.loads(line)
    verify = v1 if case["key"].startswith("whsec_") else v1a
    print(json.dumps(verify(case["key"], case["headers"], case["body"])), flush=True)
