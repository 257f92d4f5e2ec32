// A learner with a browser alone: messages, the timer, the question to all, a raised hand.
// The cookie that says who they are is out of this script's reach.
"use strict";
const $ = (id) => document.getElementById(id);
let inbox = null, skew = 0, shown = 0;

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

// Markdown's one sign that questions need: what stands between backticks is code.
function marked(element, text) {
  element.replaceChildren(...text.split("`").map((part, i) => (i % 2 ? make("code", part) : document.createTextNode(part))));
}

// Kept in the page's own store, so that the numbers go on after a reload and nothing is lost meanwhile.
const store = {
  read: () => JSON.parse(localStorage.getItem("drydock-class") || '{"next":1,"pending":[]}'),
  write: (kept) => localStorage.setItem("drydock-class", JSON.stringify(kept)),
};

function tell(fact) {
  const kept = store.read();
  kept.pending.push({ seq: kept.next++, at: Date.now(), ...fact });
  store.write(kept);
  return send();
}

let sending = false;
async function send() {
  if (sending) return;
  sending = true;
  try {
    const answer = await fetch("/events", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ now: Date.now(), events: store.read().pending.slice(0, 200) }) });
    if (answer.status === 401 || answer.status === 403) {
      const said = await answer.json().catch(() => ({}));
      if (inbox) $("line").textContent = said.error || "the hub refuses";
      return;
    }
    if (!answer.ok) throw new Error(answer.status);
    const { seqs, inbox: fresh } = await answer.json();
    const kept = store.read();
    kept.pending = kept.pending.filter((e) => !seqs.includes(e.seq));
    store.write(kept);
    take(fresh);
  } catch {
    if (inbox) $("line").textContent = "the hub does not answer; what you do is kept and sent later";
  } finally {
    sending = false;
  }
}

function take(fresh) {
  inbox = fresh;
  skew = inbox.now - Date.now();
  document.title = inbox.title;
  $("title").textContent = inbox.title;
  $("line").textContent = "";
  $("join").hidden = true;
  $("terminal").hidden = true;
  $("class").hidden = false;
  $("me").textContent = inbox.nick;
  $("gate").textContent = inbox.gate ? "The class waits before " + inbox.gate + "." : "";
  $("hand").textContent = inbox.hand ? "Take your hand down" : "Raise your hand";
  $("hand").setAttribute("aria-pressed", String(inbox.hand));
  $("messages").replaceChildren(...[...inbox.messages].reverse().map((m) => make("li", m.text)));
  $("answer").textContent = inbox.answer ? (inbox.answer.own === null ? "" : inbox.answer.own ? "You were right. " : "You were wrong. ") + inbox.answer.right.join("; ") : "";
  ask();
  timer();
}

function ask() {
  const question = inbox.ask;
  $("reply").hidden = !question;
  if (!question) return;
  $("replied").textContent = question.replied ? "Answered; another answer takes its place." : "";
  if (shown === question.id) return;
  shown = question.id;
  marked($("ask"), question.text);
  $("choices").replaceChildren(...(question.choices.length ? question.choices.map((text, i) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: question.several ? "checkbox" : "radio", name: "choice", value: String(i) });
    const words = make("span", "");
    marked(words, text);
    label.append(input, " ", words);
    return label;
  }) : [Object.assign(document.createElement("input"), { id: "typed", maxLength: 300, autocomplete: "off", ariaLabel: "Your answer" })]));
}

function timer() {
  const left = inbox?.timer ? inbox.timer.ends - Date.now() - skew : -1;
  $("timer").hidden = !inbox?.timer || left < -60000;
  const seconds = Math.max(0, Math.ceil(left / 1000));
  $("left").textContent = Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
  $("label").textContent = inbox?.timer ? (seconds ? inbox.timer.label : "time is up") : "";
}

$("join").onsubmit = async (event) => {
  event.preventDefault();
  const typed = $("code").value.trim().toLowerCase().split("@")[0].replace(/[- ]/g, "").replace(/o/g, "0").replace(/[il]/g, "1");
  const answer = await fetch("/join", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ word: typed.slice(0, 6), nick: $("nick").value }) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) { $("line").textContent = said.error || "the hub refuses"; return; }
  store.write({ next: 1, pending: [] });
  take(said.inbox);
};
$("hand").onclick = () => tell({ kind: "hand", up: !inbox.hand, about: "" });
$("reply").onsubmit = (event) => {
  event.preventDefault();
  const taken = [...$("choices").querySelectorAll("input:checked")].map((i) => Number(i.value));
  tell({ kind: "reply", ask: inbox.ask.id, taken, text: $("typed")?.value || "" });
};

if (location.hash.length > 10) {
  const code = location.hash.slice(1);
  $("code").value = code;
  $("command").textContent = "drydock join " + code + "@" + location.host.replace(/:7343$/, "");
  $("terminal").hidden = false;
}
// Who has not joined has nothing to send, and nothing to hear.
const joined = () => localStorage.getItem("drydock-class") !== null;
if (joined()) send();
setInterval(() => joined() && send(), 3000);
setInterval(timer, 500);
