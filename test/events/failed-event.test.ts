import { expect } from "chai";
import { decodeFailedEvent, tablesOf } from "../../app/events/failed-event.ts";
import { decodeObjectEvents, objectMessage, wrapObjectEvent } from "../../app/events/s3-event.ts";

const at = new Date("2024-02-29T12:00:00Z");
const event = wrapObjectEvent("pond", "inbox/trips/a b.csv", "ObjectCreated:Put", at);
const functionArn =
  "arn:aws:lambda:eu-central-1:123456789012:function:millpond-dev-ingest-image:$LATEST";

describe("decodeFailedEvent", () => {
  // As AWS documents it, but for the values.
  const record = {
    version: "1.0",
    timestamp: "2024-02-29T12:05:00.000Z",
    requestContext: {
      requestId: "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
      functionArn,
      condition: "RetriesExhausted",
      approximateInvokeCount: 3,
    },
    requestPayload: event,
    responseContext: { statusCode: 200, executedVersion: "$LATEST", functionError: "Unhandled" },
    responsePayload: { errorType: "store-unavailable", errorMessage: "SlowDown", trace: [] },
  };

  it("reads Lambda's record of an event that its function failed at", () => {
    expect(decodeFailedEvent(JSON.stringify(record))).to.deep.equal({
      event,
      functionArn,
      code: "store-unavailable",
      message: "SlowDown",
    });
  });

  it("reads a record without an answer, as of an event that grew too old", () => {
    const { responsePayload: _, ...rest } = record;
    const requestContext = { ...record.requestContext, condition: "EventAgeExceeded" };

    for (const body of [
      { ...rest, requestContext },
      { ...rest, requestContext, responsePayload: null },
    ]) {
      expect(decodeFailedEvent(JSON.stringify(body))).to.include({
        code: "EventAgeExceeded",
        message: "",
      });
    }
  });

  it("reads a record whose answer is no error's, as of a function that wrote what it liked", () => {
    for (const responsePayload of ["gone", [1], { errorType: 7 }]) {
      const body = JSON.stringify({ ...record, responsePayload });

      expect(decodeFailedEvent(body), body).to.deep.include({ event, code: "RetriesExhausted" });
    }
  });

  it("puts what SNS could not deliver back into SNS's envelope", () => {
    const Message = objectMessage("pond", "inbox/trips/a b.csv", "ObjectCreated:Put", at);
    const TopicArn = "arn:aws:sns:eu-central-1:123456789012:millpond-dev-uploads";
    const notification = {
      Type: "Notification",
      MessageId: "m",
      TopicArn,
      Message,
      Signature: "s",
    };
    const attributes = { ErrorCode: "Throttling", ErrorMessage: "Rate exceeded" };

    const failed = decodeFailedEvent(JSON.stringify(notification), attributes);

    expect(failed).to.include({ code: "Throttling", message: "Rate exceeded" });
    expect(failed?.functionArn).to.equal(undefined);
    expect(decodeObjectEvents(failed?.event)).to.deep.equal([
      { bucket: "pond", key: "inbox/trips/a b.csv", topic: TopicArn },
    ]);
    expect(failed?.event).to.have.nested.property("Records[0].Sns.Signature", "s");
  });

  for (const body of ["", "hello", "null", "[]", "{}", '{"Type":"Notification"}']) {
    it(`takes ${JSON.stringify(body)} for neither`, () => {
      expect(decodeFailedEvent(body)).to.equal(undefined);
    });
  }

  it("takes a record without the event for neither", () => {
    const { requestPayload: _, ...rest } = record;

    expect(decodeFailedEvent(JSON.stringify(rest))).to.equal(undefined);
  });
});

describe("tablesOf", () => {
  it("names each table of an event once, and none for what names none", () => {
    const [one] = event.Records;
    const of = (key: string) => wrapObjectEvent("pond", key, "ObjectCreated:Put", at).Records[0];

    expect(tablesOf({ Records: [one, of("inbox/u.csv"), of("inbox/trips/2.csv")] })).to.deep.equal([
      "trips",
      "u",
    ]);
    expect(tablesOf({ Records: [of("lake/t/x.parquet"), of("inbox/Bad Name.csv")] })).to.deep.equal(
      [],
    );
    expect(tablesOf({ rate: "1 hour" })).to.deep.equal([]);
  });
});
