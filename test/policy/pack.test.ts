import { expect } from "chai";
import { PolicyPackProcess } from "./pack.ts";

describe("the policy pack, as Pulumi runs it", () => {
  let pack: PolicyPackProcess;

  before(async () => {
    pack = await PolicyPackProcess.start();
  });
  after(() => pack?.stop());

  const bucket = (props: object) => ({
    type: "aws:s3/bucket:Bucket",
    name: "data",
    props: { bucket: "data-1", ...props },
    protect: false,
  });
  const fn = (architecture: string) => ({
    type: "aws:lambda/function:Function",
    name: "query",
    props: { architectures: [architecture], loggingConfig: { logGroup: "/g" } },
    protect: false,
  });
  const log = {
    type: "aws:cloudwatch/logGroup:LogGroup",
    name: "log",
    props: { name: "/g", retentionInDays: 30 },
    protect: false,
  };
  const namesOf = (said: { policyname: string }[]) => said.map(({ policyname }) => policyname);

  it("says what is wrong with one resource, and with all together", async () => {
    const said = await pack.analyze([bucket({ forceDestroy: true })]);

    expect(namesOf(said)).to.have.members(["data-stays", "no-public-bucket", "encrypted"]);
    expect(said.map(({ message }) => message).join("\n")).to.contain(
      "data is emptied by pulumi destroy (forceDestroy)",
    );
  });

  it("takes the architecture that it is told, and arm64 without", async () => {
    const standard = [
      await pack.analyze([fn("arm64"), log]),
      await pack.analyze([fn("x86_64"), log]),
    ];
    await pack.configure("one-architecture", { architecture: "x86_64" });
    const told = [await pack.analyze([fn("arm64"), log]), await pack.analyze([fn("x86_64"), log])];

    expect(standard.map(namesOf)).to.deep.equal([[], ["one-architecture"]]);
    expect(told.map(namesOf)).to.deep.equal([["one-architecture"], []]);
  });
});
