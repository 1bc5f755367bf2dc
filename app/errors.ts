/** What every error that Millpond throws on purpose carries; `code` is stable, `message` is for people. */
export interface MillpondErrorOptions {
  /** Another try may succeed: throttling, a lost race, a full disk. @default false */
  retryable?: boolean;
  /** Facts for the caller beside the message: JSON values only. @default {} */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class MillpondError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, options: MillpondErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MillpondError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details ?? {};
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
