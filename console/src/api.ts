import type { RejectionRecord } from "../../app/lake/rejection.ts";
import {
  mostPutBytes,
  type Offer,
  type SourceOutcome,
  type TableSummary,
} from "../../app/lake/reports.ts";
import type { SavedQuery } from "../../app/query/saved-query.ts";
import { bytesText } from "../../app/text.ts";
import { holdsNumbers, parseExactly, readBeginning } from "./answer-text.ts";
import { tab } from "./stored.ts";

/** A saved query without its SQL, which is the operator's. */
export type ShownQuery = Omit<SavedQuery, "sql">;

export interface Column {
  name: string;
  type: string;
}

export type Row = Record<string, unknown>;

export interface Result {
  columns: Column[];
  rows: Row[];
  /** Of the whole answer. `rows` may be fewer. */
  count: number;
  /** That the query itself took. */
  seconds: number;
}

/** What the server says went wrong. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  /** What the server tells beside the message, as the name of a function that there is not. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    details: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** A fault of the page itself is a problem, too. */
export function problemOf(error: unknown): Problem {
  return error instanceof Problem
    ? error
    : new Problem(0, "page", String((error as Error).message));
}

/** Kept until the tab is closed, and sent as a header: never in a URL. */
const tokenKey = "millpond-token";
export const token = {
  get: () => tab.get(tokenKey),
  set: (value: string) => tab.set(tokenKey, value),
  clear: () => tab.clear(tokenKey),
};

/** Whether an answer that waits in the bucket is fetched, or its place told. */
type Elsewhere = (response: Response, init: RequestInit) => Promise<Response>;
const toldPlace: Elsewhere = async (response) => response;

async function request(
  path: string,
  init: RequestInit = {},
  elsewhere: Elsewhere = fetched,
): Promise<Response> {
  const headers = new Headers(init.headers);
  const known = token.get();
  if (known !== null) headers.set("authorization", `Bearer ${known}`);
  // A large answer's place is told, not followed: the bucket would get the token with it.
  headers.set("prefer", "return=representation");
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "the server does not answer: is it running?");
  }
  if (response.ok) return await elsewhere(response, init);
  const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
  throw new Problem(
    response.status,
    problem.code ?? "unknown",
    problem.detail ?? `the server answered ${response.status}`,
    problem,
  );
}

/** Where the answer waits in the bucket. Undefined where it is the response itself. */
async function placeOf(response: Response): Promise<string | undefined> {
  if (response.headers.get("preference-applied") === null) return undefined;
  return ((await response.json()) as { url: string }).url;
}

