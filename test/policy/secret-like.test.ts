import { randomBytes } from "node:crypto";
import { expect } from "chai";
import { secretLike } from "../../policy/secret-like.ts";

describe("secretLike", () => {
  for (const [key, value, why] of [
    ["DB_PASSWORD", "correct-horse-battery-staple", "name"],
    ["dbPassword", "hunter2", "name"],
    ["PASSWORD2", "hunter2", "name"],
    ["SLACK_TOKEN", "x", "name"],
    ["CLIENT_SECRETS", "a,b", "name"],
    ["OPENAI_API_KEY", "abc", "name"],
    ["PASSWORD", "123456", "name"],
    ["URL", "postgres://millpond:hunter2@db.example/pond", "form"],
    ["A", "AKIAIOSFODNN7EXAMPLE", "form"],
    ["A", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "form"],
    ["A", "-----BEGIN RSA PRIVATE KEY-----\nMII", "form"],
    // As docs/deploy.md makes tokens, and AWS its keys.
    ["A", randomBytes(24).toString("hex"), "random"],
    ["A", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "random"],
  ] as const) {
    it(`takes ${key}=${value.slice(0, 24)} for a secret`, () => {
      expect(secretLike(key, value)).to.contain(why);
    });
  }

  for (const [key, value] of [
    ["MILLPOND_SECRETS", "/millpond/dev/"],
    ["MILLPOND_AUTH", "token"],
    ["MILLPOND_STORE", "s3://millpond-dev-111122223333-eu-central-1"],
    ["MILLPOND_EVENT_TOPICS", "arn:aws:sns:eu-central-1:111122223333:millpond-dev-uploads"],
    ["DB_PASSWORD", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-AbCdEf"],
    ["DB_PASSWORD", "prod/db/password"],
    ["DB_PASSWORD", ""],
    ["DB_PASSWORD_FILE", "/run/secrets/db"],
    ["PASSWORD_LENGTH", "20"],
    ["TOKEN_TTL_SECONDS", "300"],
    ["MAX_TOKENS", "4096"],
    ["USE_TOKEN", "true"],
    ["PARTITION_KEY", "day"],
    ["KEY_ID", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ["GIT_COMMIT", "631dcbc631dcbc631dcbc631dcbc631dcbc631dc"],
    ["DATABASE", "postgres://db.example/pond"],
    ["METRIC", "QueryDurationMilliseconds99"],
    ["FUNCTION", "millpond-dev-ingest-image-with-a-long-name-2"],
  ] as const) {
    it(`takes ${key}=${value} for a setting`, () => {
      expect(secretLike(key, value)).to.equal(undefined);
    });
  }
});
