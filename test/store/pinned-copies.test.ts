import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { MillpondError } from "../../app/errors.ts";
import { FolderStore } from "../../app/store/folder-store.ts";
import { PinnedCopies, type Version } from "../../app/store/pinned-copies.ts";

describe("PinnedCopies", () => {
  let folder: string;
  let copiesFolder: string;
  let store: FolderStore;
  let copies: PinnedCopies;
  const limits = { objectBytes: 10, totalBytes: 25 };

  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    copiesFolder = path.join(folder, ".millpond/copies");
    await fs.mkdir(copiesFolder, { recursive: true });
    store = FolderStore.open(folder, path.join(folder, ".millpond"));
    copies = new PinnedCopies(store, copiesFolder, limits);
  });
  afterEach(async () => {
    await store.close();
    await fs.rm(folder, { recursive: true });
  });

  async function drop(name: string, content: string): Promise<Version> {
    const file = path.join(folder, "lake", name);
    await fs.mkdir(path.dirname(file), { recursive: true });
    await fs.writeFile(file, content);
    const head = await store.head(`lake/${name}`);
    if (head === undefined) throw new Error(`${name} was not written`);
    return head;
  }
  const read = (versions: Version[]) =>
    copies.with(versions, (found) =>
      Promise.all(found.map(({ path: file }) => fs.readFile(file, "utf8"))),
    );
  const copied = async () => (await fs.readdir(copiesFolder)).length;

  it("gives copies of what is small, and the place of what is large, in order", async () => {
    const versions = [await drop("a", "large enough to stay"), await drop("b", "small")];

    const found = await copies.with(versions, async (located) => located);

    expect(found?.[0]).to.deep.equal({ path: store.locate("lake/a"), pinned: false });
    expect(found?.[1]?.pinned).to.equal(true);
    expect(found?.[1]?.path).to.match(new RegExp(`^${copiesFolder}/`));
    expect(await read(versions)).to.deep.equal(["large enough to stay", "small"]);
  });

  it("fetches each version once, however many ask", async () => {
    const versions = [await drop("a", "one")];

    await Promise.all([read(versions), read(versions)]);
    await read([...versions, ...versions]);

    expect(await copied()).to.equal(1);
  });

  it("gives nothing where a version is gone, and forgets that it was asked for", async () => {
    const old = await drop("a", "old");
    const other = await drop("b", "other");
    const now = await drop("a", "new");
    let called = false;

    const answer = await copies.with([other, old], async () => {
      called = true;
    });

    expect(answer).to.equal(undefined);
    expect(called).to.equal(false);
    expect(await read([other, now])).to.deep.equal(["other", "new"]);
  });

  it("makes room for what is asked for now, by what was asked for longest ago", async () => {
    const [a, b, c] = [
      await drop("a", "aaaaaaaaaa"),
      await drop("b", "bbbbbbbbbb"),
      await drop("c", "cccccccccc"),
    ];
    await read([a]);
    await read([b]);
    await read([a]);

    await read([c]);

    const kept = await copies.with([a, c], async (found) => found);
    expect(kept?.every(({ pinned }) => pinned)).to.equal(true);
    expect(await contents()).to.have.members(["aaaaaaaaaa", "cccccccccc"]);
  });

  async function contents(): Promise<string[]> {
    const names = await fs.readdir(copiesFolder);
    return await Promise.all(
      names.map((name) => fs.readFile(path.join(copiesFolder, name), "utf8")),
    );
  }

  it("keeps what is being read, and reads in place what there is no room for", async () => {
    const versions = [
      await drop("a", "aaaaaaaaaa"),
      await drop("b", "bbbbbbbbbb"),
      await drop("c", "cccccccccc"),
    ];

    const paths = await copies.with(versions, async (found) => {
      expect(
        await Promise.all(found.map(({ path: file }) => fs.readFile(file, "utf8"))),
      ).to.deep.equal(["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"]);
      return found;
    });

    expect(paths?.map(({ pinned }) => pinned)).to.deep.equal([true, true, false]);
    expect(paths?.[2]?.path).to.equal(store.locate("lake/c"));
  });

  it("gives room back after work that failed", async () => {
    const versions = [await drop("a", "aaaaaaaaaa"), await drop("b", "bbbbbbbbbb")];
    for (let i = 0; i < 3; i += 1) {
      await copies
        .with(versions, () => Promise.reject(new Error("the work failed")))
        .catch((error: Error) => expect(error.message).to.equal("the work failed"));
    }

    const others = [await drop("c", "cccccccccc"), await drop("d", "dddddddddd")];
    const paths = await copies.with(others, async (found) => found);

    expect(paths?.every(({ pinned }) => pinned)).to.equal(true);
  });

  it("reads in place what the disk has no room for", async () => {
    const full = Object.assign(Object.create(store) as FolderStore, {
      checkOut: () => Promise.reject(new MillpondError("disk-full", "no space is left")),
      locate: (key: string) => store.locate(key),
    });
    copies = new PinnedCopies(full, copiesFolder, limits);
    const version = await drop("a", "aaaaaaaaaa");

    expect(await copies.with([version], async (found) => found)).to.deep.equal([
      { path: store.locate("lake/a"), pinned: false },
    ]);
  });
});
