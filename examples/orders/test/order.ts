import type { Order } from "../functions/order.ts";

/** One that a parcel is sent of. */
export function order(change: Partial<Order> = {}): Order {
  return {
    event: "placed",
    orderId: "o-1",
    totalCents: 4200,
    delivery: "parcel",
    items: [
      { sku: "tea", quantity: 2 },
      { sku: "pot", quantity: 1 },
    ],
    ...change,
  };
}
