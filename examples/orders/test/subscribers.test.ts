import { expect } from "chai";
import type { Order } from "../functions/order.ts";
import { chargeNobody, paymentOf } from "../functions/payment.ts";
import { shipping } from "../functions/shipping.ts";
import { stock } from "../functions/stock.ts";
import { order } from "./order.ts";

describe("subscribers", () => {
  const payment = paymentOf(chargeNobody, async () => {});

  for (const [event, delivery, wanting] of [
    ["placed", "download", ["payment"]],
    ["placed", "pickup", ["payment", "stock"]],
    ["placed", "parcel", ["payment", "stock"]],
    ["paid", "download", []],
    ["paid", "pickup", []],
    ["paid", "parcel", ["shipping"]],
  ] as const) {
    it(`take an order that is ${event} as ${delivery}: ${wanting.join(", ") || "nobody"}`, () => {
      const found = Object.entries({ payment, stock, shipping })
        .filter(([, { wants }]) => wants(order({ event, delivery })))
        .map(([name]) => name);

      expect(found).to.deep.equal(wanting);
    });
  }

  it("charge by the key, then tell of the same order as paid", async () => {
    const told: Order[] = [];
    const paying = paymentOf(chargeNobody, async (one) => told.push(one));

    const result = await paying.work(order(), "payment#o-1");

    expect(result).to.deep.equal({ chargedCents: 4200, reference: "charge:payment#o-1" });
    expect(told).to.deep.equal([order({ event: "paid" })]);
  });

  it("tell of nothing where the charge fails", async () => {
    const told: Order[] = [];
    const paying = paymentOf(
      async () => {
        throw new Error("no answer");
      },
      async (one) => told.push(one),
    );

    const thrown = await paying.work(order(), "key").catch((error: Error) => error.message);

    expect(thrown).to.equal("no answer");
    expect(told).to.deep.equal([]);
  });

  it("reserve what is ordered, and pack it", async () => {
    expect(await stock.work(order(), "stock#o-1")).to.deep.equal({ reserved: order().items });
    expect(await shipping.work(order(), "shipping#o-1")).to.deep.equal({
      label: "label:shipping#o-1",
      pieces: 3,
    });
  });
});
