/** A map that forgets for a new entry the one that was asked for least lately: for what can be found out again. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #most: number;

  /** @param most entries that it keeps */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  override get(key: Key): Value | undefined {
    const value = super.get(key);
    if (value === undefined) return undefined;
    // A Map keeps the order of insertion.
    this.delete(key);
    super.set(key, value);
    return value;
  }

  override set(key: Key, value: Value): this {
    if (this.size >= this.#most && !this.has(key)) this.delete(this.keys().next().value as Key);
    return super.set(key, value);
  }
}
