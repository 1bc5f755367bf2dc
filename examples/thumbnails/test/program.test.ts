import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { account, type Built, build, region } from "../../../test/infra/build.ts";
import { found } from "../../../test/policy/found.ts";
import { settingsFrom } from "../functions/settings.ts";

describe("the program of examples/thumbnails", () => {
  const bucketName = `thumbnails-dev-${account}-${region}`;
  const bucketArn = `arn:aws:s3:::${bucketName}`;
  const functionType = "aws:lambda/function:Function";
  const policyType = "aws:iam/rolePolicy:RolePolicy";
  let server: http.Server;
  let tags: Record<string, string> | undefined;
  let runs = 0;
  let built: Built<unknown>;

  before(async () => {
    // As much of S3 as the search for the bucket asks.
    server = http.createServer((_, response) => {
      if (tags === undefined) response.writeHead(404);
      const set = Object.entries(tags ?? {}).map(
        ([k, v]) => `<Tag><Key>${k}</Key><Value>${v}</Value></Tag>`,
      );
      response.end(`<Tagging><TagSet>${set.join("")}</TagSet></Tagging>`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    built = await run();
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  afterEach(() => {
    tags = undefined;
  });

  async function run(config: Record<string, string> = {}): Promise<Built<unknown>> {
    const { port } = server.address() as AddressInfo;
    runs += 1;
    return await build(() => import(`../index.ts?run=${runs}`), {
      project: "thumbnails",
      config: {
        architecture: "arm64",
        "aws:region": region,
        "aws:endpoints": JSON.stringify([{ s3: `http://127.0.0.1:${port}` }]),
        "aws:s3UsePathStyle": "true",
        "aws:accessKey": "test",
        "aws:secretKey": "test",
        ...config,
      },
    });
  }

  it("keeps the images when the stack goes, and takes them back", async () => {
    tags = { project: "thumbnails", stack: "dev", "managed-by": "pulumi" };
    const again = await run();

    const bucket = built.one("aws:s3/bucket:Bucket");
    expect(bucket.inputs["bucket"]).to.equal(bucketName);
    expect(bucket.options).to.include({ retainOnDelete: true }).and.not.have.property("import");
    expect(again.one("aws:s3/bucket:Bucket").options.import).to.equal(bucketName);
  });

  it("takes no bucket of its name that is not its own, and advises what helps here", async () => {
    tags = { project: "another" };

    const message = await run().then(
      () => "it was taken",
      (error: Error) => error.message,
    );

    expect(message).to.contain(`the bucket ${bucketName} is there, but is not one that this stack`);
    expect(message).to.match(/: give the stack another name: pulumi stack rename <name>$/);
  });

  it("tells the function of what changes under uploads/, by way of the topic", () => {
    const { topics } = built.one("aws:s3/bucketNotification:BucketNotification").inputs;
    const [{ filterPrefix, topicArn }] = topics as [Record<string, unknown>];
    const { inputs } = built.one("aws:sns/topicSubscription:TopicSubscription");

    expect(filterPrefix).to.equal("uploads/");
    expect(topicArn).to.equal(`arn:aws:sns:${region}:${account}:thumbnails-dev-uploads`);
    expect(inputs).to.include({
      topic: topicArn,
      endpoint: `arn:aws:lambda:${region}:${account}:thumbnails-dev-thumbnails-image`,
    });
  });

  it("lets the function read uploads, write and delete thumbnails, and nothing else", () => {
    const statements = built
      .all(policyType)
      .flatMap((one) => (built.policy(one) as { Statement: unknown[] }).Statement);

    expect(statements).to.have.deep.members([
      {
        Sid: "Log",
        Effect: "Allow",
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: [
          `arn:aws:cloudwatch:${region}:${account}:/aws/lambda/thumbnails-dev-thumbnails-image:*`,
        ],
      },
      {
        Sid: "Failures",
        Effect: "Allow",
        Action: ["sqs:SendMessage"],
        Resource: [`arn:aws:sqs:${region}:${account}:thumbnails-dev-thumbnails-failures`],
      },
      {
        Sid: "Read",
        Effect: "Allow",
        Action: ["s3:GetObject"],
        Resource: [`${bucketArn}/uploads/*`],
      },
      {
        Sid: "List",
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [bucketArn],
        Condition: { StringLikeIfExists: { "s3:prefix": ["uploads/*"] } },
      },
      {
        Sid: "Write",
        Effect: "Allow",
        Action: ["s3:PutObject"],
        Resource: [`${bucketArn}/thumbnails/*`],
      },
      {
        Sid: "Delete",
        Effect: "Allow",
        Action: ["s3:DeleteObject"],
        Resource: [`${bucketArn}/thumbnails/*`],
      },
    ]);
  });

  it("tells the function what it asks for", () => {
    const { variables } = built.one(functionType).inputs["environment"] as {
      variables: Record<string, string>;
    };

    expect(settingsFrom(variables)).to.deep.equal({ bucket: bucketName, sizesPx: [160, 640] });
  });

  it("builds this folder's image, for what the function runs on", async () => {
    const other = await run({ architecture: "x86_64" });

    expect(built.one("awsx:ecr:Image").inputs).to.include({
      context: ".",
      dockerfile: "Dockerfile",
      platform: "linux/arm64",
    });
    expect(built.one(functionType).inputs["architectures"]).to.deep.equal(["arm64"]);
    expect(other.one("awsx:ecr:Image").inputs["platform"]).to.equal("linux/amd64");
    expect(other.one(functionType).inputs["architectures"]).to.deep.equal(["x86_64"]);
  });

  it("runs an image that is there already", async () => {
    const imageUri = `repository@sha256:${"b".repeat(64)}`;

    const { all, one } = await run({ imageUri });

    expect(all("awsx:ecr:Image")).to.deep.equal([]);
    expect(one(functionType).inputs["imageUri"]).to.equal(imageUri);
  });

  it("holds to the policy pack", () => {
    const resources = built.everything().map(({ type, name, inputs }) => {
      // Mocks know what they make by other ids than AWS does.
      const text = JSON.stringify(inputs).replaceAll("images-bucket-id", bucketName);
      return { type, name, props: JSON.parse(text) as Record<string, unknown>, protect: false };
    });

    expect(found(resources)).to.deep.equal({});
  });
});
