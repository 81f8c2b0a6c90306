// Verifies webhooks with what receivers in Node.js would take: `standardwebhooks` for v1, node:crypto for v1a.
//
// Each line of standard input is a case in JSON; each line of the answer is true or false.

import { createPublicKey, verify } from "node:crypto";
import { createInterface } from "node:readline";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

function v1(key, headers, body) {
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

function v1a(key, headers, body) {
  const x = Buffer.from(key.slice("whpk_".length), "base64").toString("base64url");
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  return headers["webhook-signature"]
    .split(" ")
    .map((signature) => signature.split(","))
    .some(([version, value]) => version === "v1a" && verify(null, Buffer.from(content), publicKey, Buffer.from(value, "base64")));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { key, headers, body } = JSON.parse(line);
  console.log(JSON.stringify((key.startsWith("whsec_") ? v1 : v1a)(key, headers, body)));
}
