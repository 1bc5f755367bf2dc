import { expect } from "chai";
import fc from "fast-check";
import {
  decodeKey,
  decodeObjectEvents,
  encodeKey,
  type ObjectChange,
  wrapObjectEvent,
} from "../../app/events/s3-event.ts";
import { failure } from "../failure.ts";

/** Any code points but lone surrogates: a key is UTF-8. */
const key = fc.string({ unit: "binary", maxLength: 200 });

function s3Record(encodedKey: string, changes: Record<string, unknown> = {}) {
  return {
    eventVersion: "2.1",
    eventSource: "aws:s3",
    awsRegion: "eu-central-1",
    eventTime: "2024-02-29T12:00:00.000Z",
    eventName: "ObjectCreated:Put",
    userIdentity: { principalId: "AWS:AIDA" },
    requestParameters: { sourceIPAddress: "192.0.2.1" },
    responseElements: { "x-amz-request-id": "C3D13FE58DE4C810" },
    s3: {
      s3SchemaVersion: "1.0",
      configurationId: "inbox",
      bucket: { name: "pond", ownerIdentity: { principalId: "A3" }, arn: "arn:aws:s3:::pond" },
      object: { key: encodedKey, size: 1024, eTag: "d41d8cd9", sequencer: "0055AED6DCD90281E5" },
    },
    ...changes,
  };
}
const s3Event = (...records: unknown[]) => ({ Records: records });

/** What SNS makes of messages that it hands to a function. */
const inSns = (...messages: unknown[]) => ({
  Records: messages.map((message) => ({
    EventSource: "aws:sns",
    EventVersion: "1.0",
    EventSubscriptionArn: "arn:aws:sns:eu-central-1:123456789012:pond:1",
    Sns: {
      Type: "Notification",
      MessageId: "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
      Subject: "Amazon S3 Notification",
      Message: typeof message === "string" ? message : JSON.stringify(message),
      MessageAttributes: {},
    },
  })),
});

/** S3 sends it when a notification is made. */
const testEvent = {
  Service: "Amazon S3",
  Event: "s3:TestEvent",
  Time: "2024-02-29T12:00:00.000Z",
  Bucket: "pond",
  RequestId: "5582815E1AEA5ADF",
  HostId: "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR",
};

describe("decodeKey", () => {
  const examples: [string, string][] = [
    ["inbox/my+trips.csv", "inbox/my trips.csv"],
    ["inbox/my%20trips.csv", "inbox/my trips.csv"],
    ["inbox/a%2Bb.csv", "inbox/a+b.csv"],
    ["inbox/a%252Bb.csv", "inbox/a%2Bb.csv"],
    ["inbox%2F..%2Flake%2Fa.csv", "inbox/../lake/a.csv"],
    ["inbox/caf%C3%A9.csv", "inbox/café.csv"],
    ["inbox/cafe%CC%81.csv", "inbox/cafe\u0301.csv"],
    ["inbox/%F0%9F%98%80.csv", "inbox/😀.csv"],
    ["inbox/%28a%29%21%27*~.csv", "inbox/(a)!'*~.csv"],
  ];
  for (const [encoded, decoded] of examples) {
    it(`reads ${encoded} as ${JSON.stringify(decoded)}`, () => {
      expect(decodeKey(encoded)).to.equal(decoded);
    });
  }

  it("undoes what S3 does to any key", () => {
    fc.assert(
      fc.property(key, (given) => {
        expect(decodeKey(encodeKey(given))).to.equal(given);
      }),
      { numRuns: 1000 },
    );
  });

  for (const encoded of ["50%.csv", "%zz", "%C3%28", "%E0%A4%A"]) {
    it(`refuses ${encoded}, which is not form-encoded`, () => {
      const error = failure(() => decodeKey(encoded));

      expect(error.code).to.equal("event");
      expect(error.message).to.include(encoded);
    });
  }
});

describe("encodeKey", () => {
  it("writes what a form may hold, and leaves slashes", () => {
    fc.assert(
      fc.property(key, (given) => {
        const encoded = encodeKey(given);

        expect(encoded).to.match(/^(?:[A-Za-z0-9/._~*+-]|%[0-9A-F]{2})*$/);
        expect(encoded.split("/")).to.have.length(given.split("/").length);
      }),
    );
  });

  it("writes a space as a plus, and a plus as %2B", () => {
    expect(encodeKey("inbox/a b+c (1).csv")).to.equal("inbox/a+b%2Bc+%281%29.csv");
  });
});

