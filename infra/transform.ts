/** Changes the arguments of a resource: values to merge, or a function that returns others, or undefined after it changed these. */
export type Transform<T extends object> = Partial<T> | ((args: T) => T | undefined);

/** The arguments after a caller's transform, which has the last word. */
export function transformed<T extends object>(args: T, transform: Transform<T> | undefined): T {
  if (transform === undefined) return args;
  if (typeof transform !== "function") return { ...args, ...transform };
  const copy = { ...args };
  return transform(copy) ?? copy;
}
