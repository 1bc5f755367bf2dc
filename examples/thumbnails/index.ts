import * as pulumi from "@pulumi/pulumi";
import { ContainerFunction } from "../../infra/container-function.ts";
import { DataBucket } from "../../infra/data-bucket.ts";
import { EventTopic } from "../../infra/event-topic.ts";
import { findOwnBucket } from "../../infra/find-bucket.ts";
import { LambdaImage } from "../../infra/lambda-image.ts";

/** The stack, from top to bottom. */
const config = new pulumi.Config();
const architecture = config.require("architecture", { allowedValues: ["arm64", "x86_64"] });

// ── data ────────────────────────────────────────────────────────────────────
const images = new DataBucket("images", await findOwnBucket());
const uploads = new EventTopic("uploads");

// ── the function ────────────────────────────────────────────────────────────
const image = new LambdaImage("functions", {
  architecture,
  context: ".",
  imageUri: config.get("imageUri"),
});
const thumbnails = new ContainerFunction("thumbnails", {
  imageUri: image.uri,
  architecture,
  handler: "index.handler",
  // An image is decoded in memory.
  memoryMiB: 1769,
  timeoutSeconds: 60,
  environment: { BUCKET: images.name, SIZES_PX: "160,640" },
  events: { retries: 2 },
});

// ── what it may do ──────────────────────────────────────────────────────────
images.grants.read(thumbnails, { prefix: "uploads/" });
images.grants.write(thumbnails, { prefix: "thumbnails/", parts: false });
images.grants.delete(thumbnails, { prefix: "thumbnails/" });

// ── what calls it ───────────────────────────────────────────────────────────
images.notify(uploads, { prefix: "uploads/" });
uploads.subscribe("thumbnails", thumbnails);

// ── what people need ────────────────────────────────────────────────────────
export const bucketName = images.name;
export const functionName = thumbnails.name;
export const logGroup = thumbnails.logGroupName;
/** What failed for good waits here. */
export const failureQueues = pulumi.all(
  Object.values(thumbnails.failureQueues).map(({ url }) => url),
);
