// Everything the pages do by themselves: filters that answer at once, the walk through a tree, a light from a thought's
// words to its turn and back, judgements, keys. No text from the server is ever put in as markup by hand: pages come whole
// from the server's templates, everything else is set with textContent.
"use strict";
document.documentElement.classList.add("js");
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function say(words) {
  const box = $("#say");
  box.textContent = words;
  box.classList.add("on");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => box.classList.remove("on"), 1800);
}

// ---- light and dark -------------------------------------------------------------------------------------------------
function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* it then holds for this page */ }
}

// ---- lists: filters, the current row, pages that go on growing -------------------------------------------------------
let asked = 0;
async function refresh(address, { push = true } = {}) {
  const mine = ++asked;
  const results = $("#results");
  results?.classList.add("waiting");
  try {
    const answer = await fetch(address, { headers: { "X-Partial": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    if (!$("#results, #desk", page)) throw new Error($(".notice", page)?.textContent || "no answer");
    if (push) history.replaceState(null, "", address);
    take(page);
  } catch (error) {
    if (mine === asked) say(String(error.message || error));
  } finally {
    if (mine === asked) $("#results")?.classList.remove("waiting");
  }
}

function take(page) {
  for (const fresh of $$("[data-live]", page)) {
    const old = document.getElementById(fresh.id);
    if (!old) continue;
    const at = $(".row.current a", old)?.getAttribute("href");
    const focused = old.contains(document.activeElement);
    old.replaceChildren(...fresh.childNodes);
    const link = at && $$(".row a.cover", old).find((one) => one.getAttribute("href") === at);
    if (link) {
      link.closest(".row").classList.add("current");
      if (focused) link.focus({ preventScroll: true });
    }
  }
  for (const set of $$("fieldset", page)) {
    const key = $("legend", set)?.textContent;
    const old = $$("fieldset").find((one) => $("legend", one)?.textContent === key);
    if (old && !old.contains(document.activeElement)) old.replaceChildren(...set.childNodes);
  }
  for (const count of $$("[data-count]", page)) {
    const old = $$("[data-count]").find((one) => one.dataset.count === count.dataset.count);
    if (old) old.textContent = count.textContent;
  }
  const desk = $("#desk");
  if (desk) {
    desk.dataset.turns = $("#desk", page).dataset.turns;
    gatherMarked();
    light([]);
    go(at, { scroll: false });
  }
  poll();
}

function filtered(form) {
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (String(value).trim() && !(name === "sort" && value === "order")) asked.append(name, value);
  }
  const query = asked.toString();
  return form.getAttribute("action") + (query ? "?" + query : "");
}

function poll() {
  clearTimeout(poll.timer);
  const waits = $$("[data-poll]").map((one) => Number(one.dataset.poll));
  if (waits.length) poll.timer = setTimeout(() => {
    if (document.hidden || $("#desk textarea")) return poll();
    refresh(location.pathname + location.search, { push: false });
  }, 1000 * Math.min(...waits));
}

function moveRow(step) {
  const rows = $$(".row");
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.classList.contains("current"));
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + step));
  rows.forEach((row, place) => row.classList.toggle("current", place === next));
  $("a", rows[next]).focus({ preventScroll: true });
  rows[next].scrollIntoView({ block: "nearest" });
  return true;
}

// ---- one journey: the light between thought, turns and tree ----------------------------------------------------------
const turnsOf = (element) => (element.dataset.turns ?? element.dataset.turn ?? "").split(" ").filter(Boolean);
let marked = new Map();
function gatherMarked() {
  marked = new Map();
  for (const element of $$("#desk [data-turn], #desk [data-turns].piece, #desk tr[data-turns]")) {
    for (const turn of turnsOf(element)) {
      if (!marked.has(turn)) marked.set(turn, []);
      marked.get(turn).push(element);
    }
  }
}
let lit = [];
function light(turns) {
  for (const element of lit) element.classList.remove("lit");
  lit = turns.flatMap((turn) => marked.get(turn) ?? []);
  for (const element of lit) element.classList.add("lit");
}

