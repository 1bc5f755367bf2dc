import type { Command } from "commander";

/** All commands of `millpond`, by name. Each loads what it needs, and nothing of the others. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import("./start.ts")).startCommand(),
  invoke: async () => (await import("./invoke.ts")).invokeCommand(),
  query: async () => (await import("./query.ts")).queryCommand(),
  tables: async () => (await import("./tables.ts")).tablesCommand(),
  put: async () => (await import("./put.ts")).putCommand(),
  logs: async () => (await import("./logs.ts")).logsCommand(),
  sweep: async () => (await import("./sweep.ts")).sweepCommand(),
  redrive: async () => (await import("./redrive.ts")).redriveCommand(),
  "deployer-policy": async () => (await import("./deployer-policy.ts")).deployerPolicyCommand(),
  rollback: async () => (await import("./rollback.ts")).rollbackCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
  image: async () => (await import("./image.ts")).imageCommand(),
  "image-run": async () => (await import("./image.ts")).imageRunCommand(),
  smoke: async () => (await import("./smoke.ts")).smokeCommand(),
  rehearse: async () => (await import("./rehearse.ts")).rehearseCommand(),
};
