import { GetParameterCommand, SSMClient, SSMServiceException } from "@aws-sdk/client-ssm";
import { before } from "./deadline.ts";
import { MillpondError, messageOf } from "./errors.ts";

export interface SecretsOptions {
  /** Of the stage's parameters, with a slash at both ends: `/millpond/dev/`. */
  prefix: string;
  /** How long a value is used before it is read again, in ms. @default 300000 */
  lifetimeMs?: number;
  /** How long a value may still be used while SSM can't be reached, in ms. @default 3600000 */
  graceMs?: number;
}

interface Held {
  value: string;
  /** When it was read, in ms since the epoch: the clock goes on while a function is frozen. */
  at: number;
  /** Until when SSM, which could not be reached, is left alone. */
  retryAt: number;
}

/** How long a caller waits for a newer value than the one that there is. */
const patienceMs = 1000;
/** How long SSM is left alone after it could not be reached. */
const backOffMs = 30_000;

/**
 * The stage's secrets: SecureString parameters of SSM, read at first use. Renewed on use, not by a timer, which a frozen
 * function doesn't run.
 */
export class Secrets {
  readonly #client: SSMClient;
  readonly #prefix: string;
  readonly #lifetimeMs: number;
  readonly #graceMs: number;
  readonly #held = new Map<string, Held>();
  readonly #reading = new Map<string, Promise<string>>();

  constructor({ prefix, lifetimeMs = 300_000, graceMs = 3_600_000 }: SecretsOptions) {
    this.#prefix = prefix;
    this.#lifetimeMs = lifetimeMs;
    this.#graceMs = graceMs;
    this.#client = new SSMClient({
      retryMode: "adaptive",
      maxAttempts: 4,
      requestHandler: { connectionTimeout: 2000, socketTimeout: 3000 },
    });
  }

  /**
   * The value of one secret.
   * @throws MillpondError `secret-missing` or `secret-denied`, with the parameter's name and what is needed;
   * `secret-unavailable`, retryable
   */
  async get(name: string): Promise<string> {
    const held = this.#held.get(name);
    const age = held === undefined ? Number.POSITIVE_INFINITY : Date.now() - held.at;
    // A clock that was set back makes no value young for ever.
    if (held !== undefined && age >= 0 && age < this.#lifetimeMs) return held.value;
    const usable = held !== undefined && Math.abs(age) < this.#graceMs;
    if (usable && Date.now() < held.retryAt) return held.value;
    let reading = this.#reading.get(name);
    if (reading === undefined) {
      reading = this.#read(name).finally(() => this.#reading.delete(name));
      this.#reading.set(name, reading);
    }
    try {
      // Nobody waits long for what they already have.
      return await before(usable ? Date.now() + patienceMs : undefined, reading);
    } catch (error) {
      const late = error instanceof MillpondError && (error.retryable || error.code === "deadline");
      if (usable && late) {
        held.retryAt = Date.now() + backOffMs;
        return held.value;
      }
      if (!late) this.#held.delete(name);
      throw error;
    }
  }

  async #read(name: string): Promise<string> {
    const parameter = `${this.#prefix}${name}`;
    let value: string | undefined;
    try {
      const answer = await this.#client.send(
        new GetParameterCommand({ Name: parameter, WithDecryption: true }),
      );
      value = answer.Parameter?.Value;
    } catch (error) {
      throw ssmError(error, parameter);
    }
    if (value === undefined) throw missing(parameter);
    this.#held.set(name, { value, at: Date.now(), retryAt: 0 });
    return value;
  }
}

function ssmError(error: unknown, parameter: string): MillpondError {
  const answered = error instanceof SSMServiceException;
  const cause = { cause: error };
  if (answered && error.name === "ParameterNotFound") return missing(parameter, error);
  if (answered && error.name.startsWith("AccessDenied")) {
    return new MillpondError(
      "secret-denied",
      `SSM refused to give ${parameter}: the role needs ssm:GetParameter on it, and kms:Decrypt where the key is not AWS's own (${error.message})`,
      cause,
    );
  }
  const message = `can't read ${parameter} from SSM: ${messageOf(error)}`;
  // Throttled, broken for a while, or out of reach: whatever it is, the value was not taken back.
  return new MillpondError("secret-unavailable", message, { retryable: true, ...cause });
}

function missing(parameter: string, cause?: unknown): MillpondError {
  const message = `there is no parameter ${parameter} in SSM: the stage's secrets are set with pulumi config set --secret`;
  return new MillpondError("secret-missing", message, { cause });
}
