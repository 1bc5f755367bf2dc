import { MillpondError } from "../errors.ts";
import {
  allowed,
  type CalledFor,
  denialOf,
  volatileFunctions,
  volatileNames,
} from "./functions.ts";
import { foldName } from "./quote.ts";

/**
 * Which SQL a caller may run, decided on the tree that DuckDB's own parser makes of it (`json_serialize_sql`): one
 * statement of the SELECT family, tables by the names of lake tables and CTEs, functions from a reviewed list.
 * Every node must be of a kind that stands here, so what is unknown is refused.
 */

/** Kinds of nodes, as `type`, that are no expressions. */
const plainNodes: ReadonlySet<string> = new Set([
  // queries
  "SELECT_NODE",
  "SET_OPERATION_NODE",
  "RECURSIVE_CTE_NODE",
  "CTE_NODE",
  // what stands in FROM; BASE_TABLE, TABLE_FUNCTION and SHOW_REF are looked at more closely
  "EMPTY",
  "EXPRESSION_LIST",
  "JOIN",
  "PIVOT",
  "SUBQUERY",
  // ORDER BY, LIMIT, DISTINCT
  "ORDER_MODIFIER",
  "ORDER_ASCENDING",
  "ORDER_DESCENDING",
  "ORDER_DEFAULT",
  "ASCENDING",
  "DESCENDING",
  "LIMIT_MODIFIER",
  "LIMIT_PERCENT_MODIFIER",
  "DISTINCT_MODIFIER",
]);

/** Classes of expressions; FUNCTION and WINDOW are looked at more closely. */
const expressionClasses: ReadonlySet<string> = new Set([
  "BETWEEN",
  "CASE",
  "CAST",
  "COLLATE",
  "COLUMN_REF",
  "COMPARISON",
  "CONJUNCTION",
  "CONSTANT",
  "DEFAULT",
  "LAMBDA",
  "OPERATOR",
  "PARAMETER",
  "POSITIONAL_REFERENCE",
  "STAR",
  "SUBQUERY",
]);

/** Descriptions of types and samples: kinds of their own, made of constants only. */
const leaves: ReadonlySet<string> = new Set(["cast_type", "type_info", "sample"]);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** What a query that may run needs. */
export interface ReviewedQuery {
  /** Names that must be lake tables, lower-case, in the order of their first use. */
  tables: string[];
  /** Whether its answer may be another the next time, though the tables are the same: it asks for the time, or for chance. */
  volatile: boolean;
}

/** What is gathered on the way through the tree. */
interface Findings {
  tables: Set<string>;
  volatile: boolean;
}

/**
 * @param tree the parsed answer of `json_serialize_sql`, without an error
 * @throws MillpondError `sql-refused`, saying what can't stand in a query; `function-unknown`
 */
export function reviewSql(tree: unknown): ReviewedQuery {
  const statements = (tree as { statements?: Json[] }).statements;
  if (!Array.isArray(statements) || statements.length !== 1) {
    throw refuse("a query is exactly one statement", { statements: statements?.length ?? 0 });
  }
  const findings: Findings = { tables: new Set(), volatile: false };
  visit((statements[0] as JsonObject)["node"] as Json, new Set(), findings);
  return { tables: [...findings.tables], volatile: findings.volatile };
}

function refuse(message: string, details: Record<string, unknown> = {}): MillpondError {
  return new MillpondError("sql-refused", message, { details });
}

function visit(value: Json, ctes: ReadonlySet<string>, findings: Findings): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, ctes, findings);
    return;
  }
  if (value === null || typeof value !== "object") return;
  checkNode(value, ctes, findings);
  // A constant's value may be any text or number, and says nothing of what runs.
  if (value["class"] === "CONSTANT") return;
  let scope = ctes;
  const own = value["cte_map"];
  if (own !== undefined) {
    scope = withCtes(own as JsonObject, ctes, findings);
  }
  for (const [key, child] of Object.entries(value)) {
    if (key === "sample" && child !== null && (child as JsonObject)["seed"] === -1) {
      findings.volatile = true;
    }
    if (key === "cte_map" || leaves.has(key)) continue;
    // The second half of a recursive CTE reads the first by its name; the first doesn't know it.
    const itself = value["type"] === "RECURSIVE_CTE_NODE" && key === "right";
    const inner = itself ? new Set([...scope, folded(value["cte_name"])]) : scope;
    visit(child, inner, findings);
  }
}

