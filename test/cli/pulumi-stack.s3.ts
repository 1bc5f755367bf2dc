import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  DescribeLogGroupsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { GetParametersCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { expect } from "chai";
import { lostAnswerIn } from "../../cli/rehearsal/pulumi-stack.ts";
import { emulatorOf } from "../s3/fixtures.ts";

describe("lostAnswerIn", () => {
  let endpoint: string;
  let client: CloudWatchLogsClient;
  const [lost, other] = ["/aws/lambda/millpond-dev-sweep-image", "/aws/lambda/another"];

  before(async function () {
    ({ endpoint } = await emulatorOf(this));
    client = new CloudWatchLogsClient({ endpoint });
    for (const logGroupName of [lost, other]) {
      await client.send(new CreateLogGroupCommand({ logGroupName }));
    }
  });
  after(() => client?.destroy());

  const groups = async () => {
    const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({}));
    return logGroups.map(({ logGroupName }) => logGroupName);
  };

  it("sees nothing in what failed for something else, and removes nothing", async () => {
    expect(await lostAnswerIn("error: the region is missing", endpoint)).to.equal(undefined);
    expect(await groups()).to.include.members([lost, other]);
  });

  it("removes the log group that was made by an answer that got lost, and no other", async () => {
    const line = `error: creating CloudWatch Logs Log Group (${lost}): operation error CloudWatch Logs: CreateLogGroup, https response error StatusCode: 400, RequestID: 1, ResourceAlreadyExistsException: The specified log group already exists: ${lost}`;

    const found = await lostAnswerIn(`Updating (dev):\n  ${line}\n2 errored`, endpoint);

    expect(found).to.equal(line);
    expect(await groups())
      .to.include(other)
      .and.not.include(lost);
  });

  it("removes the parameter that was made so, as a terminal shows that", async () => {
    const ssm = new SSMClient({ endpoint });
    const [Name, another] = ["/millpond/dev/deployed/image", "/millpond/dev/another"];
    for (const name of [Name, another]) {
      await ssm.send(new PutParameterCommand({ Name: name, Value: "v", Type: "String" }));
    }
    const shown = `  creating SSM Parameter (${another}): operation error SSM: PutParameter, AccessDenied\n  error: creating SSM\n  Parameter (${Name}): operation error SSM: PutParameter, https response error StatusCode: 400,\n  RequestID: 1, ParameterAlreadyExists: The parameter already exists. To overwrite this value`;

    const found = await lostAnswerIn(shown, endpoint);

    const { Parameters } = await ssm.send(new GetParametersCommand({ Names: [Name, another] }));
    ssm.destroy();
    expect(found).to.contain("ParameterAlreadyExists");
    expect(Parameters?.map((one) => one.Name)).to.deep.equal([another]);
  });
});
