import { expect } from "chai";
import { unwelcome } from "../../cli/local-guard.ts";

describe("a pond on this machine", () => {
  const names = new Set(["localhost", "pond.lan"]);
  const ask = (headers: Record<string, string>, { method = "GET", path = "/tables" } = {}) =>
    unwelcome(new Request(`http://any${path}`, { method, headers }), names)?.code;

  for (const host of [
    "localhost",
    "localhost:8686",
    "LocalHost:8686",
    "localhost.:8686",
    "127.0.0.1:8686",
    "[::1]:8686",
    "[::1]",
    "192.168.0.7:8686",
    "pond.lan",
  ]) {
    it(`answers to ${host}`, () => {
      expect(ask({ host })).to.equal(undefined);
    });
  }

  for (const host of [
    "evil.example:8686",
    "localhost.evil.example",
    "evil.example#localhost",
    "localhost@evil.example",
    "127.0.0.1.evil.example",
    "localhost:8686:1",
    "[localhost]x",
    "",
  ]) {
    it(`does not answer to ${JSON.stringify(host)}`, () => {
      expect(ask({ host })).to.equal("host-unknown");
    });
  }

  const host = "localhost:8686";
  for (const origin of ["http://localhost:8686", "http://LOCALHOST:8686"]) {
    it(`answers its own page, ${origin}`, () => {
      expect(ask({ host, origin, "sec-fetch-site": "same-origin" })).to.equal(undefined);
    });
  }
  for (const origin of [
    "https://evil.example",
    "http://localhost:3000",
    "http://localhost",
    "http://127.0.0.1:8686",
    "null",
    "",
    "localhost:8686",
  ]) {
    it(`does not answer a page of ${JSON.stringify(origin)}`, () => {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        expect(ask({ host, origin }, { method })).to.equal("cross-site");
      }
    });
  }

  const from = (site: string, mode: string, dest: string) => ({
    host,
    "sec-fetch-site": site,
    "sec-fetch-mode": mode,
    "sec-fetch-dest": dest,
  });
  it("shows its page to whoever follows a link or types its address, and nothing beside", () => {
    const link = from("cross-site", "navigate", "document");
    expect(ask(from("none", "navigate", "document"), { path: "/query?sql=select+1" })).to.equal(
      undefined,
    );
    expect(ask(link, { path: "/?sql=select+1" })).to.equal(undefined);
    expect(ask(link, { path: "/query?sql=select+1" })).to.equal("cross-site");
    expect(ask(from("cross-site", "navigate", "iframe"), { path: "/" })).to.equal("cross-site");
  });

  for (const dest of ["image", "script", "style", "empty"]) {
    it(`gives no ${dest} to a page of another site, or another port`, () => {
      expect(ask(from("cross-site", "no-cors", dest), { path: "/" })).to.equal("cross-site");
      expect(ask(from("same-site", "no-cors", dest))).to.equal("cross-site");
    });
  }
});
