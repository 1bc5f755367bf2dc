import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { expect } from "chai";
import {
  type Architecture,
  architectureCalled,
  architectureNames,
  architectures,
  environmentNames,
  type FunctionName,
  functionNames,
  handlerOf,
} from "../../app/contract.ts";
import { emulatorKeys } from "../../cli/rehearsal/emulator.ts";
import { emulatorClient } from "../s3/emulator.ts";
import { emulatorOf, type TestEmulator } from "../s3/fixtures.ts";
import { image, type Layer, lastLayers, substitutes } from "./build.ts";
import {
  type ContainerOptions,
  docker,
  dockerMissing,
  FunctionContainer,
  removeTestContainers,
} from "./docker.ts";
import { Registry } from "./registry.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const eventsFolder = fileURLToPath(new URL("../../events/", import.meta.url));
const sampleFolder = fileURLToPath(new URL("../../sample/", import.meta.url));
const token = randomBytes(16).toString("hex");
const prefix = "/millpond/image/";
const host = architectureCalled("node", process.arch);
const mebibyte = 1024 * 1024;

/** Not the one that whoever runs the tests may have built. */
const tagOf = (architecture: Architecture) => `millpond-test:${architecture}`;

/** Whether this machine runs programs of another one's architecture. */
function runs(architecture: Architecture): boolean {
  if (architecture === host) return true;
  const name = { arm64: "aarch64", x86_64: "x86_64" }[architecture];
  return existsSync(`/proc/sys/fs/binfmt_misc/qemu-${name}`);
}

