// The page: no framework, nothing from elsewhere. State in one object, drawn by plain functions.

const $ = (id) => document.getElementById(id);
const state = { mode: "user", user: null, history: [], past: [], total: 0, fresh: new Set(), model: null, ranks: new Map(), turn: 0, whole: false };
const paces = [];

const make = (name, options = {}, ...children) => {
  const { data = {}, ...rest } = options;
  const element = Object.assign(document.createElement(name), rest);
  Object.assign(element.dataset, data);
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
};
const nameOf = (item) => item.title ?? String(item.item);
const number = (value) => value.toLocaleString("en");

// -- talking to the server

class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// An integer beyond 2^53, which a number here cannot hold, is kept as its digits; in a question it is a number again.
const NUMBERS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const exact = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : String(BigInt(text)));
const read = (text) => JSON.parse(text.replace(NUMBERS, (part) => (/^-?\d+$/.test(part) && typeof exact(part) === "string" ? `"${part}"` : part)));
const write = (body) => JSON.stringify(body).replace(/"(user|item)":"(-?\d+)"/g, (part, name, id) => (state.model[`${name}_ids`] === "int" ? `"${name}":${id}` : part));

async function ask(path, body, method) {
  const headers = {};
  const token = $("token").value.trim();
  if (token) headers.authorization = `Bearer ${token}`;
  const options = body === undefined ? { headers, method } : { headers, method: "POST", body: write(body) };
  let response;
  const began = performance.now();
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The server cannot be reached.");
  }
  const answer = read(await response.text());
  const spent = performance.now() - began;
  if (!response.ok) {
    if (response.status === 401) askForToken();
    throw new Refused(answer.error.message, response.status);
  }
  const inside = /dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "");
  return { answer, spent, inside: inside ? Number(inside[1]) : null };
}

// What follows from a user's history is for who may read; what the token is good for, the server says with the model.
const maySee = () => state.model.may.includes("read");
const mayWrite = () => state.model.takes_events && state.model.may.includes("write");
const whyNot = () => !state.model.shows_users ? "This server shows nothing of users." : $("token").value.trim() ? "This token does not let you read: it needs the scope read." : "To ask by a user needs a token of the scope read.";

function askForToken() {
  $("token-box").hidden = false;
  $("token-box").open = true;
}

function say(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

async function attempt(work) {
  try {
    const result = await work();
    return result;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message);
    return null;
  }
}

// An id is sent in the model's own type: 42 and "42" are not the same.
const asUserId = (text) => (state.model.user_ids === "int" ? exact(text) : text);
const isUserId = (text) => text !== "" && (state.model.user_ids === "str" || /^-?\d+$/.test(text));

// -- recommendations

function question(explain) {
  const oldestFirst = state.history.map(({ item, value }) => ({ item, value })).reverse();
  const who = state.mode === "user" ? { user: state.user } : { history: oldestFirst };
  return { ...who, k: 10, explain, on_unknown: "popular", where: state.where };
}

// Conditions on facts of items, as the API takes them.
function filter() {
  const text = $("where").value.trim();
  try {
    state.where = text ? JSON.parse(text) : undefined;
  } catch {
    return say('A condition is JSON, such as {"price": {"<": 20}, "genres": ["War", "Drama"]}.');
  }
  say(null);
  return refresh();
}

async function refresh() {
  const turn = ++state.turn;
  if (state.mode === "user" && (state.user === null || !maySee())) return drawList(null);
  $("list").setAttribute("aria-busy", "true");
  const got = await attempt(() => ask("/recommend", question(false)));
  if (turn !== state.turn) return;
  $("list").setAttribute("aria-busy", "false");
  $("list-empty").hidden ||= got === null; // a refused question has no answer that could be empty
  if (got === null) return;
  say(null);
  drawPace(got);
  drawList(got.answer);
  if (!mayExplain(got.answer)) return;
  const explained = await attempt(() => ask("/recommend", question(true)));
  if (explained === null || turn !== state.turn) return;
  const reasons = new Map(explained.answer.items.map((item) => [item.item, item.why ?? []]));
  for (const row of $("list").children) row.drawWhy(reasons.get(row.item) ?? []);
}

const mayExplain = (answer) => state.model.explains && !answer.fallback && (state.mode === "history" || maySee());

function drawList(answer) {
  const items = answer?.items ?? [];
  const before = state.ranks;
  state.ranks = new Map(items.map((item, place) => [item.item, place]));
  const top = Math.max(...items.map((item) => item.score), 1e-9);
  $("fallback").hidden = !(answer?.fallback && items.length);
  $("list").replaceChildren(...items.map((item, place) => rowOf(item, place, top, before, mayExplain(answer))));
  $("list-empty").hidden = items.length > 0;
  $("list-empty").textContent = answer ? "Nothing is left to recommend." : state.mode === "user" && !maySee() ? whyNot() : "Choose a user, or build a history of your own.";
}

