import { useEffect, useRef } from "preact/hooks";
import type { Asked, ShownQuery } from "./api.ts";
import { shown } from "./format.ts";

/** What keeps a person from typing what the server would refuse. */
const inputs = {
  // Not a browser's number: that is a double.
  integer: { type: "text", inputMode: "numeric", pattern: "[+\\-]?[0-9]{1,38}" },
  number: { type: "number", step: "any" },
  date: { type: "date" },
} as const;

type Parameter = ShownQuery["parameters"][number];

function Field(parameter: Parameter) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the value is its control
    <label>
      {parameter.name} <small>{parameter.description}</small>
      <Value {...parameter} />
    </label>
  );
}

function Value({ name, type, default: fallback }: Parameter) {
  if (type === "boolean") {
    return (
      <select name={name} required={fallback === undefined}>
        <option value="">{fallback === undefined ? "" : `${fallback}, the default`}</option>
        <option>true</option>
        <option>false</option>
      </select>
    );
  }
  // An empty text is a value: the default stands there, and can be taken away.
  if (type === "text") return <input name={name} type="text" defaultValue={fallback ?? ""} />;
  return (
    <input
      name={name}
      {...inputs[type]}
      required={fallback === undefined}
      placeholder={shown(fallback)}
    />
  );
}

/** A saved query, and a field for each of its parameters. */
export function SavedForm({
  query,
  given,
  run,
}: {
  query: ShownQuery;
  /** Of a link. */
  given: Record<string, string> | undefined;
  run: (asked: Asked) => void;
}) {
  const { name, description, parameters } = query;
  const place = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const details = place.current;
    if (details === null || given === undefined) return;
    details.open = true;
    for (const field of details.querySelectorAll<HTMLInputElement | HTMLSelectElement>("[name]")) {
      field.value = given[field.name] ?? "";
    }
  }, [given]);
  return (
    <details class="saved" ref={place}>
      <summary>
        {name} <small>{description}</small>
      </summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const texts = new Set(
            parameters.flatMap(({ name, type }) => (type === "text" ? name : [])),
          );
          const values = Object.fromEntries(
            [...new FormData(event.currentTarget)].filter(
              ([name, value]) => value !== "" || texts.has(name),
            ),
          );
          run({ saved: name, values: values as Record<string, string> });
        }}
      >
        {parameters.map((parameter) => (
          <Field key={parameter.name} {...parameter} />
        ))}
        <button type="submit">Run</button>
      </form>
    </details>
  );
}
