import { useCallback, useState } from "preact/hooks";
import type { RejectionRecord } from "../../app/lake/rejection.ts";
import type { TableSummary } from "../../app/lake/reports.ts";
import {
  tables as listTables,
  problemOf,
  rejections,
  type SavedList,
  savedQueries,
} from "./api.ts";

/** What the page knows of the lake, and how it learns anew. */
export interface KnownLake {
  /** Undefined until they are known. */
  tables: TableSummary[] | undefined;
  saved: SavedList;
  rejected: RejectionRecord[];
  /** Why something is not known, or no longer, by what it is. */
  lost: Readonly<Record<string, string>>;
  /** What somebody reads stays where it fails, and what was found before: nobody asked for this. */
  load(): Promise<void>;
}

/**
 * @param askToken called where the pond asks for a token
 * @param onTables called with the tables whenever they are known anew
 */
export function useLake(
  askToken: () => void,
  onTables: (tables: TableSummary[]) => void,
): KnownLake {
  const [tables, setTables] = useState<TableSummary[] | undefined>();
  const [lost, setLost] = useState<Record<string, string>>({});
  const [saved, setSaved] = useState<SavedList>({ queries: [], broken: [] });
  const [rejected, setRejected] = useState<RejectionRecord[]>([]);

  const load = useCallback(async () => {
    const look = async <T>(what: string, asking: Promise<T>, take: (found: T) => void) => {
      try {
        take(await asking);
        setLost(({ [what]: _, ...others }) => others);
      } catch (error) {
        const { status, message } = problemOf(error);
        if (status === 401) askToken();
        else setLost((before) => ({ ...before, [what]: message }));
      }
    };
    await Promise.all([
      look("the tables", listTables(), (found) => {
        setTables(found);
        onTables(found);
      }),
      look("the saved queries", savedQueries(), setSaved),
      look("the rejected files", rejections(), setRejected),
    ]);
  }, [askToken, onTables]);

  return { tables, saved, rejected, lost, load };
}