// ---- the walk ---------------------------------------------------------------------------------------------------------
let at = null;
let player = null;
function go(turn, { scroll = true } = {}) {
  const desk = $("#desk");
  const count = Number(desk.dataset.turns);
  at = turn === null || !count ? null : Math.max(0, Math.min(count - 1, turn));
  desk.classList.toggle("walking", at !== null);
  $("#at").textContent = at === null ? "all" : `${at + 1} of ${count}`;
  for (const element of $$("#desk .node, #desk .turn, #desk .piece, #desk .lines path")) {
    const own = Number(element.dataset.of ?? turnsOf(element)[0]);
    const removed = element.dataset.removed === undefined ? Infinity : Number(element.dataset.removed);
    const walking = at !== null;
    const tells = element.dataset.of === undefined ? turnsOf(element) : [element.dataset.of];
    element.classList.toggle("now", walking && tells.includes(String(at)));
    element.classList.toggle("ahead", walking && own > at);
    element.classList.toggle("gone-by", walking && removed <= at);
    if (element.classList.contains("node")) {
      element.classList.toggle("standing", walking && own <= at && removed > at);
      element.classList.toggle("gone", walking && own <= at && removed <= at);
    }
  }
  if (at !== null) judgeBox(at);
  if (at === null || !scroll) return;
  const smooth = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  $(`#turn-${at}`)?.scrollIntoView({ block: "nearest", behavior: smooth });
  within($("#tree-scroll"), $(`.node[data-turn="${at}"]`));
  within($(".thought-pane"), $(".piece.now"));
}
function within(box, element) {
  if (!box || !element || box.scrollHeight <= box.clientHeight + 1) return;
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.top < outer.top + 40 || inner.bottom > outer.bottom - 20) box.scrollTop += inner.top - outer.top - outer.height / 3;
}
function play() {
  const button = $('[data-walk="play"]');
  if (player) {
    clearInterval(player);
    player = null;
  } else {
    const count = Number($("#desk").dataset.turns);
    if (at === null || at === count - 1) go(0);
    player = setInterval(() => (at !== null && at < count - 1 ? go(at + 1) : play()), 900);
  }
  button.textContent = player ? "❚❚" : "▶";
}
function halt() {
  if (player) play();
}

// ---- judgements -------------------------------------------------------------------------------------------------------
// Far down in a long journey the buttons come when somebody gets there: thousands of them would slow the page.
function judgeBox(turn) {
  const box = $(`[data-judge="${turn}"]`);
  if (box && !$("button", box)) {
    box.append(...$$("[data-judge='-1'] button").map((button) => {
      const copy = button.cloneNode(true);
      if (copy.dataset.mark) copy.setAttribute("aria-pressed", "false");
      return copy;
    }));
  }
  return box;
}
async function keep(turn, mark, note) {
  const desk = $("#desk");
  const body = JSON.stringify({ journey_id: desk.dataset.journey, turn: Number(turn), mark, note });
  const answer = await fetch(desk.dataset.judgeAt, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const told = await answer.json().catch(() => ({ error: answer.statusText }));
  if (!answer.ok) return say(told.error || "not kept");
  const box = judgeBox(turn);
  box.dataset.mark = mark;
  for (const button of $$("button[data-mark]", box)) button.setAttribute("aria-pressed", String(button.dataset.mark === mark));
  $(".note", box).textContent = note;
  const what = Number(turn) < 0 ? "The thought" : `Turn ${turn}`;
  say(mark ? `${what}: ${mark}` : note ? `${what}: noted` : `${what}: judgement taken back`);
}
function judge(mark, turn = at ?? -1) {
  const box = judgeBox(turn);
  if (box) keep(turn, box.dataset.mark === mark ? "" : mark, $(".note", box).textContent);
}
function note(turn = at ?? -1) {
  const box = judgeBox(turn);
  if (!box || $("textarea", box)) return;
  const area = document.createElement("textarea");
  area.value = $(".note", box).textContent;
  area.setAttribute("aria-label", "Note; Enter keeps it, Escape does not");
  area.maxLength = 4000;
  box.append(area);
  area.focus();
  let over = false;
  const end = (kept) => {
    if (over) return;
    over = true;  // taking it away takes the focus from it, which asks for the end again
    const text = area.value.trim();
    area.remove();
    if (kept && text !== $(".note", box).textContent) keep(turn, box.dataset.mark, text);
  };
  area.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") end(false);
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); end(true); }
  });
  area.addEventListener("blur", () => end(true));
}

