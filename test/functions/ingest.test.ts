import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect } from "chai";
import { environmentNames, smokeTable } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { objectMessage, wrapObjectEvent } from "../../app/events/s3-event.ts";
import { createHandler } from "../../app/functions/ingest.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { localContext } from "../../cli/local-context.ts";
import { rejection } from "../failure.ts";
import { intercepted } from "../store/intercepted.ts";

const topic = "arn:aws:sns:eu-central-1:123456789012:ours";

describe("the ingest function", () => {
  let folder: string;
  let pond: Pond;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({
      [environmentNames.store]: folder,
      [environmentNames.eventTopics]: `${topic},${topic}-too`,
    });
    const logger = createLogger({ environment: { LOG_LEVEL: "fatal" } });
    logger.silent = true;
    pond = await openPond(settings, logger);
    await fs.mkdir(path.join(folder, "inbox/t"), { recursive: true });
    await fs.writeFile(path.join(folder, "inbox/t/a.csv"), "id\n1\n");
  });
  after(async () => {
    await pond.close();
    await fs.rm(folder, { recursive: true });
  });

  const at = new Date("2024-02-29T12:00:00Z");
  /** An event by way of a topic. */
  function byTopic(TopicArn: string | undefined, key: string, bucket = "pond") {
    const event = wrapObjectEvent(bucket, key, "ObjectCreated:Put", at);
    for (const { Sns } of event.Records) Object.assign(Sns, { TopicArn });
    return event;
  }
  /** With a store that counts what it is asked. */
  async function handle(event: unknown, remainingMs = 60_000) {
    let asked = 0;
    const store = new Proxy(pond.store, {
      get(target, name) {
        asked += 1;
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const context = { ...localContext("ingest"), getRemainingTimeInMillis: () => remainingMs };
    const watched = { ...pond, store, ingest: { ...pond.ingest, store } };
    const summary = await createHandler(() => Promise.resolve(watched))(event, context);
    return { summary, asked };
  }

  const others: [what: string, event: unknown][] = [
    ["another topic", byTopic(`${topic}-not`, "inbox/t/a.csv")],
    ["no topic that it names, though in SNS's envelope", byTopic(undefined, "inbox/t/a.csv")],
    ["another bucket", byTopic(topic, "inbox/t/a.csv", "puddle")],
    ["what it writes itself", byTopic(topic, "lake/t/a.parquet")],
    ["its rejections", byTopic(topic, "rejected/t/a.json")],
    ["the results of queries", byTopic(topic, "results/a.csv")],
    ["a prefix that only begins alike", byTopic(topic, "inboxes/t/a.csv")],
  ];
  for (const [what, event] of others) {
    it(`refuses an event of ${what}, and touches nothing`, async () => {
      const { summary, asked } = await handle(event);

      expect(summary).to.include({ refused: 1, converted: 0 });
      expect(asked).to.equal(0);
    });
  }

  it("measures what became of files", async () => {
    const measured: unknown[] = [];
    const logger = Object.create(pond.logger) as Pond["logger"];
    logger.log = ((_: string, __: string, line: { metrics?: unknown }) => {
      measured.push(line.metrics);
    }) as unknown as typeof logger.log;
    const parts = { ...pond, logger };
    const handler = createHandler(() => Promise.resolve(parts));
    const tell = async (key: string) =>
      await handler(byTopic(topic, key), { ...localContext("ingest") });
    const file = path.join(folder, "inbox/m/a.csv");
    await fs.mkdir(path.dirname(file));
    const begun = Date.now();
    await fs.writeFile(file, "id\n1\n2\n");

    await tell("inbox/m/a.csv");
    const since = Date.now() - begun;
    await tell("inbox/m/a.csv");
    await fs.writeFile(path.join(folder, "inbox/m/b.csv"), "id\n1,2\n");
    await tell("inbox/m/b.csv");
    await tell("inbox/m/b.csv");
    await fs.mkdir(path.join(folder, `inbox/${smokeTable}`));
    await fs.writeFile(path.join(folder, `inbox/${smokeTable}/a.csv`), "id\n1,2\n");
    await tell(`inbox/${smokeTable}/a.csv`);
    await fs.writeFile(path.join(folder, "inbox/m/b.csv"), "id\n1,2,3\n");
    await tell("inbox/m/b.csv");

    const [converted, unchanged, rejected, again, smoked, anew] = measured as Record<
      string,
      number
    >[];
    expect(converted).to.include({ FilesConverted: 1, RowsConverted: 2, SourceBytes: 7 });
    expect(converted?.["ParquetBytes"]).to.be.greaterThan(100);
    // The clock of file systems ticks every few milliseconds.
    expect(converted?.["IngestLag"]).to.be.within(0, since + 50);
    expect(unchanged).to.equal(undefined);
    expect(rejected).to.deep.equal({ FilesRejected: 1 });
    expect(again).to.equal(undefined);
    expect(smoked).to.equal(undefined);
    expect(anew).to.deep.equal({ FilesRejected: 1 });
  });

  it("takes events of each of its topics, and those straight from S3", async () => {
    const straight = JSON.parse(objectMessage("pond", "inbox/t/a.csv", "ObjectCreated:Put", at));

    const { summary } = await handle(byTopic(topic, "inbox/t/a.csv"));
    expect(summary).to.include({ refused: 0, converted: 1 });
    expect((await handle(byTopic(`${topic}-too`, "inbox/t/a.csv"))).summary).to.include({
      unchanged: 1,
    });
    expect((await handle(straight)).summary).to.include({ unchanged: 1 });
  });

  it("does what there is time for, and throws the rest for another try, by its code", async () => {
    const names = ["b", "c", "d"];
    for (const name of names)
      await fs.writeFile(path.join(folder, `inbox/t/${name}.csv`), "id\n1\n");
    const Records = names.map((name) => byTopic(topic, `inbox/t/${name}.csv`).Records[0] as object);
    const begun = Date.now();
    const context = {
      ...localContext("ingest"),
      // The second of the three takes all of it.
      getRemainingTimeInMillis: () => Math.max(0, begun + 5600 - Date.now()),
    };
    let looked = 0;
    const store = intercepted(pond.store, {
      checkOut: async () => {
        looked += 1;
        if (looked === 2) await new Promise(() => {});
      },
    });
    const slow = { ...pond, ingest: { ...pond.ingest, store } };

    const error = await rejection(createHandler(() => Promise.resolve(slow))({ Records }, context));

    expect(error.name).to.equal("late");
    expect(error.message).to.match(
      /^2 of 3 sources could not be ingested: too little time was left for inbox\/t\/c\.csv/,
    );
    expect(looked).to.equal(2);
    const { summary } = await handle({ Records });
    expect(summary).to.include({ unchanged: 1, converted: 2 });
  });
});
