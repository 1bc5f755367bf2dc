import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import pLimit from "p-limit";
import type { ObjectSummary, PutOptions, Store } from "../../app/store/store.ts";

/** A store to test, and a way to put an object there that Millpond did not write, as people do. */
export interface StoreUnderTest {
  store: Store;
  scratch: string;
  drop(key: string, content: string): Promise<void>;
}

/** What every store promises. Each implementation's test calls it with its own. */
export function itKeepsTheContract(
  open: () => Promise<StoreUnderTest>,
  close: () => Promise<void>,
) {
  let store: Store;
  let scratch: string;
  let drop: StoreUnderTest["drop"];

  beforeEach(async () => {
    ({ store, scratch, drop } = await open());
  });
  afterEach(async () => await close());

  const options = (condition: PutOptions["condition"], metadata = {}): PutOptions => ({
    condition,
    metadata,
    contentType: "text/plain",
  });
  const absent = { ifAbsent: true } as const;
  async function listed(prefix: string): Promise<ObjectSummary[]> {
    const found: ObjectSummary[] = [];
    for await (const summary of store.list(prefix)) found.push(summary);
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  describe("head", () => {
    it("says nothing of what isn't there", async () => {
      expect(await store.head("inbox/none.csv")).to.equal(undefined);
      expect(await store.head("none/at/all")).to.equal(undefined);
    });

    it("says what was put, with its metadata", async () => {
      const put = await store.putText("lake/t/a", "hello", options(absent, { rows: "7" }));

      const head = await store.head("lake/t/a");

      expect(put).to.deep.equal({ kind: "stored", etag: head?.etag });
      expect(head).to.deep.include({ key: "lake/t/a", size: 5, metadata: { rows: "7" } });
      expect(head?.lastModified.getTime()).to.be.closeTo(Date.now(), 60_000);
    });

    it("gives what people drop an ETag of its content, and no metadata", async () => {
      await drop("inbox/a.csv", "one");
      const one = await store.head("inbox/a.csv");
      await drop("inbox/a.csv", "two");
      const two = await store.head("inbox/a.csv");
      await drop("inbox/a.csv", "one");
      const again = await store.head("inbox/a.csv");

      expect(one?.metadata).to.deep.equal({});
      expect(two?.etag).to.not.equal(one?.etag);
      expect(again?.etag).to.equal(one?.etag);
    });

    it("forgets metadata when somebody else replaces the object", async () => {
      await store.putText("lake/t/a", "hello", options(absent, { rows: "7" }));
      const before = await store.head("lake/t/a");
      await drop("lake/t/a", "jello");

      const after = await store.head("lake/t/a");

      expect(after?.metadata).to.deep.equal({});
      expect(after?.etag).to.not.equal(before?.etag);
    });
  });

  describe("put", () => {
    it("refuses to write over what it believes absent", async () => {
      await drop("lake/t/a", "theirs");

      const put = await store.putText("lake/t/a", "ours", options(absent));

      expect(put).to.deep.equal({ kind: "conflict" });
      expect((await store.read("lake/t/a"))?.text).to.equal("theirs");
    });

    it("replaces the version it was told, and no other", async () => {
      await store.putText("lake/t/a", "one", options(absent));
      const etag = (await store.head("lake/t/a"))?.etag as string;

      const first = await store.putText("lake/t/a", "two", options({ ifMatch: etag }));
      const second = await store.putText("lake/t/a", "three", options({ ifMatch: etag }));

      expect(first.kind).to.equal("stored");
      expect(second).to.deep.equal({ kind: "conflict" });
      expect((await store.read("lake/t/a"))?.text).to.equal("two");
    });

    it("refuses to replace what is gone", async () => {
      const put = await store.putText("lake/t/a", "x", options({ ifMatch: "abc" }));

      expect(put).to.deep.equal({ kind: "conflict" });
      expect(await store.head("lake/t/a")).to.equal(undefined);
    });

    it("gives other content another ETag", async () => {
      await store.putText("lake/t/a", "one", options(absent));
      const etag = (await store.head("lake/t/a"))?.etag as string;

      const put = await store.putText("lake/t/a", "two", options({ ifMatch: etag }));

      expect(put).to.deep.equal({
        kind: "stored",
        etag: (await store.head("lake/t/a"))?.etag,
      });
      expect((await store.head("lake/t/a"))?.etag).to.not.equal(etag);
    });

    it("lets exactly one of many writers win", async () => {
      const writers = Array.from({ length: 20 }, (_, i) => `writer ${i}`);

      const results = await Promise.all(
        writers.map((text) => store.putText("lake/t/a", text, options(absent))),
      );

      const winners = writers.filter((_, i) => results[i]?.kind === "stored");
      expect(winners).to.have.length(1);
      expect((await store.read("lake/t/a"))?.text).to.equal(winners[0]);
    });

    it("takes a file", async () => {
      const file = path.join(scratch, "made.bin");
      await fs.writeFile(file, "from a file");

      await store.putFile("lake/t/a", file, options(absent));

      expect((await store.read("lake/t/a"))?.text).to.equal("from a file");
      expect(await fs.readdir(scratch)).to.deep.equal([]);
    });

    it("leaves the file of a write that lost", async () => {
      const file = path.join(scratch, "made.bin");
      await fs.writeFile(file, "from a file");
      await drop("lake/t/a", "theirs");

      const put = await store.putFile("lake/t/a", file, options(absent));

      expect(put).to.deep.equal({ kind: "conflict" });
      expect(await fs.readFile(file, "utf8")).to.equal("from a file");
    });
  });

  describe("delete", () => {
    it("deletes the version it was told, and no other", async () => {
      await store.putText("lake/t/a", "one", options(absent));
      const etag = (await store.head("lake/t/a"))?.etag as string;
      await store.putText("lake/t/a", "two", options({ ifMatch: etag }));

      await store.delete("lake/t/a", etag);
      const kept = await store.read("lake/t/a");
      await store.delete("lake/t/a", kept?.etag as string);

      expect(kept?.text).to.equal("two");
      expect(await store.head("lake/t/a")).to.equal(undefined);
    });

    it("takes a version that is no more as deleted", async () => {
      await store.putText("lake/t/a", "one", options(absent));

      await store.delete("lake/t/a", '"0123456789abcdef0123456789abcdef"');

      expect((await store.read("lake/t/a"))?.text).to.equal("one");
    });

    it("takes what is gone as deleted", async () => {
      await store.delete("lake/t/none", "abc");

      expect(await store.head("lake/t/none")).to.equal(undefined);
    });
  });

  describe("list", () => {
    it("lists the objects under a prefix, at any depth, with what head says of them", async () => {
      for (const key of ["lake/t/b", "lake/t/deep/er/c", "lake/tt/d", "inbox/e.csv"]) {
        await drop(key, key);
      }

      const under = await listed("lake/t/");
      const head = await store.head("lake/t/b");

      expect(under.map(({ key }) => key)).to.deep.equal(["lake/t/b", "lake/t/deep/er/c"]);
      expect({ ...under[0], metadata: {} }).to.deep.equal(head);
      expect(await listed("none/")).to.deep.equal([]);
    });

    it("lists more than one answer of S3 holds", async function () {
      this.timeout(60_000);
      const keys = Array.from({ length: 1100 }, (_, i) => `inbox/many/${i}.csv`);
      const limit = pLimit(16);
      await Promise.all(keys.map((key) => limit(() => drop(key, "x"))));

      expect((await listed("inbox/many/")).map(({ key }) => key)).to.have.members(keys);
    });
  });

  describe("checkOut", () => {
    it("gives the version as a file under a name without patterns", async () => {
      const key = "inbox/t/a [b]*?{c}'\".csv";
      await drop(key, "content");
      const etag = (await store.head(key))?.etag as string;

      const copy = await store.checkOut(key, etag, scratch);

      expect(copy?.path).to.match(/^[\w./-]+$/);
      expect(await fs.readFile(copy?.path as string, "utf8")).to.equal("content");
      expect(await copy?.intact()).to.equal(true);
    });

    it("gives an empty object as an empty file", async () => {
      await drop("inbox/none.csv", "");
      const etag = (await store.head("inbox/none.csv"))?.etag as string;

      const copy = await store.checkOut("inbox/none.csv", etag, scratch);

      expect(await fs.readFile(copy?.path as string, "utf8")).to.equal("");
    });

    it("gives a large object to the last byte", async () => {
      const file = path.join(scratch, "large.bin");
      // Beyond two parts of an upload or a download, and no multiple of one.
      const content = randomBytes(35 * 1024 * 1024 + 7);
      await fs.writeFile(file, content);
      await store.putFile("lake/t/large", file, options(absent, { rows: "3" }));
      const head = await store.head("lake/t/large");

      const copy = await store.checkOut("lake/t/large", head?.etag as string, scratch);

      expect(head).to.deep.include({ size: content.length, metadata: { rows: "3" } });
      expect(content.equals(await fs.readFile(copy?.path as string))).to.equal(true);
      await fs.access(file).then(
        () => expect.fail("the file was not moved"),
        () => {},
      );
    });

    it("gives nothing for another version, or none", async () => {
      await drop("inbox/a.csv", "one");
      const etag = (await store.head("inbox/a.csv"))?.etag as string;
      await drop("inbox/a.csv", "two");

      expect(await store.checkOut("inbox/a.csv", etag, scratch)).to.equal(undefined);
      expect(await store.checkOut("inbox/none.csv", etag, scratch)).to.equal(undefined);
    });
  });

  it("keeps each key apart, whatever it is made of", async () => {
    const part = fc
      .oneof(
        fc.stringMatching(/^[ -.0-~]{1,20}$/),
        fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
        fc.constantFrom(
          "a",
          "A",
          "a b",
          "a+b",
          "a%20b",
          "a#b",
          "a?b",
          "a*b",
          "[a]",
          "'a'",
          "😀",
          "é",
          "e\u0301",
        ),
      )
      .filter(
        (text) => !["", ".", ".."].includes(text) && !/[/\0]/.test(text) && text.isWellFormed(),
      );
    const keys = fc.uniqueArray(part, { minLength: 1, maxLength: 6 });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(keys, async (names) => {
        run += 1;
        for (const name of names) {
          const put = await store.putText(`lake/r${run}/${name}`, name, options(absent));
          expect(put.kind).to.equal("stored");
        }

        const found = await listed(`lake/r${run}/`);

        expect(found.map(({ key }) => key)).to.have.members(names.map((n) => `lake/r${run}/${n}`));
        for (const name of names) {
          expect((await store.read(`lake/r${run}/${name}`))?.text).to.equal(name);
        }
      }),
      { numRuns: 40 },
    );
  });
}
