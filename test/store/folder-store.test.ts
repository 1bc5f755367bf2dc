import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { privateFolder } from "../../app/contract.ts";
import { FolderStore } from "../../app/store/folder-store.ts";
import { itKeepsTheContract } from "./store.contract.ts";

describe("FolderStore", () => {
  let folder: string;
  let scratch: string;
  let store: FolderStore;

  async function open() {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    scratch = path.join(folder, privateFolder, "scratch");
    await fs.mkdir(scratch, { recursive: true });
    store = FolderStore.open(folder, scratch);
    return { store, scratch, drop };
  }
  async function close() {
    await store.close();
    await fs.rm(folder, { recursive: true });
  }
  async function drop(key: string, content: string) {
    const file = path.join(folder, key);
    await fs.mkdir(path.dirname(file), { recursive: true });
    // In place, in the same tick and of the same size: what a look at the file's times alone would miss.
    await fs.writeFile(file, content);
  }

  describe("the contract of stores", () => itKeepsTheContract(open, close));

  describe("beside the contract", () => {
    beforeEach(open);
    afterEach(close);

    const absent = { condition: { ifAbsent: true }, contentType: "text/plain" } as const;

    for (const key of [
      "../outside",
      "inbox/../../outside",
      "inbox//x",
      "/etc/passwd",
      "inbox/a\0b",
      `inbox/${"x".repeat(256)}`,
      `${privateFolder}/objects.sqlite`,
      ".",
    ]) {
      it(`refuses the key ${JSON.stringify(key.slice(0, 40))}`, async () => {
        const put = await store.putText(key, "x", absent).then(
          () => "stored",
          (error: { code: string }) => error.code,
        );

        expect(put).to.equal("key");
        expect(await store.head(key)).to.equal(undefined);
      });
    }

    it("gives each write an ETag of its own, also of the same content", async () => {
      const first = await store.putText("lake/t/a", "same", absent);
      if (first.kind !== "stored") return expect.fail("the first write lost");

      const again = await store.putText("lake/t/a", "same", {
        ...absent,
        condition: { ifMatch: first.etag },
      });

      expect(again).to.include({ kind: "stored" });
      expect(again).to.not.deep.equal(first);
    });

    it("never follows a link out of the folder", async () => {
      await fs.mkdir(path.join(folder, "inbox"));
      await fs.symlink("/etc/hostname", path.join(folder, "inbox/link.csv"));
      await fs.symlink("/etc", path.join(folder, "inbox/links"));

      const listed = [];
      for await (const { key } of store.list("inbox/")) listed.push(key);

      expect(await store.head("inbox/link.csv")).to.equal(undefined);
      expect(listed).to.deep.equal([]);
    });

    it("finds nothing behind a folder that is a link", async () => {
      await fs.mkdir(path.join(folder, "elsewhere"));
      await fs.writeFile(path.join(folder, "elsewhere/a.csv"), "a");
      await fs.mkdir(path.join(folder, "inbox"));
      await fs.symlink(path.join(folder, "elsewhere"), path.join(folder, "inbox/link"));

      expect(await store.head("inbox/link/a.csv")).to.equal(undefined);
      expect(await store.checkOut("inbox/link/a.csv", "x", scratch)).to.equal(undefined);
    });

    it("notices another file of the same size and time, as archives unpack them", async () => {
      const file = path.join(folder, "inbox/a.csv");
      const old = new Date("2020-01-01");
      await drop("inbox/a.csv", "one");
      await fs.utimes(file, old, old);
      const before = await store.head("inbox/a.csv");
      await fs.rm(file);
      await drop("inbox/a.csv", "two");
      await fs.utimes(file, old, old);

      expect((await store.head("inbox/a.csv"))?.etag).to.not.equal(before?.etag);
    });

    it("notices a change during the reading of what it checked out", async () => {
      await drop("inbox/a.csv", "one");
      const etag = (await store.head("inbox/a.csv"))?.etag as string;
      const copy = await store.checkOut("inbox/a.csv", etag, scratch);

      await fs.writeFile(path.join(folder, "inbox/a.csv"), "two");

      expect(await copy?.intact()).to.equal(false);
    });

    it("keeps what it checked out when the file is replaced by another", async () => {
      await drop("inbox/a.csv", "one");
      const etag = (await store.head("inbox/a.csv"))?.etag as string;
      const copy = await store.checkOut("inbox/a.csv", etag, scratch);
      await fs.writeFile(path.join(folder, "new"), "two");

      await fs.rename(path.join(folder, "new"), path.join(folder, "inbox/a.csv"));

      expect(await fs.readFile(copy?.path as string, "utf8")).to.equal("one");
      expect(await copy?.intact()).to.equal(true);
    });

    it("lets one of several processes win each round", async function () {
      this.timeout(30_000);
      const script = fileURLToPath(new URL("./racer.ts", import.meta.url));
      const rounds = 30;
      const racers = Array.from({ length: 3 }, (_, i) =>
        spawn(process.execPath, [script, folder, `racer ${i}`, String(rounds)], {
          stdio: ["ignore", "pipe", "inherit"],
        }),
      );

      const outputs = await Promise.all(
        racers.map(async (racer) => {
          let text = "";
          for await (const chunk of racer.stdout) text += String(chunk);
          return text;
        }),
      );

      // Each win is one link of a chain: the next writer has to name the version before.
      const wins = outputs.reduce((sum, text) => sum + Number(text), 0);
      const last = JSON.parse((await store.read("lake/race"))?.text ?? "{}") as { count: number };
      expect(wins).to.be.greaterThan(rounds);
      expect(last.count).to.equal(wins);
    });

    it("is opened anew by several processes at the same time", async function () {
      this.timeout(30_000);
      const openers = Array.from({ length: 4 }, () =>
        fork(fileURLToPath(new URL("./opener.ts", import.meta.url))),
      );
      const said = () =>
        Promise.all(openers.map(async (opener) => String((await once(opener, "message"))[0])));
      try {
        await said();
        // Without care four in ten rounds fail.
        for (let round = 0; round < 25; round += 1) {
          const outcomes = said();
          for (const opener of openers) opener.send(path.join(folder, `round-${round}`));

          expect(await outcomes).to.deep.equal(["open", "open", "open", "open"]);
        }
      } finally {
        for (const opener of openers) opener.kill();
      }
    });

    it("goes on when its sidecar is lost", async () => {
      await store.putText("lake/t/a", "hello", { ...absent, metadata: { rows: "7" } });
      await store.close();
      for (const file of await fs.readdir(path.join(folder, privateFolder))) {
        if (file.startsWith("objects")) await fs.rm(path.join(folder, privateFolder, file));
      }

      store = FolderStore.open(folder, scratch);

      expect((await store.read("lake/t/a"))?.text).to.equal("hello");
      expect((await store.head("lake/t/a"))?.metadata).to.deep.equal({});
    });
  });
});