async function fetched(response: Response, { signal }: RequestInit): Promise<Response> {
  const url = await placeOf(response);
  if (url === undefined) return response;
  let answer: Response;
  try {
    answer = await fetch(url, { signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    const why =
      "the answer waits in the bucket, which does not answer this page: is the network there, and does the bucket's CORS name this page?";
    throw new Problem(0, "bucket", why);
  }
  if (answer.ok) return answer;
  const why = `the answer waited in the bucket, which refused it (${answer.status}): run the query again`;
  throw new Problem(0, "bucket", why);
}

/** Characters of JSON that a page can hold beside what it makes of them. */
const mostCharacters = 64_000_000;

async function json<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

export async function tables(): Promise<TableSummary[]> {
  return (await json<{ tables: TableSummary[] }>("/tables")).tables;
}

export interface SavedList {
  queries: ShownQuery[];
  /** Those that can't be read. */
  broken: { name: string; problem: string }[];
}

export async function savedQueries(): Promise<SavedList> {
  return await json<SavedList>("/q");
}

export async function rejections(): Promise<RejectionRecord[]> {
  return (await json<{ rejections: RejectionRecord[] }>("/rejected")).rejections;
}

/** What is asked for: SQL, or a saved query with its values. */
export type Asked =
  | { sql: string; saved?: undefined }
  | { saved: string; values: Record<string, string> };

export function pathOf(asked: Asked, format: string): string {
  if (asked.saved === undefined) {
    return `/query?${new URLSearchParams({ sql: asked.sql, format })}`;
  }
  return `/q/${encodeURIComponent(asked.saved)}?${new URLSearchParams({ ...asked.values, format })}`;
}

function posted(body: object): RequestInit {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(body) };
}

async function sendQuestion(
  asked: Asked,
  format: string,
  signal?: AbortSignal,
  elsewhere?: Elsewhere,
): Promise<Response> {
  const init = signal === undefined ? {} : { signal };
  if (asked.saved !== undefined) return await request(pathOf(asked, format), init, elsewhere);
  // By POST: a URL has no room for long SQL.
  const asking = { ...init, ...posted({ sql: asked.sql }) };
  return await request(`/query?format=${format}`, asking, elsewhere);
}

/** What a page can hold and a person look at. */
const mostRows = 10_000;

export async function ask(asked: Asked, signal?: AbortSignal): Promise<Result> {
  const response = await sendQuestion(asked, "json", signal, toldPlace);
  const fact = (name: string) => Number(response.headers.get(`x-millpond-${name}`));
  const [count, seconds] = [fact("rows"), fact("elapsed")];
  const { body } = await fetched(response, signal === undefined ? {} : { signal });
  const most = { rows: mostRows, characters: mostCharacters };
  const { text, rows } = await readBeginning(body as ReadableStream<Uint8Array>, most);
  if (rows === 0 && count > 0) {
    throw new Problem(0, "too-large", "one row is more than this page can hold: export it");
  }
  let answer = JSON.parse(text) as { meta: Column[]; data: Row[] };
  if (answer.meta.some(({ type }) => holdsNumbers(type))) {
    answer = parseExactly(text) as typeof answer;
    for (const { name, type } of answer.meta) {
      if (holdsNumbers(type)) continue;
      for (const row of answer.data) row[name] = plain(row[name]);
    }
  }
  return { columns: answer.meta, rows: answer.data, count, seconds };
}

/** A number of a column of numbers, which JSON wrote as no JavaScript would: 1.0. */
function plain(value: unknown): unknown {
  return typeof value === "object" && value !== null ? Number(JSON.stringify(value)) : value;
}

/** An answer as a file: where a browser finds it, and what frees it again. */
export async function download(
  asked: Asked,
  format: string,
): Promise<{ url: string; free: () => void }> {
  const response = await sendQuestion(asked, format, undefined, toldPlace);
  const place = await placeOf(response);
  // The bucket gives it as a file to save, and none of it comes through this page.
  if (place !== undefined) return { url: place, free: () => {} };
  const url = URL.createObjectURL(await response.blob());
  return { url, free: () => URL.revokeObjectURL(url) };
}

/** Where a file may be put. */
export async function offer(key: string, signal: AbortSignal): Promise<Offer> {
  const answer = await request("/inbox", { ...posted({ key }), signal });
  return (await answer.json()) as Offer;
}

/**
 * Uploads a file. Not by `fetch`, which says nothing of how far it is.
 * @param onProgress called with the bytes that are sent
 * @returns the version that it became
 */
export function send(
  { key, method, url }: Offer,
  file: File,
  onProgress: (sent: number) => void,
  signal: AbortSignal,
): Promise<string> {
  // A path is this server, which takes what there is room for.
  if (!url.startsWith("/") && file.size > mostPutBytes) {
    const detail = `${bytesText(file.size)} are more than the 5 GB that a bucket takes from a page: aws s3 cp ${file.name} s3://<bucket>/${key}`;
    return Promise.reject(new Problem(0, "too-large", detail));
  }
  return new Promise((resolve, reject) => {
    const upload = new XMLHttpRequest();
    upload.open(method, url);
    // The bucket has a signature in its URL, and is not to have the token.
    const known = url.startsWith("/") ? token.get() : null;
    if (known !== null) upload.setRequestHeader("authorization", `Bearer ${known}`);
    upload.upload.onprogress = ({ loaded }) => onProgress(loaded);
    upload.onload = () => {
      const etag = upload.getResponseHeader("etag");
      if (upload.status < 300 && etag !== null) resolve(etag);
      else reject(refusalOf(upload));
    };
    const broken =
      "the upload broke off: is the network there, and may this page write to the bucket?";
    upload.onerror = () => reject(new Problem(0, "unreachable", broken));
    upload.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => upload.abort(), { once: true });
    upload.send(file);
  });
}

function refusalOf({ status, responseText }: XMLHttpRequest): Problem {
  try {
    const { code, detail } = JSON.parse(responseText) as { code: string; detail: string };
    return new Problem(status, code, detail);
  } catch {
    // S3 answers in XML.
    const said = /<Message>([^<]*)</.exec(responseText)?.[1];
    return new Problem(
      status,
      "upload",
      `the upload was refused (${status}): ${said ?? "no reason given"}`,
    );
  }
}

/** What became of a file, and when the server said so, by its own clock. */
export async function sourceOutcome(
  key: string,
  signal: AbortSignal,
): Promise<{ outcome: SourceOutcome; at: number }> {
  const answer = await request(`/inbox?${new URLSearchParams({ key })}`, { signal });
  const outcome = (await answer.json()) as SourceOutcome;
  return { outcome, at: Date.parse(answer.headers.get("date") ?? "") || Date.now() };
}
