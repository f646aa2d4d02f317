// What the console gains with JavaScript: rows that follow what happens, choosing many, work that goes on by itself.
// Everything can be done without it.

import { _, language } from "./words.js";

const REASONS = {
  signed_out: _("Signed out"), ended_by_user: _("By the user"), ended_by_admin: _("By an administrator"), idle: _("Idle"),
  expired: _("Lifetime over"), exclusive: _("Newer sign-in"), limit: _("Limit"), parent_ended: _("Browser session ended"),
  user_disabled: _("User disabled"), credentials_changed: _("Password changed"), application_disabled: _("Application disabled"),
  policy: _("Policy"), refresh_reuse: _("Refresh token reused"),
};
const PATIENCE = 1500; // milliseconds between two looks at the server, however much happens there
const ROUND = 15000; // milliseconds after which "3 minutes ago" is asked for anew
const FADE = 6000; // milliseconds for which an ended row can still be read

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** The page as the server would show it now. Says that nobody asked for it, so that looking keeps no session alive. */
async function look() {
  const answer = await fetch(location.href, { headers: { "iam-background": "1" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.dispatchEvent(new CustomEvent("iam:fresh", { detail: page }));
  return page;
}

function say(words) {
  const region = one("[data-said]");
  if (region) region.textContent = words;
}

/** Shows that a session has ended: at once in words, then the row fades and makes room. */
function endRow(id, reason) {
  const row = one(`[data-session="${CSS.escape(id)}"]`);
  if (!row || row.classList.contains("is-ended")) return;
  const stays = row.classList.contains("is-over");
  row.classList.add("is-ended");
  const hadFocus = row.contains(document.activeElement);
  for (const cell of all("[data-action], .cell-pick", row)) cell.replaceChildren();
  const left = one(".cell-left", row);
  if (left) left.textContent = REASONS[reason] ?? reason;
  row.dispatchEvent(new Event("change", { bubbles: true }));
  const name = one(".cell-user", row)?.innerText;
  say(name ? _("%(session)s: ended", { session: name }) : _("A session has ended"));
  if (hadFocus) (one("a", row) ?? one("#main")).focus();
  if (stays || !row.closest("[data-rows]")) return;
  const leave = () => {
    if (row.matches(":hover, :focus-within")) return setTimeout(leave, 1000);
    row.classList.add("is-gone");
    setTimeout(() => row.remove(), 700);
  };
  setTimeout(leave, FADE);
}

/** Takes over what the server shows now: new rows on top, fresh times in the others, the numbers. */
function merge(page) {
  const count = one("[data-count]"), now = one("[data-count]", page);
  if (count && now) count.textContent = now.textContent;
  for (const part of all("[data-part]")) {
    const fresh = one(`[data-part="${part.dataset.part}"]`, page);
    // What somebody is just using stays as it is until they have left it.
    if (fresh && !(part.matches(":focus-within") && fresh.childElementCount) && !one("details[open], [data-live]", part)) part.replaceWith(fresh);
  }
  const mine = one("[data-rows]"), theirs = one("[data-rows]", page);
  if (!mine || !theirs) return;
  if (mine.tagName !== theirs.tagName) {
    // From "nobody is signed in" to a list, or back: nothing of it is in use, so the page may be taken whole.
    if (mine.tagName !== "TBODY") location.reload();
    return;
  }
  if (mine.tagName === "UL") {
    // A tree is taken whole, when nobody is at it and nothing of it is just fading.
    if (!mine.matches(":focus-within") && !one(".is-ended", mine)) mine.replaceChildren(...theirs.childNodes);
    return;
  }
  const fresh = new Map(all("[data-session]", theirs).map((row) => [row.dataset.session, row]));
  let before = null;
  for (const [id, row] of fresh) {
    const old = one(`[data-session="${CSS.escape(id)}"]`, mine);
    if (old) {
      const cells = all("[data-fresh]", old), news = all("[data-fresh]", row);
      if (!old.classList.contains("is-ended")) cells.forEach((cell, index) => cell.replaceChildren(...(news[index]?.childNodes ?? [])));
      before = old;
    } else if ("grows" in mine.dataset) {
      row.classList.add("is-new");
      if (before) before.after(row); else mine.prepend(row);
      before = row;
      setTimeout(() => row.classList.remove("is-new"), 2500);
    }
  }
  document.dispatchEvent(new CustomEvent("iam:rows", { detail: mine }));
}

/** Follows the events of what the administrator looks at. A hidden page does not: browsers allow few streams at a time. */
function follow(button) {
  const words = one("[data-live-words]", button);
  const { organization, about, pace } = button.dataset;
  let source = null, waiting = 0, looked = 0, round = 0;
  const show = (on, text) => { button.classList.toggle("is-on", on); words.textContent = text; };
  const lookSoon = () => {
    if (waiting) return;
    const wait = Math.max(150, looked + (Number(pace) || PATIENCE) - Date.now());
    waiting = setTimeout(async () => {
      waiting = 0;
      looked = Date.now();
      try { merge(await look()); } catch { show(false, _("Not live")); }
    }, wait);
  };
  const stop = () => { source?.close(); source = null; clearInterval(round); };
  const start = () => {
    if (source || document.hidden || button.getAttribute("aria-pressed") !== "true") return;
    source = new EventSource(`/v1/events/stream${organization ? `?organization=${encodeURIComponent(organization)}` : ""}`);
    source.onopen = () => show(true, button.dataset.live);
    source.onerror = () => {
      show(false, _("Reconnecting"));
      // Refused, not interrupted: the browser will not try again, and looking now and then is what is left.
      if (source?.readyState === EventSource.CLOSED) { source = null; setTimeout(start, ROUND); }
    };
    source.onmessage = (message) => {
      const event = JSON.parse(message.data);
      document.dispatchEvent(new CustomEvent("iam:event", { detail: event }));
      if (event.type === "session.ended") endRow(event.session, event.reason);
      if (!about || event.session === about || event.data.parent === about) lookSoon();
    };
    round = setInterval(lookSoon, ROUND);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    if (on) { start(); lookSoon(); } else { stop(); show(false, _("Paused")); }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return stop();
    start();
    if (source) lookSoon();
  });
  window.addEventListener("pagehide", stop);
  start();
}

/** Choosing many: all on the page, how many are chosen, and no button for none. */
function choose(form) {
  // Not `form.id`: that is the fields of the name "id".
  const boxes = () => all(`input[name=id][form="${form.getAttribute("id")}"]`);
  const every = one("[data-pick-all]", form), box = one("input", every);
  const words = one("[data-pick-words]", form), button = one("[data-pick-chosen]", form);
  every.hidden = false;
  const show = () => {
    const there = boxes(), chosen = there.filter((each) => each.checked).length;
    words.textContent = chosen ? _("%(number)s selected", { number: new Intl.NumberFormat(language).format(chosen) }) : _("Select");
    button.disabled = !chosen;
    box.checked = chosen > 0 && chosen === there.length;
    box.indeterminate = chosen > 0 && chosen < there.length;
  };
  box.addEventListener("change", (event) => {
    event.stopPropagation();
    for (const each of boxes()) each.checked = box.checked;
    show();
  });
  document.addEventListener("change", show);
  document.addEventListener("iam:rows", show);
  show();
}

/** Goes on with a bulk end until it is done, where without JavaScript one presses the button again and again. */
async function goOn() {
  for (let form = one("form[data-go-on]"); form; form = one("form[data-go-on]")) {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = one("#progress", page), before = one("#progress");
    if (!answer.ok || !now) return location.reload();
    document.title = page.title;
    before.replaceWith(now);
    one("h1").replaceWith(one("h1", page));
  }
  one("[data-done]")?.focus();
}

all("[data-live]").forEach(follow);
all("[data-pick]").forEach(choose);
all("[data-no-script]").forEach((each) => { each.hidden = true; });
all("select[data-submit]").forEach((select) => select.addEventListener("change", () => select.form.requestSubmit()));
if (one("form[data-go-on]")) goOn().catch(() => location.reload());

// A file is read here and put where its lines can also be pasted: so nothing is ever uploaded unseen.
for (const field of all("[data-file-field]")) {
  const input = one("[data-file-into]", field), into = document.getElementById(input.dataset.fileInto);
  field.hidden = false;
  input.addEventListener("change", async () => {
    if (input.files[0]) into.value = await input.files[0].text();
  });
}
