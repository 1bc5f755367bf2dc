import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import {
  deploymentCalled,
  deploymentsFrom,
  requireImage,
  type Update,
  unknownBuilds,
} from "../../cli/rollback.ts";
import { rejection } from "../failure.ts";

const repository = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/millpond-prod-functions";
const image = (digit: string) => `${repository}@sha256:${digit.repeat(64)}`;
const update = (day: number, more: Partial<Update> = {}): Update => ({
  version: 0,
  kind: "update",
  result: "succeeded",
  startTime: `2026-01-0${day}T11:50:00.000Z`,
  endTime: `2026-01-0${day}T12:00:00.000Z`,
  ...more,
});
const told = (day: number, value: string, more: Partial<Update> = {}) =>
  update(day, { config: { "millpond:imageUri": { value } }, ...more });
const ran = (day: number, digit: string) => ({
  imageUri: image(digit),
  time: `2026-01-0${day}T12:00:00.400Z`,
});

describe("the images that a stack has run", () => {
  const digits = (...args: Parameters<typeof deploymentsFrom>) =>
    deploymentsFrom(...args).map(({ imageUri }) => imageUri.slice(-1));

  it("are those of its record, each once, with what was said of the update that wrote it", () => {
    const record = [ran(5, "a"), ran(4, "b"), ran(2, "a")];
    const history = [
      update(5, { message: "back to a" }),
      // All functions ran it before something else failed.
      update(4, { result: "failed", message: "b" }),
      update(3, { message: "another setting" }),
      update(2, { message: "a" }),
    ];

    expect(deploymentsFrom(history, record, image("a"))).to.deep.equal([
      { ...ran(5, "a"), message: "back to a", current: true },
      { ...ran(4, "b"), message: "b", current: false },
    ]);
    expect(unknownBuilds(history, record)).to.equal(0);
  });

  it("are what was recorded, and not what an update was told and did not come to", () => {
    const history = [told(5, image("c"), { result: "failed" }), told(4, image("b")), update(2)];

    expect(digits(history, [ran(4, "b"), ran(2, "a")], image("b"))).to.deep.equal(["b", "a"]);
  });

  it("are, of the time before the record, those that updates were told to deploy", () => {
    const history = [
      told(7, image("c")),
      told(6, image("a"), { message: "back to a" }),
      told(5, image("e"), { kind: "destroy" }),
      told(4, image("b")),
      told(3, image("a")),
      update(2),
      update(1, { config: { "millpond:imageUri": { value: "" } } }),
      told(1, image("f"), { result: "failed" }),
    ];

    expect(digits(history, [ran(7, "c")], image("c"))).to.deep.equal(["c", "a", "b"]);
    expect(digits(history, [], image("c"))).to.deep.equal(["c", "a", "b"]);
    expect(unknownBuilds(history, [ran(7, "c")])).to.equal(2);
  });

  it("are called by their number, or the beginning of their digest", () => {
    const known = deploymentsFrom([told(2, image("a")), told(1, image("1"))], [], image("a"));

    for (const [name, digit] of [
      ["1", "a"],
      ["2", "1"],
      ["aaaa", "a"],
      ["1111", "1"],
      [`sha256:${"a".repeat(64)}`, "a"],
      [image("a"), "a"],
    ] as const) {
      expect(deploymentCalled(name, known).imageUri, name).to.equal(image(digit));
    }
    for (const name of ["0", "3", "", "aa", "bbbb", "latest"]) {
      expect(() => deploymentCalled(name, known), name).to.throw(/--to takes a number from 1 to 2/);
    }
  });
});

describe("an image that is to be deployed again", () => {
  let registry: Server;
  let answer: { status: number; body: object };
  let asked: unknown;
  const before = { ...process.env };

  beforeEach(async () => {
    registry = createServer(async (request, response) => {
      asked = JSON.parse((await request.toArray()).join(""));
      response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => registry.listen(0, "127.0.0.1", resolve));
    const { port } = registry.address() as AddressInfo;
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_ECR: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
    });
  });
  afterEach(async () => {
    process.env = { ...before };
    await new Promise((resolve) => registry.close(resolve));
  });

  it("is looked for in its repository, by its digest", async () => {
    answer = { status: 200, body: { imageDetails: [{}] } };

    await requireImage(image("a"));

    expect(asked).to.deep.equal({
      registryId: "111122223333",
      repositoryName: "millpond-prod-functions",
      imageIds: [{ imageDigest: `sha256:${"a".repeat(64)}` }],
    });
  });

  for (const name of ["ImageNotFoundException", "RepositoryNotFoundException"]) {
    it(`is refused where ECR says ${name}`, async () => {
      answer = { status: 400, body: { __type: name } };

      expect(await rejection(requireImage(image("a")))).to.include({ code: "image-gone" });
    });
  }

  it("is tried where nobody may look", async () => {
    answer = { status: 400, body: { __type: "AccessDeniedException" } };

    await requireImage(image("a"));
  });
});
