import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";
import { runCli } from "../run-cli.ts";

describe("millpond tables", () => {
  let folder: string;
  let pond: Pond;
  let server: LocalServer;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({
      [environmentNames.store]: folder,
      [environmentNames.auth]: "none",
    });
    const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
    pond = await openPond(settings, logger);
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
  });
  after(async () => {
    await server.close();
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  const tables = async (...args: string[]) =>
    await runCli(["tables", "--url", server.url, ...args]);
  const drop = async (name: string, text: string) => {
    await fs.mkdir(path.join(folder, "inbox"), { recursive: true });
    await fs.writeFile(path.join(folder, "inbox", name), text);
    await ingest(pond.ingest, `inbox/${name}`);
  };

  it("says how to make the first one", async () => {
    expect(await tables()).to.include({
      code: 0,
      stdout: "no tables yet: npm run put -- <file> makes one\n",
    });
  });

  it("lists them, and shows one", async () => {
    await drop("people.csv", "id,name\n1,Ann\n2,\n");
    await drop("odd.ndjson", '{"a":1}\n{"\\u001b[31mx":1,"\\u001b[31mx":2}\n');
    await drop("typed.ndjson", '{"\\u001b[31mb":1,"c":{"\\u001b[31mb":1}}\n');
    const list = await tables();
    const one = await tables("people");
    const odd = await tables("odd");
    const typed = await tables("typed");

    expect(list).to.include({ code: 0, stderr: "" });
    expect(list.stdout).to.match(
      /^table +rows +files +size +columns +rejected\nodd +0 +0 +0 B +0 +1\npeople +2 +1 +\d+ B +2 +0\ntyped +1 +1 +\d+ B +2 +0\n$/,
    );
    expect(one.stdout).to.match(
      /^people: 2 rows in 1 file, \d+ B\n {2}id {4}BIGINT\n {2}name {2}VARCHAR\n$/,
    );
    expect(odd.stdout).to.match(
      /^odd: 0 rows in 0 files, 0 B\n✘ inbox\/odd\.ndjson: rejected in line 2: .* \(malformed-json\)\n {2}expected: .+\n$/,
    );
    expect(odd.stdout).to.contain("\\u001b[31mx");
    expect(typed.stdout).to.match(
      /\n {2}\\u001b\[31mb +BIGINT\n {2}c +STRUCT\("\\u001b\[31mb" BIGINT\)\n$/,
    );
    expect(odd.stdout + typed.stdout).to.not.match(/[^\P{Cc}\n]/u);
  });

  it("finds one in any case, as SQL does", async () => {
    const [upper, lower] = [await tables("People"), await tables("people")];

    expect(upper).to.include({ code: 0, stderr: "", stdout: lower.stdout });
  });

  it("gives scripts the pond's own answer", async () => {
    const all = JSON.parse((await tables("--json")).stdout) as { tables: { name: string }[] };
    const one = JSON.parse((await tables("people", "--json")).stdout) as { rows: number };

    expect(all.tables.map(({ name }) => name)).to.deep.equal(["odd", "people", "typed"]);
    expect(one.rows).to.equal(2);
  });

  it("says that JSON of something else is no pond's", async () => {
    const other = http.createServer((_, answer) => answer.end('{"status":"ok"}'));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;

    const all = await runCli(["tables", "--url", url]);
    const one = await runCli(["tables", "t", "--url", url]);
    other.close();

    for (const { code, stdout, stderr } of [all, one]) {
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: "" });
      expect(stderr).to.match(/^error: what answers at .* is no Millpond/);
    }
  });

  it("ends with 130 by Ctrl-C, whatever it waits for", async () => {
    let asked: (() => void) | undefined;
    const silent = http.createServer((request, answer) => {
      // One that never begins to answer, and one that never ends.
      if (request.url === "/tables/t") answer.write("{");
      asked?.();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;

    for (const args of [[], ["t"]]) {
      const { code, stderr } = await runCli(["tables", ...args, "--url", url], {
        onStart: (child) => {
          asked = () => child.kill("SIGINT");
        },
      });
      expect(code).to.equal(130);
      expect(stderr).to.match(/^interrupted: [^\n]*\n$/);
    }
    silent.closeAllConnections();
    silent.close();
  });

  it("fails for a table that is not there", async () => {
    const { code, stdout, stderr } = await tables("peple");

    expect({ code, stdout }).to.deep.equal({ code: 1, stdout: "" });
    expect(stderr).to.equal(
      "error: there is no table peple: npm run tables lists them (not-found)\n",
    );
  });
});
