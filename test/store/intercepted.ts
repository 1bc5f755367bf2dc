import type { Store } from "../../app/store/store.ts";

/** The store, with something done before each of some of its calls: what a rival, or a network, would do just then. */
export function intercepted(
  store: Store,
  before: Partial<Record<keyof Store, () => Promise<unknown>>>,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      const first = before[name as keyof Store];
      if (first === undefined) return method;
      return async (...args: unknown[]) => {
        await first();
        return await method(...args);
      };
    },
  });
}