describe("decodeObjectEvents", () => {
  it("reads the same from S3's event alone and from one in SNS's envelope", () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 4 }), (keys) => {
        const event = s3Event(...keys.map((one) => s3Record(encodeKey(one))));
        const expected = keys.map((one) => ({ bucket: "pond", key: one }));

        expect(decodeObjectEvents(event)).to.deep.equal(expected);
        const topic = "arn:aws:sns:eu-central-1:123456789012:uploads";
        const wrapped = inSns(event);
        for (const { Sns } of wrapped.Records) Object.assign(Sns, { TopicArn: topic });
        expect(decodeObjectEvents(wrapped)).to.deep.equal(
          expected.map((one) => ({ ...one, topic })),
        );
      }),
    );
  });

  it("reads every record of every message, in their order", () => {
    const events = decodeObjectEvents(
      inSns(s3Event(s3Record("a"), s3Record("b")), testEvent, s3Event(s3Record("c"))),
    );

    expect(events.map((event) => event.key)).to.deep.equal(["a", "b", "c"]);
  });

  it("finds no event in S3's test event, alone or in SNS's envelope", () => {
    expect(decodeObjectEvents(testEvent)).to.deep.equal([]);
    expect(decodeObjectEvents(inSns(testEvent))).to.deep.equal([]);
  });

  it("finds no event where there is no record", () => {
    expect(decodeObjectEvents(s3Event())).to.deep.equal([]);
    expect(decodeObjectEvents(inSns(s3Event()))).to.deep.equal([]);
  });

  for (const eventVersion of ["2.1", "2.2", "2.3", "2.4"]) {
    it(`reads version ${eventVersion}, and ignores what it doesn't know of it`, () => {
      const record = s3Record("inbox/a.csv", {
        eventVersion,
        glacierEventData: { restoreEventData: { lifecycleRestoreStorageClass: "GLACIER" } },
        somethingNew: [{ nested: null }],
      });

      expect(decodeObjectEvents(s3Event(record))).to.deep.equal([
        { bucket: "pond", key: "inbox/a.csv" },
      ]);
    });
  }

  const malformed: [string, unknown][] = [
    ["nothing", undefined],
    ["null", null],
    ["text", "inbox/a.csv"],
    ["an empty object", {}],
    ["a list", [s3Record("a")]],
    ["records that are no list", { Records: s3Record("a") }],
    ["a record that is null", s3Event(null)],
    ["a version that isn't known", s3Event(s3Record("a", { eventVersion: "3.0" }))],
    ["a version that is a number", s3Event(s3Record("a", { eventVersion: 2.1 }))],
    ["another source", s3Event(s3Record("a", { eventSource: "aws:sqs" }))],
    ["a record without its object", s3Event(s3Record("a", { s3: { bucket: { name: "pond" } } }))],
    ["a record without its bucket", s3Event(s3Record("a", { s3: { object: { key: "a" } } }))],
    ["a key that is not form-encoded", s3Event(s3Record("50%.csv"))],
    ["a good record before a bad one", s3Event(s3Record("a"), s3Record("50%.csv"))],
    ["another event of S3", { ...testEvent, Event: "s3:OtherEvent" }],
    ["a message that is not JSON", inSns("not JSON")],
    ["a message that is another's", inSns({ default: "hello" })],
    ["an envelope in an envelope", inSns(inSns(s3Event(s3Record("a"))))],
    ["an event of EventBridge", { source: "aws.s3", "detail-type": "Object Created", detail: {} }],
  ];
  for (const [what, event] of malformed) {
    it(`refuses ${what}`, () => {
      const error = failure(() => decodeObjectEvents(event));

      expect(error).to.include({ code: "event", retryable: false });
    });
  }

  it("says where the event is wrong, without repeating it", () => {
    const { message } = failure(() =>
      decodeObjectEvents(s3Event(s3Record("a", { eventVersion: "3.0", secret: "hunter2" }))),
    );

    expect(message).to.include("Records.0.eventVersion");
    expect(message).to.not.include("hunter2");
  });
});

describe("wrapObjectEvent", () => {
  it("makes an event that reads as what it was made of", () => {
    const change = fc.constantFrom<ObjectChange>("ObjectCreated:Put", "ObjectRemoved:Delete");
    fc.assert(
      fc.property(fc.string(), key, change, (bucket, given, what) => {
        const event = wrapObjectEvent(bucket, given, what, new Date("2024-02-29T12:00:00Z"));

        // Through JSON, as Lambda hands it over.
        expect(decodeObjectEvents(JSON.parse(JSON.stringify(event)))).to.deep.equal([
          { bucket, key: given, topic: "" },
        ]);
      }),
    );
  });

  it("says what happened, and when", () => {
    const event = wrapObjectEvent("pond", "a b", "ObjectRemoved:Delete", new Date(0));

    const message = JSON.parse(event.Records[0]?.Sns.Message ?? "") as {
      Records: Record<string, unknown>[];
    };
    expect(message.Records[0]).to.include({
      eventName: "ObjectRemoved:Delete",
      eventTime: "1970-01-01T00:00:00.000Z",
    });
    expect(message.Records[0]?.["s3"]).to.deep.include({ object: { key: "a+b" } });
  });
});
