/** A map that forgets its oldest entry for a new one, for what can be found out again. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #most: number;

  /** @param most entries that it keeps */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  override set(key: Key, value: Value): this {
    // A Map keeps the order of insertion.
    if (this.size >= this.#most && !this.has(key)) this.delete(this.keys().next().value as Key);
    return super.set(key, value);
  }
}
