import { expect } from "chai";
import fc from "fast-check";
import { clientOf, parseTokens } from "../../app/http/tokens.ts";
import { failure } from "../failure.ts";

describe("clientOf", () => {
  const tokens = { alice: "a-token", bob: "b-token" };

  for (const header of [
    "Bearer a-token",
    "bearer a-token",
    "BEARER a-token",
    "Bearer   a-token",
    "Bearer a-token  ",
  ]) {
    it(`knows a client by "${header}"`, () => {
      expect(clientOf(tokens, header)).to.equal("alice");
    });
  }

  it("tells clients apart", () => {
    expect(clientOf(tokens, "Bearer b-token")).to.equal("bob");
  });

  for (const header of [
    undefined,
    "",
    "a-token",
    "Bearer",
    "Bearer ",
    "Bearera-token",
    "Basic a-token",
    "Bearer A-TOKEN",
    "Bearer a-toke",
    "Bearer a-token2",
    "Bearer a-token b-token",
    "Bearer b-token, Bearer a-token",
    "Bearer a-token\nBearer b-token",
    "Bearer alice",
    " Bearer a-token",
    'Bearer "a-token"',
  ]) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      expect(clientOf(tokens, header)).to.equal(undefined);
    });
  }

  it("refuses everybody where there are no tokens", () => {
    expect(clientOf({}, "Bearer a-token")).to.equal(undefined);
    expect(clientOf({}, "Bearer constructor")).to.equal(undefined);
  });

  it("refuses a header without a token, even where a client's token is empty", () => {
    for (const header of [undefined, "", "Bearer", "Bearer "]) {
      expect(clientOf({ nobody: "" }, header)).to.equal(undefined);
    }
  });

  it("knows exactly the token that a client has", () => {
    const token = fc.stringMatching(/^[\x21-\x7e]{1,40}$/);
    fc.assert(
      fc.property(token, token, (own, presented) => {
        expect(clientOf({ carol: own }, `Bearer ${own}`)).to.equal("carol");
        expect(clientOf({ carol: own }, `Bearer ${presented}`)).to.equal(
          presented === own ? "carol" : undefined,
        );
      }),
    );
  });
});

describe("parseTokens", () => {
  it("takes one token, or one for each client", () => {
    expect(parseTokens(" 0123456789abcdef\n")).to.deep.equal({ token: "0123456789abcdef" });
    expect(parseTokens('{"ann": "0123456789abcdef"}')).to.deep.equal({ ann: "0123456789abcdef" });
  });

  for (const secret of [
    "",
    "short",
    "two words 0123456789",
    "{}",
    '{"a": 1}',
    '{"a": "short"}',
    "{",
    '["0123456789abcdef"]',
    '"0123456789abcdef"',
  ]) {
    it(`refuses ${JSON.stringify(secret)}, and doesn't repeat it`, () => {
      const error = failure(() => parseTokens(secret));

      expect(error.code).to.equal("secret-invalid");
      if (secret.length > 2) expect(error.message).to.not.contain(secret);
    });
  }
});
