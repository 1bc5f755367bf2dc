import { fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type BucketLocationConstraint, CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { environmentNames, prefixes } from "../app/contract.ts";
import { readSettings, type Settings } from "../app/environment.ts";
import { createLogger } from "../app/logger.ts";
import { openPond, type Pond } from "../app/pond.ts";
import { quoteLiteral } from "../app/query/quote.ts";
import { serveLocal } from "../cli/local-server.ts";
import {
  emulatorKeys,
  extensionFor,
  ownPlatform,
  startEmulator,
} from "../cli/rehearsal/emulator.ts";

/** A pond to measure, and DuckDB by itself to measure it by, with the same threads and all of the memory that both its processes have. */
export interface BenchPond {
  pond: Pond;
  floor: DuckDBConnection;
  close(): Promise<void>;
}

/** @param store a folder's absolute path, or s3://<bucket> */
export async function openBenchPond(
  store: string,
  more: Readonly<Record<string, string>> = {},
): Promise<BenchPond> {
  const settings = settingsOf(store, more);
  const pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "error" } }));
  const own = await openFloor(settings);
  return {
    pond,
    floor: own.connection,
    close: async () => {
      own.close();
      await pond.close();
    },
  };
}

function settingsOf(store: string, more: Readonly<Record<string, string>>): Settings {
  return readSettings({
    [environmentNames.store]: store,
    [environmentNames.auth]: "none",
    [environmentNames.queryDeadlineSeconds]: "900",
    ...more,
  });
}

async function openFloor({ threads, memoryMiB }: Settings) {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(threads),
    memory_limit: `${memoryMiB}MiB`,
  });
  const connections: DuckDBConnection[] = [];
  const connect = async () => {
    const connection = await instance.connect();
    connections.push(connection);
    return connection;
  };
  const connection = await connect();
  const close = () => {
    for (const one of connections) one.closeSync();
    instance.closeSync();
  };
  return { connection, connect, close };
}

export interface Taken {
  bytes: number;
  /** From the question's arrival until its whole answer was there to be sent, by the pond's own clock. */
  answeredMs: number;
}

export interface Client {
  /** Sends SQL, and takes the whole answer. */
  take(sql: string, format?: string): Promise<Taken>;
  /** The same. @returns its bytes */
  query(sql: string, format?: string): Promise<number>;
  close(): void;
}

/** A client that keeps its connections, as most do, and sends a question again on another where the server has left one. */
export function clientOf(url: string): Client {
  const agent = new http.Agent({ keepAlive: true });
  const headers = { "content-type": "application/json" };
  const take = (sql: string, format = "ndjson"): Promise<Taken> =>
    new Promise<Taken>((resolve, reject) => {
      const request = http.request(
        `${url}/query?format=${format}`,
        { method: "POST", agent, headers },
        (response) => {
          let bytes = 0;
          let start = "";
          response.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
            if (response.statusCode !== 200) start += chunk.toString();
          });
          response.on("error", reject);
          response.on("end", () => {
            const answeredMs = Number(response.headers["x-millpond-elapsed"]) * 1000;
            if (response.statusCode === 200) resolve({ bytes, answeredMs });
            else reject(new Error(`${sql}: ${response.statusCode} ${start}`));
          });
        },
      );
      request.on("error", (error: NodeJS.ErrnoException) => {
        // While this process was at work for itself, it did not hear that the server had waited long enough.
        if (request.reusedSocket && error.code === "ECONNRESET") resolve(take(sql, format));
        else reject(error);
      });
      request.end(JSON.stringify({ sql }));
    });
  const query = async (sql: string, format?: string) => (await take(sql, format)).bytes;
  return { take, query, close: () => agent.destroy() };
}

export interface Server extends Pick<Client, "take" | "query"> {
  url: string;
  close(): Promise<void>;
}

/** A pond over HTTP, and one who asks it. */
export async function serve(pond: Pond): Promise<Server> {
  const server = await serveLocal(pond, {
    host: "127.0.0.1",
    port: 0,
    names: [],
    stallMs: 600_000,
  });
  const client = clientOf(server.url);
  return {
    url: server.url,
    take: client.take,
    query: client.query,
    close: async () => {
      client.close();
      await server.close();
    },
  };
}

/** A pond in a process of its own, and DuckDB by itself in this one, with the same threads and all of the memory. */
export interface PondProcess extends Server {
  pid: number;
  floor: DuckDBConnection;
  /** Another connection of the floor's: each runs one query at a time. */
  connect(): Promise<DuckDBConnection>;
  /** The rows of a file that lies in the inbox. */
  ingest(key: string): Promise<void>;
  /** Makes a table, by way of the inbox. @returns the Parquet file that it is */
  makeTable(table: string, rows: string): Promise<string>;
}

/** @param folder an absolute path; its pond is made where it is missing */
export async function openPondProcess(
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<PondProcess> {
  const child = fork(
    fileURLToPath(new URL("./pond-process.ts", import.meta.url)),
    [folder, JSON.stringify(environment)],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  const [{ url }] = (await once(child, "message")) as [{ url: string }];
  const client = clientOf(url);
  const own = await openFloor(settingsOf(folder, environment));
  const ingest = async (key: string) => {
    child.send(key);
    const [{ kind }] = (await once(child, "message")) as [{ kind: string }];
    if (kind !== "converted") throw new Error(`${key} was ${kind}`);
  };
  return {
    url,
    pid: child.pid ?? 0,
    floor: own.connection,
    connect: own.connect,
    take: client.take,
    query: client.query,
    ingest,
    makeTable: async (table, rows) => {
      const inbox = path.join(folder, prefixes.inbox, table);
      await fs.mkdir(inbox, { recursive: true });
      await own.connection.run(
        `COPY (${rows}) TO ${quoteLiteral(path.join(inbox, "all.parquet"))}`,
      );
      await ingest(`${prefixes.inbox}${table}/all.parquet`);
      await fs.rm(inbox, { recursive: true });
      const lake = path.join(folder, prefixes.lake, table);
      const [file] = await fs.readdir(lake, { recursive: true });
      return path.join(lake, file as string);
    },
    close: async () => {
      client.close();
      own.close();
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

export interface StoreEmulator {
  endpoint: string;
  /** Settings by which a pond reads it, but for the endpoint. */
  settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** The emulator of S3, with an empty bucket `bench`. Undefined on a machine without Python. */
export async function startStore(): Promise<StoreEmulator | undefined> {
  Object.assign(process.env, emulatorKeys);
  const emulator = await startEmulator();
  if ("missing" in emulator) return undefined;
  const { endpoint } = emulator;
  const client = new S3Client({ endpoint, forcePathStyle: true });
  const LocationConstraint = emulatorKeys.AWS_REGION as BucketLocationConstraint;
  await client.send(
    new CreateBucketCommand({
      Bucket: "bench",
      CreateBucketConfiguration: { LocationConstraint },
    }),
  );
  client.destroy();
  const extensions = await extensionFor(await ownPlatform());
  return { ...emulator, settings: { [environmentNames.extensions]: extensions } };
}