// ---- keys ---------------------------------------------------------------------------------------------------------------
const follow = (id) => { const link = document.getElementById(id); if (link) link.click(); return Boolean(link); };
const KEYS = {
  j: () => ($("#desk, .single, #up") ? follow("after") : moveRow(1)),
  k: () => ($("#desk, .single, #up") ? follow("before") : moveRow(-1)),
  u: () => follow("up"),
  "/": () => { const box = $("#q"); if (box) { $(".fold")?.setAttribute("open", ""); box.focus(); box.select(); } return Boolean(box); },
  "?": () => { $("#help").showModal(); return true; },
};
const DESK_KEYS = {
  ArrowRight: () => { halt(); go(at === null ? 0 : at + 1); },
  ArrowLeft: () => { halt(); go(at === null ? Infinity : at - 1); },
  Home: () => { halt(); go(0); },
  End: () => { halt(); go(null); },
  Escape: () => { halt(); go(null); },
  " ": play,
  g: () => judge("good"),
  b: () => judge("bad"),
  n: () => note(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (event.key === " " && event.target.closest("button, a, summary, input")) return;
  const desk = $("#desk") && Object.hasOwn(DESK_KEYS, event.key) ? DESK_KEYS[event.key] : null;
  const act = desk ?? (Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null);
  if (act && act() !== false) event.preventDefault();
});

// ---- wiring ---------------------------------------------------------------------------------------------------------------
document.addEventListener("click", (event) => {
  const target = event.target;
  const action = target.closest("[data-action]")?.dataset.action;
  if (action === "theme") return switchTheme();
  if (action === "help") return $("#help").showModal();
  const button = target.closest("[data-judge] button");
  if (button) {
    const turn = button.closest("[data-judge]").dataset.judge;
    return "note" in button.dataset ? note(turn) : judge(button.dataset.mark, turn);
  }
  const walk = target.closest("[data-walk]")?.dataset.walk;
  if (walk === "play") return play();
  if (walk) { halt(); return go(at === null ? (walk > 0 ? 0 : Infinity) : at + Number(walk)); }
  const told = target.closest("#desk .node, #desk .piece, #desk .turn");
  if (told && !target.closest("a, button, textarea, summary") && !String(getSelection())) {
    halt();
    const turn = Number(turnsOf(told)[0]);
    go(at === turn ? null : turn);
  }
});
document.addEventListener("mouseover", (event) => {
  const over = event.target.closest?.("#desk [data-turn], #desk .piece, #desk tr[data-turns]");
  light(over ? turnsOf(over) : []);
  if (over?.matches(".turn")) judgeBox(over.dataset.turn);
});
// A toggle does not bubble; caught on its way down it is heard from parts that came later too.
document.addEventListener("toggle", async (event) => {
  const details = event.target;
  const address = details.dataset.load;
  if (!details.open || !address) return;
  delete details.dataset.load;
  const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
  const rows = $("#rows", page) ?? $(".notice", page);
  if (rows) $("p", details).replaceWith(document.importNode(rows, true));
  gatherMarked();
}, true);
const form = $("form.filters");
if (form) {
  let timer;
  const ask = (wait) => { clearTimeout(timer); timer = setTimeout(() => refresh(filtered(form)), wait); };
  form.addEventListener("change", () => ask(0));
  form.addEventListener("input", (event) => { if (event.target.matches("input[type=search], input[type=text], input[type=number]")) ask(180); });
  form.addEventListener("submit", (event) => { event.preventDefault(); ask(0); });
  document.addEventListener("change", (event) => { if (event.target.matches("select[name=sort]")) ask(0); });
  if (matchMedia("(max-width: 760px)").matches) $(".fold").open = false;
}
document.addEventListener("change", (event) => {
  const select = event.target.closest("form[data-auto]");
  if (select) select.requestSubmit();
});
if ($("#desk")) {
  gatherMarked();
  const named = location.hash.match(/^#turn-(\d+)$/);
  if (named) go(Number(named[1]));
}
poll();
