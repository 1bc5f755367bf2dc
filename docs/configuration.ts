import fs from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

/**
 * Writes docs/configuration.md from Pulumi.yaml, where each setting, its default and what it is for stand once.
 *
 *   npm run docs
 */
const root = new URL("../", import.meta.url);
export const configurationFile = fileURLToPath(new URL("docs/configuration.md", root));

interface Project {
  config: Record<
    string,
    { type?: string; default?: unknown; description?: string; secret?: boolean; items?: object }
  >;
}

/** The page, in Markdown. */
export async function configurationPage(): Promise<string> {
  const text = await fs.readFile(new URL("Pulumi.yaml", root), "utf8");
  const { config } = parse(text) as Project;
  const rows = Object.entries(config).map(([key, setting]) => {
    const { type = "", description = "" } = setting;
    const value = setting.default === undefined ? "" : JSON.stringify(setting.default);
    return `| \`${key}\` | ${type} | ${value === "" ? "" : `\`${value}\``} | ${description.replaceAll("|", "\\|")} |`;
  });
  return `# Configuration

Written from [Pulumi.yaml](../Pulumi.yaml) by \`npm run docs\`. Set one by \`pulumi config set --stack dev <setting> <value>\`; it is in
force after the next \`pulumi up\`.

| setting | type | default | what it is |
| --- | --- | --- | --- |
${rows.join("\n")}

Of an array or an object one value by \`--path\`: \`pulumi config set --stack dev --path 'corsOrigins[0]' https://app.example.com\`,
\`pulumi config set --stack dev --path environment.NAME value\`.

Secrets are set by \`pulumi config set --stack dev --secret --path 'secrets.<name>'\`, and reach functions by reference, through SSM:
\`secrets.tokens\` holds who may ask, one token or an object of one a client.
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await fs.writeFile(configurationFile, await configurationPage());
}
