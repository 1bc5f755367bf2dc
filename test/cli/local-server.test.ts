import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import fs from "node:fs/promises";
import http, { type Server } from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { environmentNames } from "../../app/contract.ts";
import { readSettings } from "../../app/environment.ts";
import { createLogger } from "../../app/logger.ts";
import { openPond, type Pond } from "../../app/pond.ts";
import { type LocalServer, serveLocal } from "../../cli/local-server.ts";

describe("a pond's server on this machine", () => {
  let folder: string;
  let pond: Pond;
  let server: LocalServer;

  before(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "millpond-test-"));
    const settings = readSettings({ [environmentNames.store]: path.join(folder, "pond") });
    pond = await openPond(settings, createLogger({ environment: { LOG_LEVEL: "fatal" } }));
    server = await serveLocal(pond, { host: "127.0.0.1", port: 0, names: [], stallMs: 60_000 });
  });
  after(async () => {
    await server?.close();
    await pond?.close();
    await fs.rm(folder, { recursive: true });
  });

  it("gives all of its answers an id, and has browsers do nothing with them but show them", async () => {
    for (const [route, origin, status] of [
      ["/hello", undefined, 200],
      ["/health", undefined, 200],
      ["/health", "http://evil.example", 403],
    ] as const) {
      const headers = origin === undefined ? {} : { origin };
      const answer = await fetch(`${server.url}${route}`, { headers });
      expect(answer.status).to.equal(status);
      expect(Object.fromEntries(answer.headers), route).to.include({
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cache-control": "no-store",
      });
      expect(answer.headers.get("x-request-id")).to.match(/^[\da-f-]{36}$/);
    }
  });

  it("sends answers of one piece, of many and of a part whole, one after another on a connection", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<unknown>();
    const take = async (rows: number, format: string) =>
      await new Promise<string>((resolve, reject) => {
        const sql = `SELECT i, repeat('é', 50) AS t FROM range(${rows}) r(i)`;
        const url = `${server.url}/query?format=${format}&sql=${encodeURIComponent(sql)}`;
        const request = http.get(url, { agent }, (answer) => {
          text(answer).then(resolve, reject);
        });
        request.once("socket", (socket) => sockets.add(socket));
        request.once("error", reject);
      });
    const row = (i: number) => `{"i":${i},"t":"${"é".repeat(50)}"}`;

    // Of 110 to 114 bytes: less than a piece, and some pieces of 256 KiB with what is left over.
    for (const rows of [1000, 20_000]) {
      const expected = Array.from({ length: rows }, (_, i) => row(i));
      expect(await take(rows, "ndjson")).to.equal(`${expected.join("\n")}\n`);
      const json = JSON.parse(await take(rows, "json")) as { data: unknown[]; rows: number };
      expect(json.rows).to.equal(rows);
      expect(json.data.map((one) => JSON.stringify(one))).to.deep.equal(expected);
    }
    agent.destroy();

    expect(sockets.size).to.equal(1);
  });

  it("drops who asks for a large answer and reads none of it, and with it the answer", async () => {
    const stalling = await serveLocal(pond, {
      host: "127.0.0.1",
      port: 0,
      names: [],
      stallMs: 500,
    });
    const { host, hostname, port } = new URL(stalling.url);
    const sql = "SELECT repeat('x', 1000) AS t FROM range(100000)";
    const socket = net.connect({ host: hostname, port: Number(port) });
    socket.write(
      `GET /query?${new URLSearchParams({ sql, format: "csv" })} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    );
    await once(socket, "readable");
    expect(String(socket.read(12))).to.equal("HTTP/1.1 200");

    // It ends when nothing is under way: not before the answer is read, or nobody is there who could.
    await stalling.close();

    const rest = (await socket.toArray().catch(() => [])) as Buffer[];
    expect(Buffer.concat(rest).length).to.be.below(100_000_000);
  });

  it("gives a file the time that it takes, and drops who is slow with the head of a request", async () => {
    const headMs = 200;
    const patient = await serveLocal(pond, {
      host: "127.0.0.1",
      port: 0,
      names: [],
      stallMs: 60_000,
      headMs,
    });
    const { host, hostname, port } = new URL(patient.url);
    const connect = () => net.connect({ host: hostname, port: Number(port) });
    const servers: Server[] = [];
    const note = (message: unknown) => servers.push((message as { server: Server }).server);
    diagnostics.subscribe("http.server.request.start", note);
    try {
      const upload = connect();
      const body = "id\n1\n";
      upload.write(
        `PUT /inbox?key=inbox/slow.csv HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      const dawdler = connect();
      dawdler.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n`);

      // Both came at the same time, and the one is given up long after the other's head was due.
      const refused = Buffer.concat((await dawdler.toArray()) as Buffer[]);
      expect(String(refused)).to.match(/^HTTP\/1\.1 408 /);
      upload.write(body);
      await once(upload, "readable");
      expect(String(upload.read(12))).to.equal("HTTP/1.1 201");
      upload.destroy();

      // Five minutes are too long to wait for in a test.
      expect(servers.map(({ requestTimeout }) => requestTimeout)).to.deep.equal([0]);
    } finally {
      diagnostics.unsubscribe("http.server.request.start", note);
      await patient.close();
    }
  });
});
