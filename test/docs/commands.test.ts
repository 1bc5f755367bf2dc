import { expect } from "chai";
import { Command } from "commander";
import { ciSteps, ranByCi, repeated, simpleCommands, unknownIn } from "./commands.ts";

const project = {
  scripts: {
    start: "exec node cli/millpond.ts start",
    logs: "exec node cli/millpond.ts logs",
    test: "mocha",
    "test:s3": "mocha s3",
    lint: "biome",
    bench: "node bench/run.ts",
    "bench:new": "node bench/new.ts",
    check: "npm run lint && npm test",
    both: "npm test && npm run bench:new",
  },
  programs: new Map([
    ["start", new Command("start").option("--no-sample").option("--port <n>")],
    ["logs", new Command("logs").option("-f, --function <name>").option("--since <time>")],
  ]),
  settings: new Set(["secrets", "logLevel"]),
  steps: ["npm ci", "npm run lint", "npm run test", "npm run bench -- --check", "bash .ci/run"],
};

describe("simpleCommands", () => {
  it("parts a line by its operators, but not in quotes or comments", () => {
    expect(simpleCommands(`a "b && c" 'd | e'f && g=1 h | i; j # k && l\nm`)).to.deep.equal([
      ["a", '"b && c"', "'d | e'f"],
      ["g=1", "h"],
      ["i"],
      ["j"],
      ["m"],
    ]);
    expect(simpleCommands("a \\\n  b")).to.deep.equal([["a", "b"]]);
  });
});

describe("unknownIn", () => {
  for (const line of [
    "npm start -- --no-sample --port 0",
    "npm run -s logs -- -f ingest --since=1d --help",
    "npm run <command> -- --anything",
    "npm run logs -- --<option> …",
    'npm run logs -- "-x"',
    "npm run bench -- --quick",
    "npx millpond logs -f api",
    "npx millpond <command> …",
    "X=1 npx pulumi config set --stack dev --secret --path 'secrets.tokens' \"$(openssl rand)\"",
    "pulumi config set <key> <value>",
    "pulumi config set aws:region eu-central-1",
    "pulumi config get millpond:logLevel",
    "pulumi up --stack dev",
    "other --option",
  ]) {
    it(`has nothing against ${line}`, () => {
      expect(unknownIn(line, project)).to.deep.equal([]);
    });
  }

  for (const [line, problem] of [
    ["npm run log", 'package.json has no script "log"'],
    ["npm ci && npm run log", 'package.json has no script "log"'],
    ["npm start -- --sample", '"millpond start" has no option --sample'],
    ["npm run logs -- --functions=x", '"millpond logs" has no option --functions'],
    ["npm run logs -- -g", '"millpond logs" has no option -g'],
    ["npm run logs --since 1d", "npm keeps --since for itself: it belongs behind --"],
    ["npx millpond log", 'there is no command "millpond log"'],
    ["npx millpond logs --follow", '"millpond logs" has no option --follow'],
    ["pulumi config set --stack dev loglevel debug", 'Pulumi.yaml has no setting "loglevel"'],
    ["pulumi config rm --path 'secret.tokens'", 'Pulumi.yaml has no setting "secret"'],
  ] as const) {
    it(`says what there is not in ${line}`, () => {
      expect(unknownIn(line, project)).to.deep.equal([problem]);
    });
  }
});

describe("ciSteps", () => {
  it("are the commands behind each step's name and minutes", () => {
    const script = "step() {\n}\nstep install 3 npm ci\n  step s3 5 suite test:s3\n# step x 1 y\n";

    expect(ciSteps(script)).to.deep.equal(["npm ci", "npm run test:s3"]);
  });
});

describe("ranByCi", () => {
  for (const [line, ran] of [
    ["npm test", true],
    ["npm ci && npm test   # two minutes", true],
    ["npm run lint", true],
    ["npm run check", true],
    ["bash .ci/run", true],
    // Of a suite the script counts, whatever it is told.
    ["npm run bench -- --quick", true],
    ["npm run lint -- --fix", false],
    ["npm ci && npm start", false],
    ["curl http://127.0.0.1:8686/tables", false],
    ["npm run test:s3", "CI has no step for npm run test:s3"],
    ["npm run bench:new", "CI has no step for npm run bench:new"],
  ] as const) {
    it(`of "${line}": ${ran}`, () => {
      expect(ranByCi(line, project)).to.equal(ran);
    });
  }

  it("is a text where a part of what a script is made of has no step", () => {
    const { lint: _, ...scripts } = project.scripts;
    const steps = ["npm run test"];

    expect(ranByCi("npm run check", { ...project, scripts, steps })).to.contain("npm run check");
  });
});

describe("repeated", () => {
  const first = [
    { place: "a:1", lines: ["login", "init  # once", "up"] },
    { place: "a:9", lines: ["destroy"] },
  ];

  it("are a page's last blocks whose commands another page has, in that order", () => {
    const page = [
      { place: "b:1", lines: ["other"] },
      { place: "b:3", lines: ["init", "up"] },
      { place: "b:5", lines: ["destroy"] },
    ];

    expect([...repeated(page, [first])]).to.deep.equal([
      ["b:5", "a:1"],
      ["b:3", "a:1"],
    ]);
  });

  for (const [what, lines] of [
    ["in another order", [["up", "init"]]],
    ["more than once", [["up", "up"]]],
    ["before what it does not have", [["up"], ["other"]]],
    ["with other words", [["up --yes"]]],
  ] as const) {
    it(`are none that it has ${what}`, () => {
      const page = lines.map((some, i) => ({ place: `b:${i}`, lines: some }));

      expect(repeated(page, [first]).size).to.equal(0);
    });
  }
});
