import type { Subscriber } from "./subscriber.ts";

/** Sends what is paid, and no sooner. */
export const shipping: Subscriber = {
  wants: ({ event, delivery }) => event === "paid" && delivery === "parcel",
  work: async ({ items }, key) => ({
    label: `label:${key}`,
    pieces: items.reduce((sum, { quantity }) => sum + quantity, 0),
  }),
};
