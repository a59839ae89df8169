// What a live page does: it takes newer pages as they are made, and appends the lines of the log that it shows.
"use strict";
const main = document.getElementById("main");
const here = document.body.dataset.here;
const status = document.getElementById("live");
const MOST = 2000;
const lines = new Map();
let followed = null;
let word = "";
let shut = new Set();
let shown = "";

function tell(text) {
  if (status.textContent !== text) status.textContent = text;
}

function keyed(root, query, key) {
  return new Map(Array.from(root.querySelectorAll(query), (one) => [key(one), one]));
}

// What a person opened, chose, focused and scrolled to stays so in the newer page.
function keep(fresh) {
  const path = (one) => one.dataset.path;
  const before = keyed(main, "details[data-path]", path);
  for (const [name, one] of keyed(fresh, "details[data-path]", path)) if (before.has(name)) one.open = before.get(name).open;
  for (const one of main.querySelectorAll("input:checked")) {
    const same = fresh.querySelector("#" + CSS.escape(one.id));
    if (same) same.checked = true;
  }
  const focus = document.activeElement;
  return focus && main.contains(focus) && (focus.id ? "#" + CSS.escape(focus.id)
    : focus.getAttribute("href") ? `[href="${CSS.escape(focus.getAttribute("href"))}"]` : "");
}

async function renew() {
  const answer = await fetch(location.pathname, { cache: "no-store" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  if (!fresh || fresh.innerHTML === shown) return;
  shown = fresh.innerHTML;
  const focus = keep(fresh);
  const scrolled = Array.from(blocks()).filter(([, one]) => !atEnd(one)).map(([part, one]) => [part, one.scrollTop]);
  shut = new Set(Array.from(main.querySelectorAll("details[data-path]:not([open])"), (one) => one.dataset.path));
  main.replaceChildren(...fresh.childNodes);
  document.title = page.title;
  if (focus) main.querySelector(focus)?.focus({ preventScroll: true });
  refill();
  for (const [part, top] of scrolled) blocks().get(part)?.scrollTo({ top, behavior: "instant" });
  tick();
}

function row([, ms, stream, text]) {
  const line = document.createElement("span");
  const time = document.createElement("i");
  line.className = stream === "err" ? "err" : "out";
  time.textContent = (ms / 1000).toFixed(2).padStart(8);
  line.append(time, " " + text, "\n");
  return line;
}

function atEnd(block) {
  return block.scrollHeight - block.scrollTop - block.clientHeight < 40;
}

function append(block, rows) {
  const last = atEnd(block);
  block.append(...rows.map(row));
  while (block.childNodes.length > MOST) block.firstChild.remove();
  if (last) block.scrollTop = block.scrollHeight;
}

function blocks() {
  return keyed(main, "pre[data-part]", (one) => one.dataset.part);
}

// The output of a part: where the page has none yet, since the log is elsewhere, a place for it is made.
function place(part) {
  const known = blocks().get(part);
  const tree = main.querySelector("[data-follow] .tree");
  if (known || !tree) return known;
  const [details, summary, name, block] = ["details", "summary", "span", "pre"].map((one) => document.createElement(one));
  details.dataset.path = block.dataset.part = part;
  details.open = !shut.has(part);
  name.className = "mono";
  name.textContent = part.split("/").pop() || "the command";
  block.tabIndex = 0;
  block.setAttribute("role", "region");
  block.setAttribute("aria-label", `output of ${part || "the command"}`);
  summary.append(name);
  details.append(summary, block);
  tree.append(details);
  return block;
}

// Why no lines come, where the log is on a node.
function explain(text) {
  word = text;
  const place = main.querySelector("[data-word]");
  if (place) place.textContent = text;
}

function followable() {
  return main.querySelector("[data-follow]")?.dataset.follow;
}

// Output that was followed is newer than any page, so it takes the place of what a page holds.
function refill() {
  if (!followable()) return;
  explain(word);
  for (const [part, rows] of lines) {
    const block = place(part);
    if (!block) continue;
    block.replaceChildren();
    append(block, rows);
  }
}

// What has ended may begin again with the next news: a build that was claimed has no output yet.
function follow() {
  const build = followable();
  if (!build || followed) return;
  followed = new EventSource(`${here}log/${build}`);
  followed.onopen = () => lines.clear();
  followed.onerror = () => { if (followed.readyState === EventSource.CLOSED) followed = null; };
  followed.addEventListener("over", () => { followed.close(); followed = null; renew(); });
  followed.addEventListener("word", (event) => explain(JSON.parse(event.data)));
  followed.onmessage = (event) => {
    explain("");
    const fresh = new Map();
    for (const one of JSON.parse(event.data)) {
      if (!fresh.has(one[0])) fresh.set(one[0], []);
      fresh.get(one[0]).push(one);
    }
    for (const [part, rows] of fresh) {
      const block = place(part);
      if (block && !lines.has(part)) block.replaceChildren();
      lines.set(part, [...(lines.get(part) ?? []), ...rows].slice(-MOST));
      if (block) append(block, rows.slice(-MOST));
    }
  };
}

function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

function tick() {
  for (const bar of main.querySelectorAll("progress[data-started]")) {
    const ran = Date.now() - Number(bar.dataset.started);
    const usual = Number(bar.dataset.usual);
    if (usual) bar.value = Math.min(usual, ran);
    const said = bar.parentElement.querySelector(".elapsed");
    if (said) said.textContent = span(ran) + (usual ? ` of about ${span(usual)}` : "");
  }
}

const news = new EventSource(`${here}news`);
news.onmessage = () => { tell("Live: this page is made anew as things happen."); renew().then(follow); };
news.onerror = () => tell("The server does not answer: this is how things were.");
setInterval(tick, 1000);
follow();
