import fs from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { type BucketLocationConstraint, CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { environmentNames, prefixes } from "../app/contract.ts";
import { readSettings, type Settings } from "../app/environment.ts";
import { ingest } from "../app/flow/ingest.ts";
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

/** A pond to measure, and DuckDB by itself to measure it by: the same threads, the same memory. */
export interface BenchPond {
  pond: Pond;
  settings: Settings;
  floor: DuckDBConnection;
  close(): Promise<void>;
}

/** @param store a folder's absolute path, or s3://<bucket> */
export async function openBenchPond(
  store: string,
  more: Readonly<Record<string, string>> = {},
): Promise<BenchPond> {
  const settings = readSettings({
    [environmentNames.store]: store,
    [environmentNames.auth]: "none",
    [environmentNames.queryDeadlineSeconds]: "900",
    ...more,
  });
  const pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "error" } }));
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(settings.threads),
    memory_limit: `${settings.memoryMiB}MiB`,
  });
  const floor = await instance.connect();
  return {
    pond,
    settings,
    floor,
    close: async () => {
      floor.closeSync();
      instance.closeSync();
      await pond.close();
    },
  };
}

/** Makes a table of a folder's pond, by way of its inbox. @returns the Parquet file that it is */
export async function makeTable(
  { pond, settings, floor }: BenchPond,
  table: string,
  rows: string,
): Promise<string> {
  if (settings.store.kind !== "folder") throw new Error("a table is made in a folder");
  const inbox = path.join(settings.store.path, prefixes.inbox, table);
  await fs.mkdir(inbox, { recursive: true });
  const key = `${prefixes.inbox}${table}/all.parquet`;
  await floor.run(`COPY (${rows}) TO ${quoteLiteral(path.join(inbox, "all.parquet"))}`);
  const { kind } = await ingest(pond.ingest, key);
  if (kind !== "converted") throw new Error(`${key} was ${kind}`);
  await fs.rm(inbox, { recursive: true });
  const lake = path.join(settings.store.path, prefixes.lake, table);
  const [file] = await fs.readdir(lake, { recursive: true });
  return path.join(lake, file as string);
}

export interface Client {
  /** Sends SQL, and takes the whole answer. @returns its bytes */
  query(sql: string, format?: string): Promise<number>;
  close(): void;
}

/** A client that keeps its connections, as most do. */
export function clientOf(url: string): Client {
  const agent = new http.Agent({ keepAlive: true });
  const headers = { "content-type": "application/json" };
  const query = (sql: string, format = "ndjson") =>
    new Promise<number>((resolve, reject) => {
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
            if (response.statusCode === 200) resolve(bytes);
            else reject(new Error(`${sql}: ${response.statusCode} ${start}`));
          });
        },
      );
      request.on("error", reject);
      request.end(JSON.stringify({ sql }));
    });
  return { query, close: () => agent.destroy() };
}

export interface Server {
  url: string;
  /** Asks over HTTP. @returns the answer's bytes */
  query(sql: string, format?: string): Promise<number>;
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
    query: client.query,
    close: async () => {
      client.close();
      await server.close();
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
