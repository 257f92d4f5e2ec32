// The board. Whatever a learner typed is put in as text (textContent), never as markup.
"use strict";
const $ = (id) => document.getElementById(id);
const SIGNS = { "+": ["✓", "passed"], x: ["✗", "not yet"], "?": ["?", "cannot tell"], ">": ["›", "begun"], ".": ["·", "untouched"] };
const MOST = 300;
let chapters = [], exercises = [], rows = new Map(), head = {}, skew = 0, chosen = null, drawn = 0;

function make(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

// Markdown's one sign that questions need: what stands between backticks is code.
function marked(element, text) {
  element.replaceChildren(...text.split("`").map((part, i) => (i % 2 ? make("code", part) : document.createTextNode(part))));
}

function now() { return Date.now() + skew; }

function span(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60000));
  return minutes < 60 ? minutes + " min" : Math.floor(minutes / 60) + " h " + (minutes % 60);
}

async function act(what) {
  const answer = await fetch("/board/act", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(what) });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    $("line").textContent = "not done: " + (said.error || answer.status);
    return false;
  }
  return true;
}

function here() { return [...rows.values()].filter((row) => !row.left && !row.removed); }

function elapsed() { return head.began ? Math.max(0, now() - head.began) / 60000 : null; }

// The chapter that most learners are in, unless one was chosen.
function shownChapter() {
  if (chosen !== null) return chosen;
  const counts = new Map();
  for (const row of here()) {
    const at = row.at !== null ? exercises[row.at].chapter : chapters.findIndex((c) => row.doing.startsWith(c.slug + " "));
    if (at >= 0) counts.set(at, (counts.get(at) || 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([at]) => at)[0] ?? 0;
}

function drawHead() {
  const hands = here().filter((row) => row.hand).sort((a, b) => a.hand.since - b.hand.since);
  document.title = (hands.length ? "(" + hands.length + ") " : "") + head.title;
  $("title").textContent = head.title;
  $("code").textContent = head.join;
  $("here").textContent = here().length + (here().length === 1 ? " learner" : " learners");
  const minutes = elapsed();
  if (minutes === null) $("plan").textContent = "plan: not started";
  else {
    const at = [...chapters].reverse().find((c) => c.before <= minutes) || chapters[0];
    $("plan").textContent = "plan: minute " + Math.floor(minutes) + " of " + head.minutes + (at ? ", " + at.title : "");
  }
  $("gate").textContent = head.gate ? "gate: before " + head.gate : "";
  $("open").hidden = !head.gate;
  $("begin").hidden = head.began !== null;
  $("trouble").hidden = !head.trouble;
  $("trouble").textContent = head.trouble ? "Nothing can be written down: " + head.trouble + ". Learners keep what they have to say." : "";
  $("hands-box").hidden = !hands.length;
  $("hands").replaceChildren(...hands.map((row) => {
    const item = make("li");
    item.append(make("strong", row.nick), " " + row.doing + ", " + span(now() - row.hand.since) + (row.hand.about ? ": " + row.hand.about : "") + " ");
    const button = make("button", "Helped");
    button.type = "button";
    button.setAttribute("aria-label", "Helped " + row.nick);
    button.onclick = () => act({ act: "lower", learner: row.id });
    item.append(button);
    return item;
  }));
  $("nobody").hidden = head.groups.length > 0;
  $("groups").replaceChildren(...head.groups.map((group) => {
    const item = make("li");
    item.append(make("span", String(group.count), "count"), " ", make("strong", exercises[group.exercise].title), ": " + (group.reason || "no reason given"));
    const names = group.who.map((i) => rows.get(i)?.nick).filter(Boolean);
    item.append(make("span", names.join(", ") + (group.count > names.length ? " and more" : ""), "who"));
    return item;
  }));
  $("notes").replaceChildren(...[...head.notes].reverse().map((note) => make("li", new Date(note.at).toLocaleTimeString() + "  " + note.line)));
  drawPoll();
}

function drawPoll() {
  const poll = head.poll;
  $("poll-box").hidden = !poll;
  if (!poll) return;
  $("h-poll").textContent = poll.open ? "Question to all" : "Question to all (closed)";
  marked($("poll-text"), poll.text);
  const most = Math.max(1, ...poll.spread.map((s) => s.count));
  $("spread").replaceChildren(...poll.spread.map((s) => {
    const item = make("li");
    const bar = document.createElement("meter");
    bar.max = most;
    bar.value = s.count;
    bar.setAttribute("aria-hidden", "true");
    const right = !poll.open && s.right ? "✓ right: " : "";
    const words = make("span");
    marked(words, right + s.text);
    item.append(make("span", String(s.count), "count"), bar, " ", words);
    return item;
  }));
  $("replies").textContent = poll.replies + " of " + here().length + " have answered.";
  $("close").hidden = !poll.open;
}

function cell(row, at) {
  const [sign, words] = SIGNS[row.signs[at]] || SIGNS["."];
  const td = make("td", sign, "s s-" + words.replace(" ", "-"));
  td.title = exercises[at].title + ": " + words;
  td.setAttribute("aria-label", words);
  return td;
}

function drawRows() {
  const at = shownChapter();
  $("chapter").value = chosen === null ? "" : String(chosen);
  const columns = exercises.map((e, i) => ({ ...e, i })).filter((e) => e.chapter === at);
  $("columns").replaceChildren(...["learner", "at", "for", "pace"].map((t) => head1(t)), ...columns.map((e) => head1(e.title, "turned")), head1("why not yet", "why"));
  const wanted = $("find").value.toLowerCase();
  const all = here().filter((row) => !wanted || row.nick.toLowerCase().includes(wanted) || row.doing.includes(wanted) || (row.reason || "").toLowerCase().includes(wanted));
  all.sort((a, b) => (a.hand ? a.hand.since : Infinity) - (b.hand ? b.hand.since : Infinity) || a.since - b.since);
  const minutes = elapsed();
  const focused = document.activeElement?.closest?.("tr")?.dataset.i;
  $("rows").replaceChildren(...all.slice(0, MOST).map((row) => {
    const tr = make("tr");
    tr.tabIndex = -1;
    tr.dataset.i = row.i;
    const nick = make("th", (row.hand ? "▲ " : "") + row.nick);
    nick.scope = "row";
    tr.append(nick, make("td", row.doing), make("td", span(now() - row.since)));
    const pace = minutes === null ? "" : Math.round(row.position - Math.min(minutes, head.minutes));
    tr.append(make("td", pace === "" ? "–" : (pace > 0 ? "+" : "") + pace));
    tr.append(...columns.map((e) => cell(row, e.i)));
    tr.append(make("td", [row.hand ? "▲ hand up" + (row.hand.about ? ": " + row.hand.about : "") : "", row.reason || ""].filter(Boolean).join(" · "), "why"));
    return tr;
  }));
  if (focused !== undefined) $("rows").querySelector('tr[data-i="' + focused + '"]')?.focus();
  $("more").textContent = all.length > MOST ? "and " + (all.length - MOST) + " more: find them by name" : "";
}

function head1(text, name) {
  const th = make("th", undefined, name);
  th.scope = "col";
  th.append(make("span", text));
  return th;
}

function drawTimer() {
  const left = head.timer ? head.timer.ends - now() : -1;
  // A minute longer than it runs: "0:00" is seen.
  $("timer").hidden = !head.timer || left < -60000;
  const seconds = Math.max(0, Math.ceil(left / 1000));
  $("left").textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
  $("label").textContent = head.timer ? (seconds ? head.timer.label : "time is up" + (head.timer.label ? ": " + head.timer.label : "")) : "";
}

let waiting = false;
function draw() {
  if (waiting) return;
  waiting = true;
  // Not more often than a person reads, however many events there are.
  setTimeout(() => {
    waiting = false;
    drawn++;
    drawHead();
    drawRows();
    drawTimer();
    document.body.dataset.drawn = drawn;
  }, 120);
}

function take(data) {
  for (const row of data.rows) rows.set(row.i, row);
  head = data.head;
  skew = head.now - Date.now();
  draw();
}

function connect() {
  const stream = new EventSource("/board/stream");
  stream.addEventListener("all", (event) => {
    const data = JSON.parse(event.data);
    chapters = data.chapters;
    exercises = data.exercises;
    rows = new Map();
    const automatic = make("option", "where most are");
    automatic.value = "";
    $("chapter").replaceChildren(automatic, ...chapters.map((c, i) => Object.assign(make("option", c.number + " " + c.title), { value: String(i) })));
    $("line").textContent = "live";
    take(data);
  });
  stream.addEventListener("change", (event) => take(JSON.parse(event.data)));
  stream.onerror = () => {
    $("line").textContent = "the hub does not answer; trying again";
    // A browser gives up where the answer was no stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

async function questions() {
  const all = await (await fetch("/board/questions")).json();
  const groups = new Map();
  for (const q of all) {
    if (!groups.has(q.chapter)) groups.set(q.chapter, Object.assign(make("optgroup"), { label: q.chapter }));
    groups.get(q.chapter).append(Object.assign(make("option", q.text), { value: q.id }));
  }
  $("question").append(...groups.values());
}

$("say").onsubmit = async (event) => { event.preventDefault(); if (await act({ act: "message", text: $("message").value })) $("message").value = ""; };
$("clock").onsubmit = (event) => { event.preventDefault(); act({ act: "timer", minutes: Number($("minutes").value), label: $("purpose").value }); };
$("stop").onclick = () => act({ act: "timer", minutes: 0 });
$("ask").onsubmit = (event) => {
  event.preventDefault();
  const question = $("question").value || null;
  const choices = $("choices").value.split(";").map((c) => c.trim()).filter(Boolean);
  act(question ? { act: "ask", question } : { act: "ask", text: $("words").value, choices });
};
$("close").onclick = () => act({ act: "close" });
$("begin").onclick = () => act({ act: "begin" });
$("open").onclick = () => head.gate && act({ act: "open", chapter: head.gate });
$("projector").onclick = () => document.body.classList.toggle("projector");
$("chapter").onchange = () => { chosen = $("chapter").value === "" ? null : Number($("chapter").value); draw(); };
$("find").oninput = draw;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") { document.activeElement?.blur(); return; }
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName || "")) return;
  const to = { m: "message", t: "minutes", a: "question", "/": "find" }[event.key];
  const press = { c: "close", b: "begin", o: "open", p: "projector" }[event.key];
  if (to) { event.preventDefault(); document.body.classList.remove("projector"); $(to).focus(); }
  else if (press && !$(press).hidden) $(press).click();
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const all = [...$("rows").children];
    const at = all.indexOf(document.activeElement);
    const next = all[event.key === "ArrowDown" ? at + 1 : Math.max(0, at - 1)];
    if (next && (at >= 0 || event.key === "ArrowDown")) { event.preventDefault(); next.focus(); }
  }
});

connect();
questions();
setInterval(drawTimer, 500);
setInterval(() => rows.size && draw(), 15000);
