// How the session of this page is doing: a countdown before it ends unused, the same in every tab, and word of its end.
// Asking is no activity: a page that is only open keeps nobody signed in.

import { _ } from "./words.js";

const PACE = 3000; // milliseconds between two looks, while the page can be seen
const LONGEST_WARNING = 120000;
const place = document.getElementById("session");
const others = "BroadcastChannel" in window ? new BroadcastChannel("iam-session") : null;
let dialog = null, timer = 0, endsAt = 0, ticking = 0, quietUntil = 0, closedFor = "";

const make = (name, properties, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

function close() {
  clearInterval(ticking);
  dialog?.remove();
  dialog = null;
}

function open(kind, title, text, ...actions) {
  close();
  dialog = make("dialog", { className: "dialog", id: "session-dialog" },
    make("h2", { id: "session-title", textContent: title }), text, make("div", { className: "dialog-actions" }, ...actions));
  dialog.dataset.kind = kind;
  dialog.setAttribute("role", "alertdialog");
  dialog.setAttribute("aria-labelledby", "session-title");
  dialog.setAttribute("aria-describedby", text.id);
  document.body.append(dialog);
  dialog.showModal();
}

function clock() {
  const seconds = Math.max(0, Math.round((endsAt - performance.now()) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Soon it ends unused: what is left counts down, and one press is enough. */
function warn() {
  if (dialog?.dataset.kind === "idle") return;
  const left = make("strong", { id: "session-left", textContent: clock() });
  const [before, after] = _("Nothing was done here for a while. You will be signed out in %(left)s.").split("%(left)s");
  const text = make("p", { id: "session-text" }, before, left, after);
  const stay = make("button", { type: "button", className: "button button-primary", textContent: _("Stay signed in"), autofocus: true });
  stay.addEventListener("click", async () => {
    const answer = await fetch("/account/stay", { method: "POST", body: new URLSearchParams({ csrf: place.dataset.csrf }) }).catch(() => null);
    if (!answer?.ok || answer.redirected) return look();
    quiet();
    others?.postMessage("stayed");
  });
  open("idle", _("Are you still there?"), text, make("a", { className: "button", href: "/sign-out", textContent: _("Sign out") }), stay);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  ticking = setInterval(() => { left.textContent = clock(); }, 500);
}

/** Its longest time is nearly over: nothing moves that, so it is said once. */
function tell() {
  if (dialog || closedFor === "expiry") return;
  closedFor = "expiry";
  const text = make("p", { id: "session-text" }, _("This session reaches its longest time in %(left)s minutes. Sign in again to go on after that.", { left: clock() }));
  const ok = make("button", { type: "button", className: "button button-primary", textContent: _("All right"), autofocus: true });
  ok.addEventListener("click", close);
  open("expiry", _("You will be signed out soon"), text, ok);
}

/** Another tab has given another account its turn: what is on this page is not theirs, and no form of it would count. */
function another(user) {
  clearTimeout(timer);
  const here = `${location.pathname}${location.search}`;
  const text = make("p", { id: "session-text", textContent: _("This browser goes on as %(user)s now. This page is from before.", { user }) });
  const back = make("a", { className: "button", href: `/choose-account?return_to=${encodeURIComponent(here)}`, textContent: _("Switch account") });
  const on = make("button", { type: "button", className: "button button-primary", textContent: _("Reload"), autofocus: true });
  on.addEventListener("click", () => location.reload());
  open("over", _("Another account is in use"), text, back, on);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
}

function over(words) {
  if (dialog?.dataset.kind === "over") return;
  clearTimeout(timer);
  const here = `${location.pathname}${location.search}`;
  const text = make("p", { id: "session-text", textContent: words });
  const again = make("a", { className: "button button-primary", href: `/sign-in?return_to=${encodeURIComponent(here)}`, textContent: _("Sign in again"), autofocus: true });
  open("over", _("You are signed out"), text, again);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
}

/** Somebody is there. What was just said takes a moment to be written, so the next look may still be of before. */
function quiet() {
  quietUntil = performance.now() + 2500;
  if (dialog?.dataset.kind === "idle") close();
  plan(2600);
}

function plan(wait) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, wait);
}

async function look() {
  if (dialog?.dataset.kind === "over") return;
  let state;
  try {
    const answer = await fetch("/account/state", { headers: { accept: "application/json" } });
    if (!answer.ok) return plan(PACE);
    state = await answer.json();
  } catch {
    return plan(PACE); // the network is away: that says nothing about the session
  }
  if (!state.live) {
    others?.postMessage("over");
    return over(state.text);
  }
  if (state.session !== place.dataset.own) return another(state.user);
  const left = Math.min(state.idle_left, state.left);
  const early = Math.min(LONGEST_WARNING, state.idle_timeout / 4);
  endsAt = performance.now() + left;
  if (left > early) {
    if (dialog?.dataset.kind === "idle") close();
  } else if (performance.now() >= quietUntil) {
    if (state.left <= state.idle_left) tell(); else warn();
  }
  plan(Math.max(400, Math.min(PACE, left > early ? left - early : left)));
}

if (place) {
  others?.addEventListener("message", (message) => { if (message.data === "stayed") quiet(); else look(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) look(); });
  plan(PACE);
}
