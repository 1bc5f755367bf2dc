import type { Asked } from "./api.ts";
import { SavedForm } from "./saved-form.tsx";
import { Tables } from "./tables.tsx";
import { Upload } from "./upload.tsx";
import type { KnownLake } from "./use-lake.ts";

interface LakeProps {
  known: KnownLake;
  /** Whether the pond asks for a token first. */
  closed: boolean;
  /** What the last link asked for: its values stand in the form of its saved query. */
  followed: Asked | undefined;
  /** SQL that was run before, the newest first. */
  past: readonly string[];
  /** Puts SQL into the editor, and runs it. */
  insert(sql: string): void;
  run(asked: Asked): Promise<void>;
  askToken(): void;
}

/** What there is to ask: tables, what can be put to them, saved queries, and what was asked before. */
export function Lake({ known, closed, followed, past, insert, run, askToken }: LakeProps) {
  const { tables, saved, lost, load } = known;
  return (
    <nav aria-label="tables">
      <h2>Tables</h2>
      {Object.keys(lost).length > 0 && (
        <div class="bad" role="alert">
          {Object.entries(lost).map(([what, why]) => (
            <div key={what}>{`${what} can't be listed: ${why}`}</div>
          ))}
        </div>
      )}
      {tables === undefined ? (
        <p class="quiet" role="status">
          {lost["the tables"] === undefined && !closed && "looking …"}
        </p>
      ) : (
        <Tables tables={tables} insert={insert} />
      )}
      <Upload
        tables={tables ?? []}
        arrived={() => void load()}
        closed={closed}
        askToken={askToken}
      />
      {saved.queries.length + saved.broken.length > 0 && (
        <>
          <h2>Saved queries</h2>
          {saved.queries.map((query) => (
            <SavedForm
              key={query.name}
              query={query}
              given={followed?.saved === query.name ? followed.values : undefined}
              run={(asked) => void run(asked)}
            />
          ))}
          {saved.broken.map(({ name, problem }) => (
            <p key={name} class="bad">{`${name} can't be read: ${problem}`}</p>
          ))}
        </>
      )}
      {past.length > 0 && (
        <details class="past">
          <summary>History</summary>
          <ol>
            {past.map((sql) => (
              <li key={sql}>
                <button type="button" onClick={() => insert(sql)}>
                  {sql}
                </button>
              </li>
            ))}
          </ol>
        </details>
      )}
    </nav>
  );
}