function rowOf(item, place, top, before, waits = false) {
  const bar = make("i");
  const why = make("p", { className: waits ? "why waits" : "why" });
  const title = make("span", { className: "title" }, nameOf(item));
  let fresh = false;
  if (before.size) {
    const old = before.get(item.item);
    fresh = old === undefined;
    const text = fresh ? "new" : old > place ? `▲ ${old - place}` : old < place ? `▼ ${place - old}` : "";
    if (text) title.append(make("span", { className: old < place ? "moved down" : "moved", ariaLabel: fresh ? "new in the list" : `moved from ${old + 1}` }, text));
  }
  const row = make("li", { className: fresh ? "new" : "" },
    make("span", { className: "rank" }, String(place + 1)),
    title,
    make("div", { className: "acts" }, ...actsOf(item)),
    make("div", { className: "meter", title: `score ${item.score.toPrecision(4)}` }, bar),
    why);
  requestAnimationFrame(() => bar.style.setProperty("width", `${Math.max(2, (100 * item.score) / top)}%`));
  row.item = item.item;
  row.drawWhy = (reasons) => {
    const good = reasons.filter((reason) => reason.contribution > 0);
    why.replaceChildren(...(good.length ? ["because of ", ...good.flatMap((reason, n) => [n ? ", " : "", make("b", {}, reason.feature ?? nameOf(reason))])] : []));
  };
  return row;
}

function actsOf(item) {
  const takes = state.mode === "history" || mayWrite();
  const label = state.mode === "history" ? "Add" : "Took it";
  return [
    takes && make("button", { type: "button", className: "act main", ariaLabel: `${label}: ${nameOf(item)}`, onclick: () => take(item) }, label),
    make("button", { type: "button", className: "act", ariaLabel: `Similar to ${nameOf(item)}`, onclick: () => showSimilar(item) }, "Similar"),
  ].filter(Boolean);
}

function drawPace({ spent, inside }) {
  paces.push(spent);
  if (paces.length > 40) paces.shift();
  const most = Math.max(...paces, 1);
  const step = 120 / Math.max(1, paces.length - 1);
  $("spark").toggleAttribute("hidden", paces.length < 2);
  $("spark").firstElementChild.setAttribute("points", paces.map((pace, n) => `${(n * step).toFixed(1)},${(22 - (20 * pace) / most).toFixed(1)}`).join(" "));
  $("pace").textContent = inside === null ? `${spent.toFixed(1)} ms` : `${inside.toFixed(1)} ms in the server`;
  $("pace-here").textContent = inside === null ? "" : `${spent.toFixed(0)} ms here`;
}

// -- histories

async function take(item) {
  if (state.mode === "history") {
    $("history-box").open = true;
    const others = state.history.filter((known) => known.item !== item.item);
    if (ordered() || others.length === state.history.length) state.history = [{ ...item, value: state.model.typical_value }, ...others];
    drawHistory();
    return refresh();
  }
  if (state.user === null) return say("Choose a user first.");
  const event = { user: state.user, item: item.item, value: state.model.typical_value, id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
  const done = await attempt(() => ask("/events", { events: [event] }));
  if (done === null) return;
  state.fresh.add(item.item);
  await Promise.all([readPast(), refresh()]);
}

async function readPast() {
  state.past = [];
  state.total = 0;
  if (state.user !== null && maySee()) {
    try {
      const { answer } = await ask(`/users/${encodeURIComponent(state.user)}`);
      Object.assign(state, { past: answer.items, total: answer.total });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status !== 404) say(error.message);
    }
    if (!ordered()) state.past.sort((a, b) => state.fresh.has(b.item) - state.fresh.has(a.item));
  }
  drawHistory();
}

// Whether the model reads in which order items were met: histories stand with the newest on top.
const ordered = () => state.model.reads_order;

