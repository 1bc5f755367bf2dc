import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { ingest } from "../../app/flow/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";

describe("uploads over HTTP, on one machine", () => {
  let folder: string;
  let pond: Pond;
  let closed: Pond;
  const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const environment = { [environmentNames.store]: path.join(folder, "pond") };
    pond = await openPond(readSettings(environment), logger);
    closed = await openPond(
      readSettings({ ...environment, [environmentNames.uploads]: "false" }),
      logger,
    );
  });
  after(async () => {
    await Promise.all([pond, closed].map((one) => one.close()));
    await fs.rm(folder, { recursive: true });
  });

  const offer = (body: unknown, to = pond) =>
    to.http.request("/inbox", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const put = (key: string, body: string | ReadableStream, to = pond) =>
    to.http.request(`/inbox?${new URLSearchParams({ key })}`, {
      method: "PUT",
      body,
      duplex: "half",
    } as RequestInit);
  const outcome = async (key: string) => {
    const answer = await pond.http.request(`/inbox?${new URLSearchParams({ key })}`);
    expect(answer.status).to.equal(200);
    return (await answer.json()) as Record<string, unknown>;
  };
  const code = async (answer: Response | Promise<Response>) => {
    const found = await answer;
    const { code: it, detail } = (await found.json()) as { code: string; detail: string };
    return { status: found.status, code: it, detail };
  };
  const there = () => fs.readdir(path.join(folder, "pond/inbox"), { recursive: true });
  const onTheirWay = () =>
    fs.readdir(path.join(folder, "pond/.millpond/work"), { recursive: true });

  it("says where to, takes the file, and says what became of it", async () => {
    const key = "inbox/trips/2024 + 100 %/a.csv";
    const offered = (await (await offer({ key })).json()) as { url: string; method: string };
    expect(offered).to.deep.include({ key, table: "trips", method: "PUT", expires: null });
    expect(await outcome(key)).to.deep.equal({ key, table: "trips", rows: null, rejection: null });

    const stored = await pond.http.request(offered.url, { method: "PUT", body: "id\n1\n2\n" });
    expect(stored.status).to.equal(201);
    const { etag } = (await stored.json()) as { etag: string };
    expect(stored.headers.get("etag")).to.equal(`"${etag}"`);
    expect(await fs.readFile(path.join(folder, "pond", key), "utf8")).to.equal("id\n1\n2\n");
    // The folder knows it by the same version, without having to read it.
    expect((await pond.store.head(key))?.etag).to.equal(etag);

    await ingest(pond.ingest, key);
    const { rows, rejection } = await outcome(key);
    expect(rows).to.deep.include({ etag, rows: 2 });
    const { modified, queryable } = rows as { modified: string; queryable: string };
    expect(Date.parse(queryable)).to.be.at.least(Date.parse(modified));
    expect(rejection).to.equal(null);
  });

  it("replaces what is there, and says why a version can't be read while the last one stays", async () => {
    const key = "inbox/days.csv";
    await put(key, "a,b\n1,2\n");
    await ingest(pond.ingest, key);
    const { etag } = (await (await put(key, "a,b\n1\n")).json()) as { etag: string };
    await ingest(pond.ingest, key);

    const { rows, rejection } = await outcome(key);
    expect(rows).to.deep.include({ rows: 1 });
    expect(rejection).to.deep.include({ code: "malformed-csv", keptRows: 1 });
    expect((rejection as { source: object }).source).to.deep.include({ key, etag });
  });

  it("takes an empty file as what it is", async () => {
    await put("inbox/nothing.csv", "");
    await ingest(pond.ingest, "inbox/nothing.csv");
    expect((await outcome("inbox/nothing.csv"))["rejection"]).to.deep.include({
      code: "empty-file",
    });
  });

  it("leaves nothing of a file that broke off", async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from("id\n1\n");
        throw new Error("the line went dead");
      })(),
    );
    const before = await onTheirWay();
    const answer = await put("inbox/half.csv", Readable.toWeb(broken) as ReadableStream);

    expect(answer.status).to.equal(500);
    expect(await there()).to.not.include("half.csv");
    expect(await onTheirWay()).to.deep.equal(before);
  });

  for (const [key, part] of [
    ["lake/trips/a.parquet", "not under inbox/"],
    ["inbox/../lake/trips/a.parquet", '"." or ".."'],
    ["inbox/trips/.hidden.csv", "a hidden file"],
    ["inbox/trips/", "a folder marker"],
    ["inbox/2024-05.csv", "can't be the name of a table: expected a file name"],
    ["inbox/trips/a.exe", "says nothing that Millpond can read"],
    [`inbox/trips/${"x".repeat(1100)}.csv`, "at most 1024 bytes"],
    ["inbox/trips/a\0.csv", "can hold the key"],
    [`inbox/trips/${"x".repeat(300)}.csv`, "can hold the key"],
  ] as const) {
    it(`refuses ${JSON.stringify(key).slice(0, 50)}, and writes nothing`, async () => {
      const before = await there();
      const answer = await code(put(key, "id\n1\n"));

      expect(answer).to.deep.include({ status: 400, code: "key-invalid" });
      expect(answer.detail).to.contain(part);
      expect(await there()).to.deep.equal(before);
      expect(await fs.readdir(path.join(folder, "pond"))).to.not.include("trips");
    });
  }

  it("refuses a file where a folder is, and a folder where a file is", async () => {
    await put("inbox/taken/in.csv/a.csv", "id\n1\n");
    expect(await code(put("inbox/taken/in.csv", "id\n1\n"))).to.include({ code: "key-invalid" });
    await put("inbox/taken/b.csv", "id\n1\n");
    expect(await code(put("inbox/taken/b.csv/a.csv", "id\n"))).to.include({ code: "key-invalid" });
  });

  it("does not follow a link out of the pond", async () => {
    await fs.mkdir(path.join(folder, "outside"));
    await fs.symlink(path.join(folder, "outside"), path.join(folder, "pond/inbox/linked"));

    expect(await code(put("inbox/linked/a.csv", "id\n1\n"))).to.include({ code: "key-invalid" });
    expect(await fs.readdir(path.join(folder, "outside"))).to.deep.equal([]);
  });

  it("takes none where it is told so, and still says what became of one", async () => {
    const before = await there();
    expect(await code(offer({ key: "inbox/a.csv" }, closed))).to.include({
      status: 403,
      code: "uploads-off",
    });
    expect(await code(put("inbox/a.csv", "id\n", closed))).to.include({ code: "uploads-off" });
    expect(await there()).to.deep.equal(before);
    expect((await closed.http.request("/inbox?key=inbox/a.csv")).status).to.equal(200);
  });

  it("says what a request lacks", async () => {
    expect(await code(pond.http.request("/inbox"))).to.include({
      status: 400,
      code: "key-invalid",
    });
    for (const body of [{}, { key: 1 }, { key: "inbox/a.csv", bytes: 1 }, []]) {
      const answer = await code(offer(body));
      expect(answer).to.include({ status: 400, code: "body-invalid" });
      expect(answer.detail).to.contain('expected {"key": "inbox/');
    }
    const allow = (await pond.http.request("/inbox", { method: "DELETE" })).headers.get("allow");
    expect(allow).to.equal("POST, GET, PUT");
  });
});
