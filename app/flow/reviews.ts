import { BoundedMap } from "../bounded-map.ts";
import type { Engine, RunOptions } from "../engine/engine.ts";
import type { ReviewResult } from "../engine/protocol.ts";

/** Questions that are remembered, and the characters of the longest. */
const most = { questions: 500, characters: 4096 };

/** What the policy says of SQL. It says the same each time, so it is asked once: most questions come again. */
export class Reviews {
  readonly #engine: Engine;
  readonly #passed = new BoundedMap<string, ReviewResult>(most.questions);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** @throws MillpondError `sql-refused`, `sql-invalid`, `function-unknown`, `deadline`, … */
  async of(sql: string, options: RunOptions): Promise<ReviewResult> {
    const before = this.#passed.get(sql);
    if (before !== undefined) return before;
    const result = await this.#engine.run({ kind: "review", sql }, options);
    if (sql.length <= most.characters) this.#passed.set(sql, result);
    return result;
  }
}