function drawHistory() {
  const own = state.mode === "history";
  const all = own ? state.history : state.past;
  const shown = own || state.whole ? all : all.slice(0, 30);
  const total = own ? all.length : state.total;
  $("history-title").textContent = own ? "Your history" : state.user === null ? "History" : `History of ${state.user}`;
  $("history-count").textContent = total ? number(total) : "";
  $("clear").hidden = !(own && all.length);
  $("more").hidden = shown.length === all.length;
  $("history-empty").hidden = all.length > 0;
  $("history-empty").textContent = own ? "Empty. Search an item above, or take one of the list." : state.user === null ? "" : maySee() ? "Nothing yet." : whyNot();
  $("history-ends").hidden = !(ordered() && all.length > 1);
  $("history").replaceChildren(...shown.map((item, place) => make("li", {},
    make("span", { className: "name" }, nameOf(item)),
    !own && state.fresh.has(item.item) && make("span", { className: "fresh" }, "just now"),
    !own && state.model.typical_value !== 1 && make("span", { className: "value", title: "value" }, String(Number(item.value.toPrecision(4)))),
    ...(own && ordered() && all.length > 1 ? [mover(item, place, -1), mover(item, place, 1)] : []),
    own && make("button", { type: "button", className: "drop", ariaLabel: `Take out ${nameOf(item)}`, onclick: () => drop(item) }, "✕"))));
}

function mover(item, place, step) {
  const [className, label, sign] = step < 0 ? ["move up", "Newer", "↑"] : ["move down", "Older", "↓"];
  const disabled = !(place + step in state.history);
  return make("button", { type: "button", className, disabled, title: label, ariaLabel: `${label}: ${nameOf(item)}`, onclick: () => move(place, step) }, sign);
}

function move(place, step) {
  const to = place + step;
  [state.history[place], state.history[to]] = [state.history[to], state.history[place]];
  drawHistory();
  const row = $("history").children[to];
  (row.querySelector(step < 0 ? ".up:enabled" : ".down:enabled") ?? row.querySelector(".move:enabled")).focus();
  refresh();
}

function drop(item) {
  state.history = state.history.filter((known) => known.item !== item.item);
  drawHistory();
  refresh();
}

async function choose(user) {
  Object.assign(state, { user, fresh: new Set(), ranks: new Map(), whole: false });
  $("user").value = user === null ? "" : String(user);
  const url = new URL(location);
  user === null ? url.searchParams.delete("user") : url.searchParams.set("user", user);
  history.replaceState(null, "", url);
  await Promise.all([readPast(), refresh()]);
}

function setMode(mode) {
  Object.assign(state, { mode, ranks: new Map() });
  for (const name of ["user", "history"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(name === mode));
    $(`tab-${name}`).tabIndex = name === mode ? 0 : -1;
  }
  $("side").setAttribute("aria-labelledby", `tab-${mode}`);
  $("user-field").hidden = mode === "history";
  $("item-label").textContent = mode === "history" ? "Add an item" : "Tell that the user took an item";
  $("item-hint").textContent = mode === "history" ? `Nothing of it is kept on the server.${ordered() ? " Its order counts: what you add is the newest." : ""}` : mayWrite() ? "It is kept in the journal, and counts at once." : state.model.takes_events ? "To tell it needs a token of the scope write." : "This server takes no events: it has no journal.";
  $("item").disabled = mode === "user" && !mayWrite();
  drawHistory();
  refresh();
}

// -- similar items

async function showSimilar(item) {
  const got = await attempt(() => ask(`/similar?item=${encodeURIComponent(item.item)}&k=8`));
  if (got === null) return;
  const { items } = got.answer;
  $("similar-title").textContent = nameOf(item);
  const top = Math.max(...items.map((one) => one.score), 1e-9);
  $("similar-list").replaceChildren(...items.map((one, place) => rowOf(one, place, top, new Map())));
  if (!$("similar").open) $("similar").showModal();
  $("similar").scrollTop = 0;
}

// -- search fields: a list below, by arrows, Enter and Escape, or by touch

function combo(input, list, find, choose, draw) {
  let found = [];
  let active = -1;
  let turn = 0;
  const close = () => { list.hidden = true; active = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
  const mark = (place) => {
    active = place;
    [...list.children].forEach((row, n) => row.setAttribute("aria-selected", String(n === active)));
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  };
  const pick = (one) => { close(); choose(one); };
  const open = async () => {
    const mine = ++turn;
    const answer = await attempt(() => find(input.value.trim()));
    if (mine !== turn || answer === null || document.activeElement !== input) return;
    found = answer;
    list.replaceChildren(...found.map((one, n) => {
      const row = make("li", { id: `${list.id}-${n}`, role: "option", onpointerdown: (event) => event.preventDefault(), onclick: () => pick(one) }, ...draw(one));
      row.setAttribute("role", "option");
      return row;
    }));
    if (!found.length) list.append(make("li", { className: "none" }, "Nothing found"));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(-1);
  };
  input.addEventListener("input", open);
  input.addEventListener("focus", open);
  input.addEventListener("click", () => list.hidden && open());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return open();
      if (found.length) mark((active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + found.length) % found.length);
    } else if (event.key === "Enter") {
      const chosen = !list.hidden && active >= 0 ? found[active] : undefined;
      event.preventDefault();
      turn++;
      if (chosen !== undefined) pick(chosen);
      else { close(); choose(undefined, input.value.trim(), found); }
    } else if (event.key === "Escape") close();
  });
}

