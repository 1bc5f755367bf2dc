import type { ServerResponse } from "node:http";
import { type AnswerFile, pieceBytes } from "../app/http/answer-file.ts";

/**
 * Sends an answer by two buffers, of which one is filled while the other is on its way: a stream makes a new one for each piece, and
 * takes twice as long. The handle is closed, and a client that leaves ends it.
 * @param response what goes before the answer
 * @throws what is wrong with the file; the connection is cut then, as of an answer that was begun nothing else can be said
 */
export async function sendFile(
  outgoing: ServerResponse,
  { status, headers }: Response,
  { handle, prologue, epilogue }: AnswerFile,
): Promise<void> {
  const left = new Promise<void>((resolve) => outgoing.once("close", resolve));
  /** What can't be written, nobody takes any more. */
  const write = (piece: Buffer | string) =>
    Promise.race([left, new Promise<void>((resolve) => outgoing.write(piece, () => resolve()))]);
  const fill = async (buffer: Buffer, position: number) => {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    return buffer.subarray(0, bytesRead);
  };
  try {
    outgoing.writeHead(status, Object.fromEntries(headers));
    if (prologue !== "") await write(prologue);
    const [one, other] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)];
    let position = 0;
    let piece = await fill(one, position);
    for (let odd = true; piece.length > 0 && !outgoing.destroyed; odd = !odd) {
      position += piece.length;
      const [next] = await Promise.all([fill(odd ? other : one, position), write(piece)]);
      piece = next;
    }
    outgoing.end(epilogue);
  } catch (error) {
    outgoing.destroy();
    throw error;
  } finally {
    await handle.close();
  }
}