describe("the image", function () {
  // Builds, and programs under an emulated processor.
  this.timeout(600_000);
  let emulator: TestEmulator;
  let client: S3Client;
  let work: string;
  let given: string[];

  before(async function () {
    const missing = await dockerMissing();
    if (missing !== undefined) {
      process.stderr.write(`skipped: ${missing}\n`);
      this.skip();
    }
    emulator = await emulatorOf(this);
    client = emulatorClient(emulator.endpoint);
    // Of a run that was killed: what is tested is built anew, or not tested.
    await removeTestContainers();
    await removeTestImages();
    work = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    given = await substitutes(architectureNames);
    const ssm = new SSMClient({ endpoint: emulator.endpoint });
    await ssm.send(
      new PutParameterCommand({ Name: `${prefix}tokens`, Value: token, Type: "SecureString" }),
    );
  });
  after(async () => {
    if (work === undefined) return;
    await fs.rm(work, { recursive: true });
    await removeTestImages();
  });

  /** By name: what is built is the same to the last bit for whoever builds it, and so has the id of the user's own. */
  async function removeTestImages() {
    const names = ["--filter", "reference=millpond-test", "--format", "{{.Repository}}:{{.Tag}}"];
    const built = await docker("image", "ls", ...names);
    if (built !== "") await docker("image", "rm", "--force", ...built.split("\n"));
  }

  const containers: FunctionContainer[] = [];
  afterEach(async () => {
    for (const container of containers.splice(0)) await container.remove();
  });
  async function start(
    architecture: Architecture,
    name: FunctionName,
    options: Partial<ContainerOptions> & { bucket?: string } = {},
  ): Promise<FunctionContainer> {
    const { bucket = "pond", environment, ...rest } = options;
    const container = await FunctionContainer.start({
      image: tagOf(architecture),
      handler: handlerOf(name),
      platform: architectures[architecture].platform,
      memoryMiB: 1024,
      environment: {
        ...emulatorKeys,
        AWS_LAMBDA_FUNCTION_NAME: name,
        // From a container this machine has another name.
        AWS_ENDPOINT_URL: emulator.endpoint.replace("127.0.0.1", "host.docker.internal"),
        [environmentNames.store]: `s3://${bucket}`,
        [environmentNames.secrets]: prefix,
        [environmentNames.architecture]: architecture,
        [environmentNames.queryDeadlineSeconds]: "60",
        ...environment,
      },
      ...rest,
    });
    containers.push(container);
    return container;
  }
  /** A bucket of that name with nothing in it: the events of events/ name one. */
  async function emptyBucket(Bucket: string) {
    const there = await client.send(new ListBucketsCommand({ Prefix: Bucket }));
    if (!there.Buckets?.some(({ Name }) => Name === Bucket)) {
      await client.send(new CreateBucketCommand({ Bucket }));
    }
    for (const Key of await keysOf(Bucket)) {
      await client.send(new DeleteObjectCommand({ Bucket, Key }));
    }
  }
  async function keysOf(Bucket: string): Promise<string[]> {
    const listed = await client.send(new ListObjectsV2Command({ Bucket }));
    return (listed.Contents ?? []).map(({ Key }) => Key as string);
  }
  async function put(bucket: string, key: string, Body: Buffer) {
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body }));
  }
  const uploaded = (bucket: string, key: string) => ({
    Records: [
      {
        eventSource: "aws:s3",
        eventVersion: "2.1",
        s3: { bucket: { name: bucket }, object: { key } },
      },
    ],
  });

  for (const architecture of ["x86_64", "arm64"] as const) {
    describe(`for ${architecture}`, () => {
      const { platform } = architectures[architecture];
      let layers: Layer[];

      before(async function () {
        if (!runs(architecture)) {
          process.stderr.write(`skipped: this machine does not run programs for ${platform}\n`);
          this.skip();
        }
        const built = await image("--platform", platform, "--tag", tagOf(architecture), ...given);
        expect(built.code, built.text).to.equal(0);
        layers = await lastLayers(tagOf(architecture), 3, path.join(work, architecture));
      });

      it("says what it was built for", async () => {
        const inspected = await docker("image", "inspect", tagOf(architecture));
        const [{ Architecture: found, Config }] = JSON.parse(inspected) as [
          { Architecture: string; Config: { Labels: Record<string, string>; Env: string[] } },
        ];

        const expected = architectures[architecture].docker;
        expect(found).to.equal(expected);
        expect(Config.Labels).to.include({ "millpond.architecture": expected });
        expect(Config.Env).to.include(`${environmentNames.imageArchitecture}=${expected}`);
        expect(Config.Env).to.include("HOME=/tmp").and.include("LAMBDA_TASK_ROOT=/var/task");
      });

      it("adds DuckDB, httpfs and one bundle, and nothing else", () => {
        const files = layers.flatMap((layer) => layer.files).filter(({ mode }) => mode[0] !== "d");
        const allowed = [
          /^opt\/millpond\/extensions\/v[\d.]+\/linux_\w+\/httpfs\.duckdb_extension$/,
          /^var\/task\/node_modules\/@duckdb\/node-bindings[\w-]*\/(package\.json|LICENSE|duckdb\.(js|node)|libduckdb\.so)$/,
          /^var\/task\/(index|handlers|worker|chunks\/[\w-]+)\.mjs(\.map)?$/,
          /^var\/task\/console\/(index\.html|main-[0-9a-f]{12}\.(js|css)\.gz)$/,
          /^var\/task\/queries\/\w+\.sql$/,
        ];
        const bytes = files.reduce((sum, file) => sum + file.bytes, 0);

        expect(
          files.map((file) => file.path).filter((file) => !allowed.some((one) => one.test(file))),
        ).to.deep.equal([]);
        expect(bytes).to.be.within(80e6, 130e6);
        const code = files.filter((file) => file.path.endsWith(".mjs"));
        expect(code.reduce((sum, file) => sum + file.bytes, 0)).to.be.within(0.3e6, 1.5e6);
      });

      it("lets any user read it, and nobody write it", () => {
        const modes = new Set(layers.flatMap((layer) => layer.files.map(({ mode }) => mode)));

        expect([...modes]).to.have.members(["drwxr-xr-x", "-rw-r--r--"]);
      });

      it("answers the events of events/ as each function", async () => {
        await emptyBucket("pond");
        for (const file of await fs.readdir(sampleFolder, { recursive: true })) {
          if (!/\.(csv|json)$/.test(file)) continue;
          await put("pond", `inbox/${file}`, await fs.readFile(path.join(sampleFolder, file)));
        }
        const answers: Record<string, Record<string, unknown>> = {};
        for (const name of functionNames) {
          const container = await start(architecture, name);
          for (const file of (await fs.readdir(eventsFolder)).sort()) {
            if (!file.startsWith(`${name}-`)) continue;
            const text = await fs.readFile(path.join(eventsFolder, file), "utf8");
            const event = JSON.parse(text) as { headers?: Record<string, string> };
            if (event.headers !== undefined) event.headers["authorization"] = `Bearer ${token}`;
            answers[file] = await container.invoke(event);
            if (name !== "ingest") continue;
            // The rest of the sample, by events of its own.
            for (const key of ["airports.csv", "birdstrikes.csv", "movies.json"]) {
              await container.invoke(uploaded("pond", `inbox/${key}`));
            }
          }
          const log = await container.log();
          expect(log, name).to.not.deep.equal([]);
          for (const line of log) {
            expect(line).to.include({ service: "millpond", level: "info" });
            expect(line["function_request_id"], JSON.stringify(line)).to.match(/^[\w-]{36}$/);
          }
          expect(JSON.stringify(log)).to.not.contain(token).and.not.contain("secret-of-the-tests");
        }

        const body = (file: string) => String(answers[file]?.["body"]);
        expect(JSON.parse(body("hello-alice.json"))).to.deep.equal({ message: "Hello, Alice!" });
        expect(answers["ingest-upload.json"]).to.include({ converted: 1, rejected: 0 });
        const { tables } = JSON.parse(body("query-tables.json")) as { tables: { name: string }[] };
        expect(tables.map(({ name }) => name)).to.deep.equal([
          "airports",
          "birdstrikes",
          "movies",
          "weather",
        ]);
        expect(body("query-weather.json")).to.match(/^weather,days\nrain,641\nsun,640\n/);
        expect(answers["sweep-schedule.json"]).to.deep.equal({
          ...{ sources: 4, outputs: 4, rejections: 0, looked: 4, announced: 0 },
          ...{ stale: { missing: 0, outdated: 0, gone: 0 }, spared: 0 },
        });
        const kept = (await keysOf("pond")).map((key) => key.split("/")[0]);
        expect([...new Set(kept)]).to.have.members(["inbox", "lake"]);
      });

      it("refuses a stage for another architecture, and says what to change", async () => {
        const other = architecture === "arm64" ? "x86_64" : "arm64";
        const environment = { [environmentNames.architecture]: other };
        const container = await start(architecture, "hello", { environment });

        const answer = await container.invoke({});

        expect(String(answer["errorMessage"])).to.equal(
          `the image was built for ${architecture} and runs on ${architecture}, but this stage's functions are for ${other}: ` +
            `build it with npm run image -- --platform ${architectures[other].platform}, or set the stage's architecture to ${architecture}`,
        );
      });
    });
  }

  describe("on this machine", () => {
    let bucket: string;
    before(function () {
      if (host === undefined) this.skip();
    });
    beforeEach(async () => {
      bucket = `pond-${randomBytes(6).toString("hex")}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
    });
    const own = host as Architecture;

    it("asks for a token", async () => {
      const container = await start(own, "query", { bucket });
      const text = await fs.readFile(path.join(eventsFolder, "query-tables.json"), "utf8");

      expect(await container.invoke(text)).to.include({ statusCode: 401 });
    });

    it("has the page for people, and what that loads", async () => {
      const container = await start(own, "query", { bucket });
      const text = await fs.readFile(path.join(eventsFolder, "query-tables.json"), "utf8");
      const event = JSON.parse(text) as object;
      const get = async (rawPath: string) =>
        await container.invoke(
          JSON.stringify({ ...event, rawPath, headers: { accept: "text/html" } }),
        );

      const page = await get("/");
      const loaded = [...String(page["body"]).matchAll(/"(\/console\/[^"]+)"/g)];

      expect(page).to.include({ statusCode: 200 });
      expect(loaded).to.have.length(2);
      for (const [, file = ""] of loaded) expect(await get(file)).to.include({ statusCode: 200 });
    });

    it("says which secret is missing, to the log alone", async () => {
      const environment = { [environmentNames.secrets]: "/millpond/none/" };
      const container = await start(own, "query", { bucket, environment });
      const text = await fs.readFile(path.join(eventsFolder, "query-tables.json"), "utf8");

      const answer = await container.invoke(text);

      expect(answer).to.include({ statusCode: 500 });
      expect(String(answer["body"])).to.not.contain("/millpond/none/");
      expect(JSON.stringify(await container.log())).to.contain("/millpond/none/tokens in SSM");
    });

    it("tries again later when the disk is full, and loads the file then", async () => {
      const container = await start(own, "ingest", { bucket, tmpBytes: 24 * mebibyte });
      const rows = `a\n${"12345678\n".repeat(1.2 * mebibyte)}`;
      await put(bucket, "inbox/t.csv", Buffer.from(rows));
      await container.execute("head -c 20m /dev/zero > /tmp/other");

      const failed = await container.invoke(uploaded(bucket, "inbox/t.csv"));
      const log = JSON.stringify(await container.log());
      const left = await container.execute("find /tmp/millpond -type f -size +0");
      await container.execute("rm /tmp/other");
      const loaded = await container.invoke(uploaded(bucket, "inbox/t.csv"));

      expect(failed["errorType"]).to.equal("disk-full");
      expect(String(failed["errorMessage"])).to.equal(
        `1 of 1 sources could not be ingested: no space is left on the disk for s3://${bucket}/inbox/t.csv`,
      );
      expect(log).to.contain(`no space is left on the disk for s3://${bucket}/inbox/t.csv`);
      expect(left).to.equal("");
      expect(loaded).to.include({ converted: 1 });
    });

    it("rejects a file that is larger than the whole disk, at the second time", async () => {
      const container = await start(own, "ingest", { bucket, tmpBytes: 17 * mebibyte });
      await put(bucket, "inbox/t.csv", Buffer.alloc(18 * mebibyte, "1\n"));

      const first = await container.invoke(uploaded(bucket, "inbox/t.csv"));
      const second = await container.invoke(uploaded(bucket, "inbox/t.csv"));

      expect(first).to.have.property("errorMessage");
      expect(second).to.include({ rejected: 1 });
    });

    it("rejects a file that fits the disk, but not beside its own rows, at the second time", async () => {
      const container = await start(own, "ingest", { bucket, tmpBytes: 24 * mebibyte });
      // Text that doesn't compress well.
      const rows = Array.from({ length: 400_000 }, () => randomBytes(20).toString("hex"));
      await put(bucket, "inbox/t.csv", Buffer.from(`a\n${rows.join("\n")}\n`));

      const first = await container.invoke(uploaded(bucket, "inbox/t.csv"));
      const second = await container.invoke(uploaded(bucket, "inbox/t.csv"));

      expect(first).to.have.property("errorMessage");
      expect(second).to.include({ rejected: 1 });
    });

    it("cleans /tmp of what an earlier process left", async () => {
      const container = await start(own, "ingest", { bucket });
      await container.execute(
        "mkdir -p /tmp/millpond/4194304-0123abcd && echo 1 > /tmp/millpond/4194304-0123abcd/x",
      );

      await container.invoke(uploaded(bucket, "inbox/none.csv"));

      expect(await container.execute("ls /tmp/millpond")).to.match(/^\d+-[0-9a-f]{8}$/);
    });

    it("pushes only the bundle again when only the code changed", async () => {
      const before = await lastLayers(tagOf(own), 3, path.join(work, "before"));
      const tree = path.join(work, "tree");
      for (const name of [
        "app",
        "console",
        "cli",
        "docker",
        "queries",
        ".dockerignore",
        ".npmrc",
      ]) {
        await fs.cp(path.join(root, name), path.join(tree, name), { recursive: true });
      }
      for (const name of ["package.json", "package-lock.json"]) {
        await fs.copyFile(path.join(root, name), path.join(tree, name));
      }
      await fs.symlink(path.join(root, "node_modules"), path.join(tree, "node_modules"));
      const hello = path.join(tree, "app/functions/hello.ts");
      await fs.writeFile(hello, (await fs.readFile(hello, "utf8")).replace("Hello", "Good day"));

      // As on a machine that never built it before.
      const tag = `${tagOf(own)}-changed`;
      const args = [
        "--platform",
        architectures[own].platform,
        "--tag",
        tag,
        "--no-cache",
        ...given,
      ];
      await run(process.execPath, ["cli/millpond.ts", "image", ...args], { cwd: tree });
      const after = await lastLayers(tag, 3, path.join(work, "after"));
      await docker("image", "rm", tag);

      const digests = (all: Layer[]) => all.map(({ digest }) => digest);
      expect(digests(after).slice(0, 2)).to.deep.equal(digests(before).slice(0, 2));
      expect(digests(after)[2]).to.not.equal(digests(before)[2]);
      const pushed = after[2]?.files.reduce((sum, { bytes }) => sum + bytes, 0);
      expect(pushed).to.be.below(4e6);
    });

    it("is not built with binaries of another architecture", async () => {
      const other = own === "arm64" ? "x86_64" : "arm64";
      const extensions = given.find((option) => option.startsWith("extensions="))?.slice(11);
      const source = extensions ?? emulator.extensions;
      const [version] = await fs.readdir(source);
      const wrong = path.join(work, "wrong");
      const folder = path.join(wrong, String(version), architectures[own].duckdb);
      await fs.mkdir(folder, { recursive: true });
      const from = extensions === undefined ? own : other;
      const name = "httpfs.duckdb_extension";
      const content = await fs.readFile(
        path.join(source, String(version), architectures[from].duckdb, name),
      );
      // Where the other one's isn't at hand, this one says that it is.
      if (extensions === undefined) content.writeUInt16LE(own === "arm64" ? 62 : 183, 18);
      await fs.writeFile(path.join(folder, name), content);

      const built = await image(
        ...["--platform", architectures[own].platform, "--tag", "millpond-test:wrong", ...given],
        ...["--build-context", `extensions=${wrong}`],
      );

      expect(built.code).to.equal(1);
      expect(built.text).to.match(
        new RegExp(
          `httpfs\\.duckdb_extension is for ${architectures[other].docker}, but the image is for ${architectures[own].docker}`,
        ),
      );
    });
  });

  describe("image:run", () => {
    before(async function () {
      if (host === undefined) this.skip();
      const { platform } = architectures[host];
      const built = await image("--platform", platform, "--tag", tag, ...given);
      expect(built.code, built.text).to.equal(0);
    });
    const tag = tagOf(host as Architecture);
    const running: { child: ChildProcess; ended: Promise<unknown> }[] = [];
    afterEach(async () => {
      for (const { child, ended } of running.splice(0)) {
        child.kill("SIGTERM");
        await ended;
      }
    });

    /** Runs `millpond image-run`; `ready` resolves with the function's URL, or fails when the command ends before. */
    function imageRun(args: string[], environment: Record<string, string> = {}) {
      const child = spawn(process.execPath, ["cli/millpond.ts", "image-run", ...args], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...environment },
      });
      const output = { text: "" };
      const { promise: ready, resolve, reject } = Promise.withResolvers<string>();
      ready.catch(() => {});
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          output.text += String(chunk);
          const url = /waits for events: curl .* (http:\S+)\n/.exec(output.text)?.[1];
          if (url !== undefined) resolve(url);
        });
      }
      const ended = new Promise<number | null>((done) => child.once("close", done));
      void ended.then(() => reject(new Error(`ended: ${output.text}`)));
      running.push({ child, ended });
      return { child, output, ended, ready };
    }
    const post = async (url: string, file: string) => {
      const body = await fs.readFile(path.join(eventsFolder, file), "utf8");
      const response = await fetch(url, { method: "POST", body });
      return (await response.json()) as Record<string, unknown>;
    };
    const containers = async () =>
      await docker("ps", "--all", "--quiet", "--filter", `ancestor=${tag}`);

    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      it(`answers as soon as it says so, and ends with 0 on ${signal}`, async () => {
        const before = await containers();
        const run = imageRun(["hello", "--tag", tag, "--port", "0"]);

        const answer = await post(await run.ready, "hello-alice.json");
        run.child.kill(signal);

        expect(answer).to.include({ body: '{"message":"Hello, Alice!"}' });
        expect(await run.ended).to.equal(0);
        expect(await containers()).to.equal(before);
      });
    }

    it("runs on the folder of --dir, whatever the environment names, as whoever calls", async () => {
      const pond = path.join(work, "pond");
      await fs.mkdir(path.join(pond, "inbox/weather"), { recursive: true });
      await fs.writeFile(path.join(pond, "inbox/weather/seattle.csv"), "a\n1\n");
      const run = imageRun(["ingest", "--tag", tag, "--port", "0", "--dir", pond], {
        [environmentNames.store]: "s3://another",
      });

      const url = await run.ready;
      const event = uploaded("pond", "inbox/weather/seattle.csv");
      const response = await fetch(url, { method: "POST", body: JSON.stringify(event) });

      expect(await response.json()).to.include({ converted: 1 });
      const [made] = await fs.readdir(path.join(pond, "lake/weather"));
      const { uid } = await fs.stat(path.join(pond, "lake/weather", String(made)));
      expect(uid).to.equal(process.getuid?.());
    });

    it("runs on the bucket that the environment names, with the caller's keys", async () => {
      const bucket = `pond-${randomBytes(6).toString("hex")}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      await put(bucket, "inbox/t.csv", Buffer.from("a\n1\n"));
      const run = imageRun(["sweep", "--tag", tag, "--port", "0"], {
        [environmentNames.store]: `s3://${bucket}`,
        AWS_ENDPOINT_URL: emulator.endpoint,
      });

      const swept = await post(await run.ready, "sweep-schedule.json");

      expect(swept).to.deep.include({ sources: 1, announced: 1 });
      expect(await keysOf(bucket)).to.have.length(2);
    });

    it("leaves no container when it is interrupted as it starts", async () => {
      const before = await containers();
      // At whatever point it is by then: before Docker, within its start, or after it.
      for (const milliseconds of [300, 500, 600, 700, 900]) {
        const run = imageRun(["hello", "--tag", tag, "--port", "0"]);
        setTimeout(() => run.child.kill("SIGINT"), milliseconds);
        expect(await run.ended, run.output.text).to.be.oneOf([0, null]);
      }
      expect(await containers()).to.equal(before);
    });

    it("leaves no container when it is interrupted between two commands of Docker", async () => {
      const before = await containers();
      const shims = await fs.mkdtemp(path.join(work, "shims-"));
      const real = (await run("which", ["docker"])).stdout.trim();
      // From the moment that the container is there, and again and again: whatever is under way then.
      const interrupt = "for i in $(seq 60); do kill -INT $PPID 2>/dev/null; sleep 0.002; done";
      const script = `#!/bin/sh\n"${real}" "$@" || exit\n[ "$1" != create ] || (${interrupt}) >/dev/null &\n`;
      await fs.writeFile(path.join(shims, "docker"), script, { mode: 0o755 });

      const interrupted = imageRun(["hello", "--tag", tag, "--port", "0"], {
        PATH: `${shims}:${process.env.PATH}`,
      });

      // The last of them may come while Node ends, when nobody listens any more.
      expect(await interrupted.ended, interrupted.output.text).to.be.oneOf([0, null]);
      expect(await containers()).to.equal(before);
    });

    it("says so when its port is taken, or Docker's daemon does not answer", async () => {
      const run = imageRun(["hello", "--tag", tag, "--port", "0"]);
      const { port } = new URL(await run.ready);
      const second = imageRun(["hello", "--tag", tag, "--port", port]);
      const third = imageRun(["hello", "--tag", tag, "--port", "0"], {
        DOCKER_HOST: "unix:///nonexistent/docker.sock",
      });

      expect([await second.ended, await third.ended]).to.deep.equal([2, 1]);
      expect(second.output.text).to.match(/^error: port \d+ can't be had .*--port <another>/);
      expect(third.output.text).to.match(
        /^error: Docker's daemon can't be reached: .*docker daemon running/i,
      );
    });

    it("takes an image for another machine for none of this one's", async () => {
      const other = host === "arm64" ? "x86_64" : "arm64";
      const { platform } = architectures[other];
      const run = imageRun(["hello", "--tag", tag, "--port", "0", "--platform", platform]);

      expect(await run.ended).to.equal(2);
      expect(run.output.text).to.contain(
        `${tag} is for ${architectures[host as Architecture].platform}, not ${platform}: run it with --platform`,
      );
    });

    it("says how to build an image that isn't there", async () => {
      const run = imageRun(["hello", "--tag", "millpond-test:none", "--port", "0"]);

      expect(await run.ended).to.equal(2);
      expect(run.output.text).to.match(
        /there is no image millpond-test:none here: build it first, npm run image -- .* --tag millpond-test:none\n$/,
      );
    });
  });

  describe("--check", () => {
    let registry: Registry;
    before(async () => {
      registry = await Registry.start();
    });
    after(async () => await registry.close());

    it("takes an image for the stage's architecture", async () => {
      const uri = registry.push("arm", ["arm64"]);

      expect(await image("--check", uri)).to.deep.equal({
        code: 0,
        text: `${uri} is for linux/arm64\n`,
      });
    });

    it("refuses one for another, and an index", async () => {
      const other = await image("--check", registry.push("intel", ["amd64"]));
      const several = await image("--check", registry.push("both", ["amd64", "arm64"]));

      expect(other.code).to.equal(3);
      expect(other.text).to.contain(
        "is for linux/amd64, not linux/arm64: build it with npm run image -- --platform linux/arm64",
      );
      expect(several.code).to.equal(3);
      expect(several.text).to.contain(
        "is an index of linux/amd64, linux/arm64, and Lambda takes an image of one architecture",
      );
    });

    it("says so when there is no such image", async () => {
      const uri = registry.push("arm", ["arm64"]).replace(":arm", ":none");

      const { code, text } = await image("--check", uri);

      expect(code).to.equal(1);
      expect(text).to.match(/not found/);
    });
  });
});
