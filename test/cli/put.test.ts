import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { createHandler } from "../../app/functions/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";
import { type InboxWatcher, watchInbox } from "../../cli/watch-inbox.ts";
import { runCli } from "../run-cli.ts";

describe("millpond put", () => {
  let folder: string;
  let files: string;
  let pond: Pond;
  let server: LocalServer;
  let watcher: InboxWatcher;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    files = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: folder });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }));
    const ingest = createHandler(async () => pond);
    const publish = (event: unknown) => void ingest(event, localContext("ingest"));
    watcher = await watchInbox(folder, pond.bucket, publish, () => {});
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
  });
  after(async () => {
    await watcher.close();
    await server.close();
    await pond.close();
    for (const one of [folder, files]) await fs.rm(one, { recursive: true });
  });

  async function put(contents: Record<string, string>, ...args: string[]) {
    const named = Object.keys(contents).map((name) => path.join(files, name));
    for (const [name, content] of Object.entries(contents)) {
      await fs.writeFile(path.join(files, name), content);
    }
    return await runCli(["put", "--dir", folder, "--url", server.url, ...args, ...named]);
  }

  it("waits for the rows of each file, and says how long that took", async () => {
    const contents = { "a.csv": "id\n1\n2\n", "b.csv": "id\n3\n" };
    const { code, stdout, stderr } = await put(contents, "--table", "trips");

    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
    expect(stdout).to.match(
      /a\.csv → inbox\/trips\/a\.csv \(7 B\): 2 rows in trips, \d+\.\d\d s after the upload/,
    );
    expect(stdout).to.match(/b\.csv → inbox\/trips\/b\.csv \(5 B\): 1 row in trips/);
  });

  it("replaces a file, and knows one that is there already", async () => {
    const first = await put({ "days.csv": "id\n1\n" }, "--json");
    const second = await put({ "days.csv": "id\n1\n2\n3\n" }, "--json");
    const same = await put({ "days.csv": "id\n1\n2\n3\n" }, "--json");

    const rows = [first, second, same].map(({ stdout }) => JSON.parse(stdout) as { rows: number });
    expect(rows.map(({ rows: count }) => count)).to.deep.equal([1, 3, 3]);
    const left = await fs.readdir(path.join(folder, "inbox"));
    expect(left.filter((name) => name.startsWith("."))).to.deep.equal([]);
  });

  it("shows why a file is rejected, and which rows stay", async () => {
    await put({ "ages.csv": "id\n1\n" });
    const { code, stdout } = await put({ "ages.csv": "id,b\n1\n" });
    const again = await put({ "ages.csv": "id,b\n1\n" });

    expect(stdout).to.match(/✘ .*rejected in line 2: .*\(malformed-csv\)\n {2}expected: /s);
    expect(stdout).to.contain("1 row of its last good version stay");
    expect([code, again.code]).to.deep.equal([1, 1]);
  });

  it("refuses what would come to nothing, before anything is copied", async () => {
    const name = await put({ "My File.csv": "id\n1\n" });
    const ending = await put({ "notes.txt": "id\n1\n" });
    const missing = await runCli(["put", "--dir", folder, path.join(files, "none.csv")]);
    for (const one of ["a", "b"]) {
      await fs.mkdir(path.join(files, one));
      await fs.writeFile(path.join(files, one, "x.csv"), "id\n1\n");
    }
    const twice = await runCli(["put", "--dir", folder, "a/x.csv", "b/x.csv"], { cwd: files });
    const nowhere = await runCli(["put", "--dir", files, path.join(files, "a.csv")]);

    expect(name.stderr).to.contain("--table <name> names one");
    expect(ending.stderr).to.match(/notes\.txt: .*expected/);
    expect(missing.stderr).to.contain("there is no file");
    expect(twice.stderr).to.contain("two files would be inbox/x.csv");
    expect(nowhere.stderr).to.contain("is no pond");
    const codes = [name, ending, missing, twice, nowhere].map(({ code }) => code);
    expect(codes).to.deep.equal([2, 2, 2, 2, 2]);
    expect(await fs.readdir(path.join(folder, "inbox"))).to.not.include.members(["notes.txt"]);
  });

  it("says what to look at when no rows come", async () => {
    await watcher.close();
    const { code, stderr } = await put({ "late.csv": "id\n1\n" }, "--timeout", "1");

    expect(stderr).to.match(
      /inbox\/late\.csv came to nothing within 1 s: is npm start at work on this folder\?/,
    );
    expect(code).to.equal(1);
  });
});
