import v8 from "node:v8";

/**
 * Pieces of a streamed answer are garbage as soon as they are sent: where its young space grows, V8 lets 60 MB of them lie. It counts
 * for what is loaded after this. A start takes a little longer with it, so that the functions go without.
 */
v8.setFlagsFromString("--semi-space-growth-factor=1");
