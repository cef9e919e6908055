// Alerts hold strings that attackers choose: every one of them is set as text, never as markup.
const $ = (id) => document.getElementById(id);
const rows = document.querySelector("#alerts tbody");
const LIMIT = 500;
let oldest = 0;
let newest = 0;
let waiting = [];

// Characters that hide, or that turn the order of what follows: shown by their number instead.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

function visible(text) {
  return String(text).replace(UNSEEN, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = visible(text);
  return made;
}

function local(time, { whole = false } = {}) {
  const when = new Date(time);
  const today = when.toDateString() === new Date().toDateString();
  const shown = today && !whole ? when.toLocaleTimeString() : when.toLocaleString();
  const made = element("time", "", Number.isNaN(when.getTime()) ? String(time) : shown);
  if (!Number.isNaN(when.getTime())) {
    made.dateTime = when.toISOString();
    made.title = when.toISOString() + " UTC";
  }
  return made;
}

function filters() {
  return { text: $("text").value, severity: $("severity").value, source: $("source").value };
}

function matches(alert, wanted) {
  const levels = ["informational", "low", "medium", "high", "critical"];
  if (levels.indexOf(alert.severity) < levels.indexOf(wanted.severity)) return false;
  if (wanted.source && alert.findings[0].source !== wanted.source) return false;
  const told = JSON.stringify(alert).toLowerCase();
  return wanted.text.toLowerCase().split(/\s+/).every((word) => told.includes(word));
}

// Who, as kind and name: "user", "Practitioner/7".
function who(entity) {
  const at = entity.indexOf(":");
  const made = element("span", "name");
  if (at > 0) made.append(element("span", "kind", entity.slice(0, at)));
  made.append(element("span", "", entity.slice(at + 1)));
  return made;
}

// What was done, on what and from where, as far as who does not say it already.
function act(alert) {
  const { evidence } = alert.findings[0];
  const told = evidence["event.action"] ? [evidence["event.action"]] : [];
  for (const [word, name] of [["on", "device.id"], ["from", "source.ip"]]) {
    const value = evidence[name];
    if (value && !alert.entity.includes(value)) told.push(`${word} ${value}`);
  }
  return told.join(" ");
}

// What it tells of has ended by itself; nobody closed it.
function over(alert) {
  return alert.status === "recovered";
}

// Why, in a sentence: what the rule is about, or what a model saw; then that it is over.
function why(alert) {
  if (over(alert)) return alert.reason;
  return (alert.findings[0].rule || {}).description || alert.reason;
}

function row(alert) {
  const made = element("tr");
  made.dataset.id = alert.id;
  made.classList.toggle("over", over(alert));
  made.dataset.sequence = alert.sequence;
  const severity = element("td");
  severity.append(element("span", `severity ${alert.severity}`, alert.severity));
  if (over(alert)) severity.append(element("span", "state", "over"));
  const when = element("td", "when");
  when.append(local(alert.last_seen));
  const what = element("td", "what");
  const title = element("button", "title", alert.title);
  title.type = "button";
  what.append(title, element("span", "act", act(alert)), element("span", "why", why(alert)));
  const name = element("td", "who");
  name.append(who(alert.entity));
  made.append(severity, when, name, what, element("td", "source", alert.findings[0].source));
  made.addEventListener("click", () => open(alert.id));
  return made;
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function load({ append = false } = {}) {
  const query = new URLSearchParams(filters());
  if (append) query.set("before", String(oldest));
  const alerts = await ask(`api/alerts?${query}`);
  if (!append) rows.replaceChildren();
  rows.append(...alerts.map(row));
  if (alerts.length) oldest = alerts[alerts.length - 1].sequence;
  if (alerts.length && !append) newest = Math.max(newest, alerts[0].sequence);
  $("older").hidden = alerts.length < 100;
  blank();
  waiting = [];
  announce();
}

function announce() {
  $("newer").hidden = waiting.length === 0;
  $("newer").textContent = `${waiting.length} new`;
}

function show(alert) {
  rows.querySelector(`tr[data-id="${CSS.escape(alert.id)}"]`)?.remove();
  const made = row(alert);
  made.classList.add("fresh");
  rows.prepend(made);
  while (rows.childElementCount > LIMIT) rows.lastElementChild.remove();
  blank();
}

function filtered() {
  const { text, severity, source } = filters();
  return Boolean(text || source || severity !== "informational");
}

// Nothing yet and nothing that fits are different news.
function blank() {
  $("empty").hidden = rows.childElementCount > 0 || filtered();
  $("unfit").hidden = rows.childElementCount > 0 || !filtered();
}

function arrived(alert) {
  newest = Math.max(newest, alert.sequence);
  if (!matches(alert, filters())) return;
  if (window.scrollY > 200) {
    waiting.push(alert); // whoever reads further down is not moved
    announce();
  } else {
    show(alert);
  }
}

function table(pairs) {
  const made = element("dl");
  for (const [name, value] of pairs) {
    if (value === undefined || value === null || value === "" || (Array.isArray(value) && !value.length)) continue;
    const shown = element("dd");
    shown.append(value instanceof Node ? value : visible(Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : value));
    made.append(element("dt", "", name), shown);
  }
  return made;
}

// An address of the installation's own; anything else is shown as the text it is.
function linked(address) {
  if (!/^https?:\/\//.test(address || "")) return address;
  const made = element("a", "", address);
  made.href = address;
  made.rel = "noopener noreferrer";
  made.target = "_blank";
  return made;
}

async function open(id) {
  const detail = $("detail");
  history.replaceState(null, "", `${location.pathname}${location.search}#${id}`);
  for (const made of rows.children) made.classList.toggle("open", made.dataset.id === id);
  let alert;
  try {
    alert = await ask(`api/alerts/${encodeURIComponent(id)}`);
  } catch {
    detail.replaceChildren(element("p", "", "This alert is not kept any more."));
    detail.hidden = false;
    return;
  }
  const close = element("button", "close", "Close");
  close.type = "button";
  close.addEventListener("click", shut);
  const rule = alert.findings[0].rule || {};
  detail.replaceChildren(close, element("span", `severity ${alert.severity}`, alert.severity), element("h2", "", alert.title), element("p", "", why(alert)));
  if (rule.response) detail.append(element("h3", "", "What to do"), element("p", "", rule.response));
  const once = alert.first_seen === alert.last_seen;
  const seen = once ? [["when", local(alert.last_seen, { whole: true })]] : [["first seen", local(alert.first_seen, { whole: true })], ["last seen", local(alert.last_seen, { whole: true })]];
  detail.append(element("h3", "", "Alert"), table([["who", alert.entity], ["what", act(alert)], ...seen, ["arrived", local(alert.stored, { whole: true })], ["status", alert.status], ["id", alert.id]]));
  for (const finding of alert.findings) {
    const found = finding.rule || {};
    const tags = element("p");
    for (const tag of found.tags || []) tags.append(element("span", "tag", tag === "AIAST" ? "AI-asserted (AIAST)" : tag));
    detail.append(element("h3", "", "Evidence"), table([["because", finding.reason], ...Object.entries(finding.evidence)]));
    detail.append(element("h3", "", "Found by"), table([["detector", finding.detector], ["rule", found.name], ["rule id", found.id], ["version", found.version], ["level", found.level], ["author", found.author], ["licence", found.license], ["read it", linked(found.reference)], ["score", finding.detector === "sigma" ? "" : finding.score.toFixed(3)], ["techniques", finding.techniques], ["events", finding.event_ids], ["date", finding.timely ? "" : "not trusted: out of range"]]), tags);
  }
  detail.hidden = false;
  detail.focus({ preventScroll: true });
  if (matchMedia("(max-width: 800px)").matches) detail.scrollIntoView();
}

function shut() {
  if ($("detail").hidden) return;
  $("detail").hidden = true;
  rows.querySelector("tr.open .title")?.focus(); // whoever came by keyboard goes on from there
  history.replaceState(null, "", location.pathname + location.search);
  for (const made of rows.children) made.classList.remove("open");
}

async function state() {
  try {
    const { counts, facts } = await ask("api/status");
    const speaking = (kind) => Object.entries(facts)
      .filter(([name, fact]) => name.startsWith(kind) && Date.now() - fact.time < 15000).map(([, fact]) => fact);
    const alive = speaking("worker."), keepers = speaking("events.");
    $("throughput").textContent = alive.length ? alive.reduce((sum, fact) => sum + fact.records_per_second, 0).toFixed(0) : "–";
    $("lag").textContent = alive.length ? alive.reduce((sum, fact) => sum + fact.lag, 0).toLocaleString() : "–";
    $("critical").textContent = counts.critical || 0;
    $("high").textContent = counts.high || 0;
    $("total").textContent = Object.values(counts).reduce((sum, count) => sum + count, 0).toLocaleString();
    $("keeping").textContent = keepers.length ? keepers.reduce((sum, fact) => sum + fact.lag, 0).toLocaleString() : "–";
    const stopped = [...alive, ...keepers].flatMap((fact) => fact.stopped);
    say(stopped.length ? `stopped: ${stopped.join("; ")}` : alive.length ? `live, ${alive.length} worker${alive.length > 1 ? "s" : ""}` : "no worker reports", stopped.length > 0 || !alive.length);
  } catch {
    say("connection lost, retrying", true);
  }
}

function say(text, bad) {
  if ($("health").textContent !== text) $("health").textContent = text;
  $("health").classList.toggle("bad", bad);
}

function changed() {
  const given = Object.entries(filters()).filter(([name, value]) => value && !(name === "severity" && value === "informational"));
  history.replaceState(null, "", location.pathname + (given.length ? `?${new URLSearchParams(given)}` : "") + location.hash);
  load().catch(() => say("connection lost, retrying", true));
}

// An address is typed and cut short by people: what it cannot mean is left out.
for (const [name, value] of new URLSearchParams(location.search)) {
  if (name === "text") $(name).value = value;
  if (["severity", "source"].includes(name) && [...$(name).options].some((option) => option.value === value)) $(name).value = value;
}
function asked() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}
window.addEventListener("hashchange", () => { if (asked()) open(asked()); else shut(); });
let typing;
$("text").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(changed, 200); });
$("severity").addEventListener("change", changed);
$("source").addEventListener("change", changed);
$("filters").addEventListener("submit", (event) => { event.preventDefault(); changed(); });
$("older").addEventListener("click", () => load({ append: true }));
$("newer").addEventListener("click", () => { window.scrollTo({ top: 0 }); for (const alert of waiting) show(alert); waiting = []; announce(); });
$("all").addEventListener("click", () => { $("filters").reset(); changed(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") shut();
  const row = event.target.closest?.("#alerts tbody tr");
  const next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
  if (next) {
    event.preventDefault();
    next.querySelector(".title").focus();
  }
});

await load().catch(() => say("connection lost, retrying", true));
if (asked()) open(asked());
const feed = new EventSource(`api/stream?after=${newest}`);
feed.addEventListener("alert", (event) => arrived(JSON.parse(event.data)));
feed.addEventListener("error", () => say("connection lost, retrying", true));
feed.addEventListener("open", state);
await state();
setInterval(state, 3000);
