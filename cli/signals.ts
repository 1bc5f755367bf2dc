/** What ends a command: Ctrl-C, being told to, and a terminal that goes. */
export const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
