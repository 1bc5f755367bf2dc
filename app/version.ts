import manifest from "../package.json" with { type: "json" };

/** Of Millpond, as package.json says. */
export const version: string = manifest.version;
