import * as pulumi from "@pulumi/pulumi";
import { ContainerFunction } from "../../infra/container-function.ts";
import { EventTopic } from "../../infra/event-topic.ts";
import { LambdaImage } from "../../infra/lambda-image.ts";
import { ClaimTable } from "./infra/claim-table.ts";

/** The stack, from top to bottom. */
const config = new pulumi.Config();
const architecture = config.require("architecture", { allowedValues: ["arm64", "x86_64"] });

// ── data ────────────────────────────────────────────────────────────────────
const orders = new EventTopic("orders");
const claims = new ClaimTable("claims");

// ── functions ───────────────────────────────────────────────────────────────
const image = new LambdaImage("functions", {
  architecture,
  context: ".",
  imageUri: config.get("imageUri"),
});
const common = {
  imageUri: image.uri,
  architecture,
  // A claim ends with the time of who has it. Lambda tries again a minute later, and must find it ended.
  timeoutSeconds: 30,
  events: { retries: 2 },
};
const payment = new ContainerFunction("payment", {
  ...common,
  handler: "index.payment",
  environment: { CLAIMS_TABLE: claims.name, ORDERS_TOPIC: orders.arn },
});
const stock = new ContainerFunction("stock", {
  ...common,
  handler: "index.stock",
  environment: { CLAIMS_TABLE: claims.name },
});
const shipping = new ContainerFunction("shipping", {
  ...common,
  handler: "index.shipping",
  environment: { CLAIMS_TABLE: claims.name },
});

// ── what each may do ────────────────────────────────────────────────────────
claims.grants.claim(payment, { subscriber: "payment" });
claims.grants.claim(stock, { subscriber: "stock" });
claims.grants.claim(shipping, { subscriber: "shipping" });
orders.grants.publish(payment);

// ── what each is told ───────────────────────────────────────────────────────
orders.subscribe("payment", payment, { filter: { event: ["placed"] } });
orders.subscribe("stock", stock, {
  filter: { event: ["placed"], delivery: ["pickup", "parcel"] },
});
orders.subscribe("shipping", shipping, { filter: { event: ["paid"], delivery: ["parcel"] } });

// ── what people need ────────────────────────────────────────────────────────
export const topicArn = orders.arn;
export const tableName = claims.name;
export const functionNames = { payment: payment.name, stock: stock.name, shipping: shipping.name };
export const logGroups = {
  payment: payment.logGroupName,
  stock: stock.logGroupName,
  shipping: shipping.logGroupName,
};
/** What failed for good waits here, by the function that was to do it. */
export const failureQueues = {
  payment: pulumi.all(Object.values(payment.failureQueues).map(({ url }) => url)),
  stock: pulumi.all(Object.values(stock.failureQueues).map(({ url }) => url)),
  shipping: pulumi.all(Object.values(shipping.failureQueues).map(({ url }) => url)),
};
