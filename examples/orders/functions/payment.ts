import type { Order } from "./order.ts";
import type { Subscriber } from "./subscriber.ts";

/** Charges a customer. The same key is the same charge, however often it is asked for. */
export type Charge = (order: Order, key: string) => Promise<{ reference: string }>;

/** Charges each order that is placed, then tells the topic that it is paid. */
export function paymentOf(charge: Charge, publish: (order: Order) => Promise<unknown>): Subscriber {
  return {
    wants: ({ event }) => event === "placed",
    work: async (order, key) => {
      const { reference } = await charge(order, key);
      // Where this fails all is tried again: the charge is known by its key, and who is told twice knows that by a claim.
      await publish({ ...order, event: "paid" });
      return { chargedCents: order.totalCents, reference };
    },
  };
}

/** Stands in for a provider of payments, which takes such a key with a request: here nobody pays. */
export const chargeNobody: Charge = async (_, key) => ({ reference: `charge:${key}` });