// -- the model's facts

async function readModel() {
  const got = await attempt(() => ask("/model"));
  if (got === null) return false;
  const model = got.answer;
  if (state.model && state.model.version !== model.version && state.model.seq <= model.seq) setTimeout(refresh);
  state.model = model;
  $("facts").textContent = `${model.model} · ${number(model.users)} users · ${number(model.items)} items · ${number(model.interactions)} interactions`;
  const facts = {
    Version: model.version,
    Factors: model.options.factors,
    "Events taken in": model.takes_events && model.seq !== null ? number(model.seq) : undefined,
    "Users changed since": model.takes_events && model.seq !== null ? number(model.changed_users) : undefined,
    fastrec: model.fastrec,
  };
  $("model").replaceChildren(...Object.entries(facts).filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))));
  $("where-form").hidden = !model.facts.length;
  $("where-hint").textContent = `As {"${model.facts[0]}": value}. Facts: ${model.facts.join(", ")}.`;
  if (model.needs_token) $("token-box").hidden = false;
  if (model.problem) say(`The server goes on with this model: ${model.problem}`);
  return true;
}

// -- colours

const themes = { "": ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };
function setTheme(theme) {
  theme ? (document.documentElement.dataset.theme = theme) : delete document.documentElement.dataset.theme;
  $("theme").textContent = themes[theme][0];
  $("theme").ariaLabel = `Colours: ${themes[theme][1]}`;
  $("theme").title = $("theme").ariaLabel;
  localStorage.setItem("theme", theme);
}

// -- begin

setTheme(localStorage.getItem("theme") in themes ? localStorage.getItem("theme") : "");
$("theme").onclick = () => { const names = Object.keys(themes); setTheme(names[(names.indexOf(localStorage.getItem("theme")) + 1) % 3]); };
$("token").value = sessionStorage.getItem("token") ?? "";
$("token").onchange = async () => {
  sessionStorage.setItem("token", $("token").value);
  say(null);
  if (!(await readModel())) return;
  if ($("token").value.trim() && !state.model.may.length) say("The server does not know this token.");
  setMode(state.mode);
  await readPast();
};
$("where-form").onsubmit = (event) => { event.preventDefault(); filter(); };
$("token-form").onsubmit = (event) => event.preventDefault();
$("history-box").open = !matchMedia("(max-width: 800px)").matches;
$("clear").onclick = () => { state.history = []; drawHistory(); refresh(); $("item").focus(); };
$("more").onclick = () => { state.whole = true; drawHistory(); };
for (const mode of ["user", "history"]) $(`tab-${mode}`).onclick = () => setMode(mode);
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  setMode(state.mode === "user" ? "history" : "user");
  $(`tab-${state.mode}`).focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName) && !$("similar").open) {
    event.preventDefault();
    (state.mode === "user" ? $("user") : $("item")).focus();
  }
});
$("similar").addEventListener("click", (event) => event.target === $("similar") && $("similar").close());

combo($("user"), $("user-list"), async (text) => !maySee() ? [] : (await ask(`/users?limit=12&search=${encodeURIComponent(text === String(state.user) ? "" : text)}`)).answer.users,
  (user, text) => {
    if (user !== undefined) return choose(user);
    if (text === "") return choose(null);
    if (!isUserId(text)) return say("The ids of users are integers here.");
    return choose(asUserId(text));
  },
  (user) => [String(user)]);
combo($("item"), $("item-list"), async (text) => (await ask(`/items?limit=12&search=${encodeURIComponent(text)}`)).answer.items,
  (item, text, found) => {
    const chosen = item ?? (text ? found[0] : undefined);
    if (chosen) { $("item").value = ""; take(chosen); }
  },
  (item) => [make("span", {}, nameOf(item)), make("small", {}, `${number(item.users)} users`)]);

async function begin() {
  while (!(await readModel())) await new Promise((done) => setTimeout(done, 1000));
  say(null);
  setMode("user");
  const wanted = new URL(location).searchParams.get("user");
  if (state.model.needs_token && !maySee()) askForToken();
  if (wanted !== null && isUserId(wanted)) return choose(asUserId(wanted));
  const got = maySee() ? await attempt(() => ask("/users?limit=1")) : null;
  await choose(got?.answer.users[0] ?? null);
  if (!state.model.keeps_users) setMode("history");
}
begin();
setInterval(() => document.hidden || readModel(), 5000);
