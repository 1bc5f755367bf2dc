import net from "node:net";
import { messageOf } from "../app/errors.ts";
import { UsageError } from "./usage-error.ts";

/**
 * A port of 127.0.0.1 that nobody listens on.
 * @param wanted 0 for any
 * @throws UsageError where the one that is wanted is taken
 */
export async function freePort(wanted: number): Promise<number> {
  const server = net.createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(wanted, "127.0.0.1", resolve);
    });
    return (server.address() as net.AddressInfo).port;
  } catch (error) {
    // What else is wrong with it may be wrong for us alone, and not for whoever is to listen.
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") return wanted;
    throw new UsageError(
      `port ${wanted} can't be had (${messageOf(error)}): --port <another>, or --port 0 for a free one`,
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
