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
  const token = "a-token-of-24-characters";
  const env = { ...process.env, MILLPOND_TOKEN: token, [environmentNames.store]: undefined };

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    files = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: folder });
    const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
    pond = await openPond(settings, logger, { tokens: { cli: token } });
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

  async function written(contents: Record<string, string>): Promise<string[]> {
    for (const [name, content] of Object.entries(contents)) {
      await fs.writeFile(path.join(files, name), content);
    }
    return Object.keys(contents).map((name) => path.join(files, name));
  }
  async function put(contents: Record<string, string>, ...args: string[]) {
    return await runCli(["put", "--url", server.url, ...args, ...(await written(contents))], {
      env,
    });
  }
  const inboxOf = async (root: string) =>
    (await fs.readdir(path.join(root, "inbox"), { recursive: true })).sort();

  it("waits for the rows of each file, and says how long that took", async () => {
    const contents = { "a.csv": "id\n1\n2\n", "b.csv": "id\n3\n" };
    const { code, stdout, stderr } = await put(contents, "--table", "trips");

    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
    expect(stdout).to.match(
      /a\.csv → inbox\/trips\/a\.csv \(7 B\): 2 rows in trips, \d+\.\d\d s after the upload/,
    );
    expect(stdout).to.match(/b\.csv → inbox\/trips\/b\.csv \(5 B\): 1 row in trips/);
  });

  it("says how a table is written that is called as a word of SQL", async () => {
    const { stdout } = await put({ "order.csv": "id\n1\n", "orders.csv": "id\n1\n" });
    const [order, orders] = stdout.split("\n");

    expect(order).to.match(/after the upload; in SQL its name is written "order"$/);
    expect(orders).to.match(/after the upload$/);
  });

  it("replaces a file, and knows one that is there already", async () => {
    const first = await put({ "days.csv": "id\n1\n" }, "--json");
    const second = await put({ "days.csv": "id\n1\n2\n3\n" }, "--json");
    const same = await put({ "days.csv": "id\n1\n2\n3\n" }, "--json");

    const rows = [first, second, same].map(({ stdout }) => JSON.parse(stdout) as { rows: number });
    expect(rows.map(({ rows: count }) => count)).to.deep.equal([1, 3, 3]);
  });

  it("takes an empty file as what it is", async () => {
    const { stdout } = await put({ "nothing.csv": "" });

    expect(stdout).to.contain("(empty-file)");
  });

  it("writes to the pond of --url alone, whatever folder it is called in", async () => {
    const other = path.join(files, "pond");
    await fs.mkdir(path.join(other, "inbox"), { recursive: true });
    await fs.writeFile(path.join(other, "inbox/mine.csv"), "as it was\n");
    const args = ["put", "--url", server.url, ...(await written({ "mine.csv": "id\n1\n" }))];

    const here = await runCli(args, { env, cwd: files });
    const told = await runCli(args, { env: { ...env, [environmentNames.store]: other } });

    expect(here.stdout).to.contain("1 row in mine");
    expect([here.code, told.code]).to.deep.equal([0, 0]);
    expect(await inboxOf(other)).to.deep.equal(["mine.csv"]);
    expect(await fs.readFile(path.join(other, "inbox/mine.csv"), "utf8")).to.equal("as it was\n");
    expect(await fs.readFile(path.join(folder, "inbox/mine.csv"), "utf8")).to.equal("id\n1\n");
  });

  it("sees in the folder of --dir what became of a file, and asks no server", async () => {
    const [name = ""] = await written({ "folder.csv": "id\n1\n2\n" });
    const args = ["put", "--json", name, "--dir", folder];

    const first = await runCli(args, { env: { PATH: process.env["PATH"] } });
    const same = await runCli(args, { env: { PATH: process.env["PATH"] } });
    await written({ "folder.csv": "id,b\n1\n" });
    const bad = await runCli(args.slice(0, -2), {
      env: { ...env, [environmentNames.store]: folder },
    });

    const rows = [first, same].map(({ stdout }) => JSON.parse(stdout) as { rows: number });
    expect(rows.map(({ rows: count }) => count)).to.deep.equal([2, 2]);
    expect((JSON.parse(bad.stdout) as { rejection: object }).rejection).to.include({
      code: "malformed-csv",
    });
    const left = await inboxOf(folder);
    expect(left.filter((one) => path.basename(one).startsWith("."))).to.deep.equal([]);
  });

  it("says of a token that it is missing, or which one is wrong, and copies nothing", async () => {
    const args = ["put", "--url", server.url, ...(await written({ "secret.csv": "id\n1\n" }))];

    const none = await runCli(args, { env: { PATH: process.env["PATH"] } });
    const wrong = await runCli(args, { env: { ...env, MILLPOND_TOKEN: "another-token-of-mine" } });
    const given = await runCli([...args, "--token", "another-token-of-mine"], { env });

    expect(none.stderr).to.equal(
      `error: ${server.url} asks for a token: --token <token>, or MILLPOND_TOKEN (unauthorized)\n`,
    );
    expect(wrong.stderr).to.contain("does not take the token of MILLPOND_TOKEN (unauthorized)");
    expect(given.stderr).to.contain("does not take the token of --token (unauthorized)");
    expect([none, wrong, given].map(({ code }) => code)).to.deep.equal([1, 1, 1]);
    expect(await inboxOf(folder)).to.not.include("secret.csv");
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
    const nowhere = await runCli([
      "put",
      "--dir",
      path.join(files, "a"),
      path.join(files, "a.csv"),
    ]);
    const both = await put({ "a.csv": "id\n1\n" }, "--dir", folder);

    expect(name.stderr).to.contain("--table <name> names one");
    expect(ending.stderr).to.match(/notes\.txt: .*expected/);
    expect(missing.stderr).to.contain("there is no file");
    expect(twice.stderr).to.contain("two files would be inbox/x.csv");
    expect(nowhere.stderr).to.contain("is no pond");
    expect(both.stderr).to.contain("'--dir <folder>' cannot be used with option '--url <url>'");
    const codes = [name, ending, missing, twice, nowhere, both].map(({ code }) => code);
    expect(codes).to.deep.equal([2, 2, 2, 2, 2, 2]);
    expect(await inboxOf(folder)).to.not.include("notes.txt");
  });

  it("says what to look at when no rows come", async () => {
    await watcher.close();
    const asked = await put({ "late.csv": "id\n1\n" }, "--timeout", "1");
    const args = ["put", "--dir", folder, "--timeout", "1", path.join(files, "later.csv")];
    await written({ "later.csv": "id\n1\n" });
    const alone = await runCli(args);
    const nobody = await runCli([
      "put",
      "--url",
      "http://127.0.0.1:1",
      path.join(files, "late.csv"),
    ]);

    expect(asked.stderr).to.contain(
      `inbox/late.csv came to nothing within 1 s: ${server.url} has the file, and its log`,
    );
    expect(alone.stderr).to.contain(
      `inbox/later.csv came to nothing within 1 s: is npm start at work on ${folder}?`,
    );
    expect(nobody.stderr).to.match(/^error: http:\/\/127\.0\.0\.1:1 does not answer: .*npm start/);
    expect([asked, alone, nobody].map(({ code }) => code)).to.deep.equal([1, 1, 1]);
  });
});
