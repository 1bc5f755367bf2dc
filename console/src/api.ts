import type { RejectionRecord } from "../../app/lake/rejection.ts";
import type { SavedQuery } from "../../app/query/saved-query.ts";
import { bytes } from "./format.ts";

/** A saved query without its SQL, which is the operator's. */
export type ShownQuery = Omit<SavedQuery, "sql">;

export interface Column {
  name: string;
  type: string;
}

export interface Table {
  name: string;
  files: number;
  rows: number;
  /** Of Parquet. */
  bytes: number;
  /** Null where a file of it can't be read. */
  columns: Column[] | null;
  newestSource: { key: string; modified: string } | null;
  rejected: number;
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

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Kept until the tab is closed, and sent as a header: never in a URL. */
const tokenKey = "millpond-token";
export const token = {
  get: () => sessionStorage.getItem(tokenKey),
  set: (value: string) => sessionStorage.setItem(tokenKey, value),
  clear: () => sessionStorage.removeItem(tokenKey),
};

async function request(path: string, init: RequestInit = {}): Promise<Response> {
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
  );
}

/** The answer itself, where it waits in the bucket. */
async function elsewhere(response: Response, { signal }: RequestInit): Promise<Response> {
  if (response.headers.get("preference-applied") === null) return response;
  const { url } = (await response.json()) as { url: string };
  return await fetch(url, { signal: signal ?? null });
}

/** Bytes of JSON that a page can hold beside what it makes of them. */
const mostBytes = 64_000_000;

async function json<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

export async function tables(): Promise<Table[]> {
  return (await json<{ tables: Table[] }>("/tables")).tables;
}

export async function savedQueries(): Promise<ShownQuery[]> {
  return (await json<{ queries: ShownQuery[] }>("/q")).queries;
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

async function send(asked: Asked, format: string, signal?: AbortSignal): Promise<Response> {
  const init = signal === undefined ? {} : { signal };
  if (asked.saved !== undefined) return await request(pathOf(asked, format), init);
  // By POST: a URL has no room for long SQL.
  return await request(`/query?format=${format}`, {
    ...init,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql: asked.sql }),
  });
}

/** What a page can hold and a person look at. */
export const mostRows = 10_000;

export async function ask(asked: Asked, signal?: AbortSignal): Promise<Result> {
  const response = await send(asked, "json", signal);
  const length = Number(response.headers.get("content-length"));
  if (length > mostBytes) {
    await response.body?.cancel();
    throw new Problem(
      0,
      "too-large",
      `the answer has ${bytes(length)}, more than this page can hold: add LIMIT, or export it`,
    );
  }
  const answer = (await response.json()) as {
    meta: Column[];
    data: Row[];
    rows: number;
    statistics: { elapsed: number };
  };
  return {
    columns: answer.meta,
    rows: answer.data.slice(0, mostRows),
    count: answer.rows,
    seconds: answer.statistics.elapsed,
  };
}

export async function download(asked: Asked, format: string): Promise<Blob> {
  return await (await send(asked, format)).blob();
}
