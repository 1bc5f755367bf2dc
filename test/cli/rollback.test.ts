import { expect } from "chai";
import { deploymentCalled, deploymentsFrom, type Update } from "../../cli/rollback.ts";

const repository = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/millpond-prod-functions";
const image = (digit: string) => `${repository}@sha256:${digit.repeat(64)}`;
const update = (day: number, more: Partial<Update> = {}): Update => ({
  version: 0,
  kind: "update",
  result: "succeeded",
  endTime: `2026-01-0${day}T12:00:00.000Z`,
  ...more,
});
const told = (day: number, value: string, more: Partial<Update> = {}) =>
  update(day, { config: { "millpond:imageUri": { value } }, ...more });

describe("the images that a stack has run", () => {
  it("are those that updates were told to deploy, each once, when it was deployed last", () => {
    const history = [
      told(5, image("a"), { message: "back to a" }),
      told(4, image("b"), { kind: "destroy" }),
      told(3, image("b")),
      told(2, image("a")),
      told(1, image("f"), { result: "failed" }),
    ];

    expect(deploymentsFrom(history, [], image("a"))).to.deep.equal([
      {
        ...{ imageUri: image("a"), time: "2026-01-05T12:00:00.000Z" },
        ...{ message: "back to a", current: true },
      },
      {
        ...{ imageUri: image("b"), time: "2026-01-03T12:00:00.000Z" },
        ...{ message: "", current: false },
      },
    ]);
  });

  it("are those that updates built: the newest that was pushed when one ended", () => {
    const pushed = [
      // Of an update that failed, or is under way.
      { imageUri: image("d"), time: "2026-01-05T11:59:00.000Z" },
      { imageUri: image("c"), time: "2026-01-03T11:58:00.000Z" },
      { imageUri: image("b"), time: "2026-01-01T11:58:00.000Z" },
    ];
    const history = [
      update(5, { result: "failed" }),
      // It changed something else.
      update(4),
      update(3, { config: { "millpond:imageUri": { value: "" } } }),
      told(2, image("a")),
      update(1),
    ];

    expect(
      deploymentsFrom(history, pushed, image("c")).map(({ imageUri }) => imageUri),
    ).to.deep.equal([image("c"), image("a"), image("b")]);
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
