/** How a bucket is reached, for whoever reads it beside the SDK: the store knows, the engine uses it. */
export interface BucketAccess {
  /** Without a scheme: `host` or `host:port`. Undefined for AWS's own. */
  endpoint: string | undefined;
  useTls: boolean;
  region: string;
}

/** Keys for a bucket, as S3's clients name them. */
export interface BucketKeys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
}