function folded(name: Json | undefined): string {
  return foldName(text(name));
}

/** The CTEs that a query's body may name; each of them may name those before it. */
function withCtes(map: JsonObject, outer: ReadonlySet<string>, findings: Findings): Set<string> {
  const scope = new Set(outer);
  for (const entry of map["map"] as JsonObject[]) {
    const { query, ...rest } = entry["value"] as JsonObject;
    visit((query as JsonObject)["node"] ?? (query as Json), scope, findings);
    visit(rest, scope, findings);
    scope.add(folded(entry["key"]));
  }
  return scope;
}

function checkNode(node: JsonObject, ctes: ReadonlySet<string>, findings: Findings): void {
  const type = node["type"];
  if (typeof type !== "string") return;
  const kind = node["class"];
  if (kind === "FUNCTION" || kind === "WINDOW") {
    checkFunction(node, findings);
  } else if (kind === undefined && type === "BASE_TABLE") {
    checkTable(node, ctes, findings.tables);
  } else if (kind === undefined && type === "TABLE_FUNCTION") {
    checkTableFunction(node);
  } else if (kind === undefined && type === "SHOW_REF") {
    checkShow(node);
  } else if (!(kind === undefined ? plainNodes.has(type) : expressionClasses.has(String(kind)))) {
    throw refuse(`${type} can't stand in a query`);
  } else if (kind === "COLUMN_REF") {
    // It may be a column of that name: then its answer is made anew for nothing.
    const [name, ...more] = node["column_names"] as Json[];
    if (more.length === 0 && volatileNames.has(folded(name))) findings.volatile = true;
  }
}

function checkTable(node: JsonObject, ctes: ReadonlySet<string>, tables: Set<string>): void {
  if (node["at_clause"] !== null)
    throw refuse("AT can't stand in a query: a table has one version");
  // What a recursive CTE with USING KEY has so far.
  const recurring =
    folded(node["schema_name"]) === "recurring" && text(node["catalog_name"]) === "";
  if (recurring && ctes.has(folded(node["table_name"]))) return;
  const names = [node["catalog_name"], node["schema_name"], node["table_name"]].map(text);
  if (names[0] !== "" || names[1] !== "") {
    const full = names.filter((part) => part !== "").join(".");
    throw refuse(`tables are named without a schema, got ${full}`);
  }
  const name = folded(node["table_name"]);
  if (!ctes.has(name)) tables.add(name);
}

/** SUMMARIZE, DESCRIBE and SHOW of a table or query hold a query; what holds none lists the catalog. */
function checkShow(node: JsonObject): void {
  if (node["query"] === null) {
    throw refuse("SHOW of the catalog can't stand in a query: GET /tables lists the tables");
  }
}

function checkTableFunction(node: JsonObject): void {
  const called = node["function"] as JsonObject;
  const name = folded(called?.["function_name"]);
  const qualified = text(called?.["schema"]) !== "" || text(called?.["catalog"]) !== "";
  if (called?.["class"] !== "FUNCTION" || qualified || !allowed.relation.has(name)) {
    throw refuseFunction(name, "relation");
  }
}

function checkFunction(node: JsonObject, findings: Findings): void {
  // Whatever stands before it: it may be a column, as in name.lower(), or a schema, and a name means the same in each of them.
  const name = text(node["function_name"]);
  if (!allowed.value.has(folded(name))) throw refuseFunction(name, "value");
  if (volatileFunctions.has(folded(name))) findings.volatile = true;
}

function refuseFunction(name: string, calledFor: CalledFor): MillpondError {
  const own = folded(name);
  const [other, place]: [CalledFor, string] =
    calledFor === "value" ? ["relation", "a value"] : ["value", "a table"];
  // What it does is wrong in either place, and there is none for it.
  const why = denialOf(own, calledFor) ?? denialOf(own, other);
  if (why !== undefined) {
    return refuse(`the function ${name} can't stand in a query: it ${why}`, { function: name });
  }
  if (allowed[other].has(own)) {
    return refuse(`the function ${name} can't stand for ${place}`, { function: name });
  }
  // DuckDB has none of that name: more likely mistyped than tried.
  return new MillpondError("function-unknown", `there is no function ${name}`, {
    details: { function: name, calledFor },
  });
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}
