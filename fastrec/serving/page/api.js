// The API, drawn from /openapi.json.
const make = (name, options = {}, ...children) => {
  const element = Object.assign(document.createElement(name), options);
  element.append(...children);
  return element;
};
const spec = await (await fetch("/openapi.json")).json();
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
const resolve = (schema) => (schema?.$ref ? spec.components.schemas[schema.$ref.split("/").pop()] : schema);

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`.replace(/^(.* \| .*)\[\]$/, "($1)[]");
  return [schema.type].flat().join(" | ");
}
const notes = (schema, required) => [required ? "required" : schema.default != null ? `default ${JSON.stringify(schema.default)}` : "", schema.description ?? ""].filter(Boolean).join(". ");

function table(rows) {
  return make("table", {}, make("tbody", {}, ...rows.map(([name, type, said]) => make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, make("code", {}, type)), make("td", {}, said)))));
}
function fields(schema) {
  const known = resolve(schema);
  return Object.entries(known.properties ?? {}).map(([name, value]) => [name, typeOf(value), notes(value, known.required?.includes(name))]);
}

// The fields of a body, and those of what it is made of, each kind once.
function tables(schema, told = new Set()) {
  const parts = [...JSON.stringify(resolve(schema)).matchAll(/"\$ref":"([^"]*)"/g)].map(([, $ref]) => $ref).filter(($ref) => !told.has($ref) && told.add($ref));
  return [table(fields(schema)), ...parts.flatMap(($ref) => [make("p", {}, make("code", {}, typeOf({ $ref }))), ...tables({ $ref }, told)])];
}
// Examples with ids of the model's types, once there is a model.
const model = await (await fetch("/model")).json();
const [user, item] = [42, 50].map((id, place) => ([model.user_ids, model.item_ids][place] === "str" ? String(id) : id));

document.getElementById("said").textContent = spec.info.description;
document.getElementById("paths").append(...Object.entries(spec.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, what]) => {
  const article = make("article", {}, make("h2", {}, make("span", { className: "verb" }, verb.toUpperCase()), make("code", {}, path), make("span", {}, what.summary)));
  if (what.description) article.append(make("p", {}, what.description));
  if (what.security) article.append(make("p", {}, `Needs a token of scope ${what.security.flatMap((one) => one.token ?? [])}${what.security.length > 1 ? ", where a user is named" : ""}.`));
  if (what.parameters) article.append(table(what.parameters.map((one) => [one.name, typeOf(one.schema), [one.required ? "required" : "", one.description].filter(Boolean).join(". ")])));
  const body = what.requestBody?.content["application/json"].schema;
  if (body) {
    article.append(...tables(body));
    const example = { "/recommend": { user, k: 10 }, "/batch": { users: [user] }, "/events": { events: [{ user, item, id: "click-1" }] } }[path];
    article.append(make("pre", {}, `curl ${location.origin}${path} -d '${JSON.stringify(example)}'`));
  }
  const answer = what.responses["200"]?.content?.["application/json"]?.schema;
  if (answer) article.append(make("p", {}, "Answer"), ...tables(answer));
  article.append(make("p", {}, "Else: " + (Object.entries(what.responses).filter(([status]) => status !== "200").map(([status, one]) => `${status} ${one.description.toLowerCase()}`).join("; ") || "nothing") + "."));
  return article;
})));
