import type { SNSEventRecord } from "aws-lambda";
import { expect } from "chai";
import { orderOf } from "../functions/order.ts";
import { order } from "./order.ts";

describe("orderOf", () => {
  const read = (message: unknown) =>
    orderOf({ Sns: { Message: JSON.stringify(message) } } as SNSEventRecord);

  it("reads an order", () => {
    expect(read(order())).to.deep.equal(order());
  });

  for (const [what, change, where] of [
    ["without an id", { orderId: undefined }, "orderId"],
    ["with an id that is part of another's key", { orderId: "stock#1" }, "orderId"],
    ["of which nothing is known to have happened", { event: "lost" }, "event"],
    ["with half a cent", { totalCents: 0.5 }, "totalCents"],
    ["that somebody gets money for", { totalCents: -1 }, "totalCents"],
    ["of nothing", { items: [] }, "items"],
    ["of none of something", { items: [{ sku: "tea", quantity: 0 }] }, "items.0.quantity"],
  ] as const) {
    it(`refuses one ${what}, and says where`, () => {
      expect(() => read({ ...order(), ...change })).to.throw(`no order: ${where}: `);
    });
  }
});
