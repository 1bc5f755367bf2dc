import type { Subscriber } from "./subscriber.ts";

/** Puts aside what has to be handed over. */
export const stock: Subscriber = {
  wants: ({ event, delivery }) => event === "placed" && delivery !== "download",
  work: async ({ items }) => ({ reserved: items }),
};
