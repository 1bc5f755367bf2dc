import type { FileHandle } from "node:fs/promises";
import { collectYoung } from "./collect-young.ts";

/** An answer in a file without a name, which is gone when its handle is closed; and what stands around it. */
export interface AnswerFile {
  handle: FileHandle;
  prologue: string;
  epilogue: string;
}

/**
 * What of an answer is in memory at once. Pieces of 64 KiB took two to three times as long on their way to a client; larger ones than these
 * gain nothing more. Of 1 GB the peak is 20 to 50 MB.
 */
export const pieceBytes = 256 * 1024;

/** 16 MiB. A small answer ends before. */
const piecesToCollect = 64;

/** The whole of it, piece by piece. The handle is closed at the end, and by whoever leaves before. */
export async function* piecesOf(file: AnswerFile): AsyncGenerator<Buffer> {
  const { handle, prologue, epilogue } = file;
  try {
    if (prologue !== "") yield Buffer.from(prologue);
    let pieces = 0;
    for await (const piece of handle.createReadStream({
      autoClose: false,
      highWaterMark: pieceBytes,
    })) {
      pieces += 1;
      if (pieces % piecesToCollect === 0) collectYoung();
      yield piece;
    }
    if (epilogue !== "") yield Buffer.from(epilogue);
  } finally {
    await handle.close();
  }
}

/** As the body of a response, of which nothing is read before somebody asks. */
export function bodyOf(file: AnswerFile): ReadableStream<Uint8Array> {
  const pieces = piecesOf(file);
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await pieces.return(undefined);
        // It may not have begun.
        await file.handle.close();
      },
    },
    { highWaterMark: 0 },
  );
}
