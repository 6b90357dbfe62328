// A browser of the API: reads /openapi.json, shows each operation with its fields, and sends requests from the page.
// The key stays in its input; nothing is stored.
"use strict";

const REF = "#/components/schemas/";
let schemas = {};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function resolve(schema) {
  return schema && schema.$ref ? schemas[schema.$ref.slice(REF.length)] || {} : schema || {};
}

// What a schema takes, in a few words.
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.slice(REF.length).split(".").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).filter((one) => one !== "null").join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  const type = [].concat(schema.type || "anything").filter((one) => one !== "null").join(" or ");
  return schema.format ? `${type} (${schema.format})` : type;
}

// The schemas with fields of their own that a schema leads to.
function inner(schema) {
  if (!schema) return [];
  if (schema.$ref) return [schema];
  return [...(schema.anyOf || []), ...(schema.items ? [schema.items] : [])].flatMap(inner);
}

function fields(schema, above) {
  const { properties = {}, required = [] } = resolve(schema);
  const rows = Object.entries(properties).map(([name, field]) => {
    const below = inner(field).filter((one) => resolve(one).properties && !above.includes(one.$ref));
    return element("tr", {},
      element("td", {}, element("code", {}, name), required.includes(name) ? " *" : ""),
      element("td", {},
        element("span", { class: "quiet" }, kind(field)),
        element("div", { class: "said" }, field.description || resolve(field).description || ""),
        ...below.map((one) => lazily(`Fields of ${kind(one)}`, () => fields(one, [...above, one.$ref])))));
  });
  return rows.length ? element("table", {}, ...rows) : element("p", { class: "quiet" }, "No fields.");
}

// Details that are made when they are opened first: schemas refer to each other without end.
function lazily(title, content) {
  const made = element("details", {}, element("summary", {}, title));
  made.addEventListener("toggle", () => {
    if (made.open && made.children.length === 1) made.append(content());
  });
  return made;
}

// A body to begin with: the fields that must be there.
function example(schema, depth = 0) {
  const { type, properties = {}, required = [], items, anyOf, enum: values } = resolve(schema);
  if (depth > 6) return null;
  if (values) return values[0];
  if (anyOf) return example(anyOf[0], depth + 1);
  if (type === "array") return items ? [example(items, depth + 1)] : [];
  if (type === "object") return Object.fromEntries(required.map((name) => [name, example(properties[name], depth + 1)]));
  return { string: "", integer: 0, number: 0, boolean: false }[[].concat(type)[0]] ?? null;
}

const BODIES = {
  "/v1/chat/completions": { model: "", messages: [{ role: "user", content: "Say hello." }], stream: false },
  "/v1/completions": { model: "", prompt: "Once upon a time", max_tokens: 16 },
  "/v1/embeddings": { model: "", input: "hello" },
  "/api/v1/chat": { input: { model: "", messages: [{ role: "ROLE_USER", parts: [{ text: "Say hello." }] }] } },
  "/api/v1/chat:stream": { input: { model: "", messages: [{ role: "ROLE_USER", parts: [{ text: "Say hello." }] }] } },
};

function trial(path, verb, operation) {
  const parameters = (operation.parameters || []).map((parameter) => ({
    ...parameter, input: element("input", { placeholder: kind(parameter.schema) }),
  }));
  const schema = operation.requestBody?.content["application/json"].schema;
  const body = schema ? element("textarea", { spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(BODIES[path] || example(schema), null, 2);
  const answer = element("pre", { hidden: "" });
  const send = element("button", { type: "button", onclick: () => ask() }, "Send");
  const curl = element("button", { type: "button", onclick: () => show(asCurl()) }, "As curl");

  function target() {
    let filled = path;
    const query = new URLSearchParams();
    for (const { name, in: place, input } of parameters) {
      if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(name, input.value);
    }
    return query.size ? `${filled}?${query}` : filled;
  }

  function show(text) {
    answer.hidden = false;
    answer.textContent = text;
  }

  function asCurl() {
    const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const lines = [`curl -X ${verb.toUpperCase()} ${quoted(location.origin + target())}`, `-H "Authorization: Bearer $PENSTOCK_KEY"`];
    if (body) lines.push("-H 'Content-Type: application/json'", `-d ${quoted(body.value)}`);
    return lines.join(" \\\n  ");
  }

  async function ask() {
    const headers = {};
    const key = document.getElementById("key").value;
    if (key) headers.Authorization = `Bearer ${key}`;
    if (body) headers["Content-Type"] = "application/json";
    show("…");
    try {
      const response = await fetch(target(), { method: verb.toUpperCase(), headers, body: body?.value });
      const head = `HTTP ${response.status}\n${[...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n`;
      show(head);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += part.value;
        show(head + text);
      }
      show(head + indented(text));
    } catch (error) {
      show(`No answer: ${error.message}`);
    }
  }

  return element("div", {},
    ...parameters.map(({ name, input, description }) =>
      element("p", {}, element("label", {}, element("code", {}, name), " ", input), " ", element("span", { class: "quiet" }, description || ""))),
    body, element("p", {}, send, " ", curl), answer);
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function shown(path, verb, operation) {
  const summary = element("summary", {},
    element("span", { class: "verb" }, verb.toUpperCase()), element("code", {}, path), " ",
    element("span", { class: "quiet" }, (operation.summary || "").split("\n")[0]));
  const made = element("details", { "data-text": `${verb} ${path} ${operation.summary || ""}`.toLowerCase() }, summary);
  made.addEventListener("toggle", () => {
    if (!made.open || made.children.length > 1) return;
    made.append(element("p", { class: "said" }, operation.summary || ""));
    const schema = operation.requestBody?.content["application/json"].schema;
    if (schema) made.append(lazily("Fields of the request", () => fields(schema, [])));
    for (const [status, response] of Object.entries(operation.responses)) {
      for (const [type, { schema: answer }] of Object.entries(response.content || {})) {
        made.append(lazily(`Answer ${status}, ${type}`, () => element("div", {},
          element("p", { class: "said" }, response.description || "", " ", answer.description || ""), fields(answer, []))));
      }
    }
    made.append(element("h3", {}, "Try it"), trial(path, verb, operation));
  });
  return made;
}

function list(documented) {
  schemas = documented.components.schemas;
  const operations = document.getElementById("operations");
  for (const { name, description } of documented.tags) {
    const found = Object.entries(documented.paths).flatMap(([path, item]) =>
      Object.entries(item).filter(([, operation]) => operation.tags.includes(name)).map(([verb, operation]) => shown(path, verb, operation)));
    operations.append(element("section", {}, element("h2", {}, name), element("p", { class: "said quiet" }, description || ""), ...found));
  }
  document.getElementById("state").textContent = "";
}

document.getElementById("find").addEventListener("input", (event) => {
  for (const each of document.querySelectorAll("[data-text]")) each.hidden = !each.dataset.text.includes(event.target.value.toLowerCase());
});

fetch("/openapi.json").then((response) => response.json()).then(list).catch((error) => {
  document.getElementById("state").textContent = `/openapi.json cannot be read: ${error.message}`;
});
