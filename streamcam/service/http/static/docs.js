// The API reference, made from OpenAPI without external scripts.

import { el } from "./dom.js";
import { get } from "./server.js";

const main = document.getElementById("main");

function nameOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(nameOf).join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  if (schema.type === "array") return `list of ${nameOf(schema.items) || "values"}`;
  return schema.format ?? schema.type ?? "";
}

function operation(path, method, { summary, description, parameters = [], requestBody, responses }) {
  const inputs = parameters.map(({ name, in: place, required, schema }) =>
    el("li", {}, el("code", {}, name), ` ${nameOf(schema)}, in the ${place}${required ? "" : ", optional"}`),
  );
  for (const [type, { schema }] of Object.entries(requestBody?.content ?? {}))
    inputs.push(el("li", {}, `${type} `, el("code", {}, nameOf(schema)), ", in the body"));
  const outputs = Object.entries(responses["200"]?.content ?? {}).map(([type, { schema }]) =>
    el("li", {}, `${type} `, el("code", {}, nameOf(schema))),
  );
  return el(
    "article",
    {},
    el("h2", {}, el("b", {}, method.toUpperCase()), el("code", {}, path)),
    el("p", {}, description ?? summary ?? ""),
    inputs.length ? el("h3", {}, "Takes") : null,
    el("ul", {}, ...inputs),
    outputs.length ? el("h3", {}, "Answers") : null,
    el("ul", {}, ...outputs),
  );
}

function schemaOf(name, { description, properties = {} }) {
  const fields = Object.entries(properties).map(([field, schema]) =>
    el("li", {}, el("code", {}, field), ` ${nameOf(schema)}`, schema.description ? `: ${schema.description}` : ""),
  );
  return el("article", {}, el("h2", {}, el("code", {}, name)), el("p", {}, description ?? ""), el("ul", {}, ...fields));
}

const { info, paths, components } = await get("/openapi.json");
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, details]) => operation(path, method, details)),
);
const schemas = Object.entries(components.schemas)
  .filter(([name]) => !name.includes("Validation"))
  .map(([name, schema]) => schemaOf(name, schema));
main.append(
  el("h1", {}, `${info.title} ${info.version}`),
  el("p", { class: "quiet" }, "Give the token, where one is needed, as “Authorization: Bearer …”."),
  ...operations,
  el("h1", {}, "Forms"),
  ...schemas,
);
