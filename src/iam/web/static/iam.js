// What the pages gain with JavaScript. Everything works without it: nothing here is needed to sign in or to end a session.

import { _, language, timeZone } from "./words.js";

/** Shows instants in the viewer's own time zone: exact ones as text, all of them on hover. */
function localTimes(root) {
  const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone });
  const brief = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZone });
  const thisYear = new Date().getFullYear();
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long", timeZone });
  for (const element of root.querySelectorAll("time[datetime]")) {
    const instant = new Date(element.dateTime);
    if (Number.isNaN(instant.getTime())) continue;
    element.title = `${exact.format(instant)} (${element.title})`;
    if (!("plain" in element.dataset)) continue;
    const fits = "short" in element.dataset && instant.getFullYear() === thisYear;
    element.textContent = (fits ? brief : short).format(instant);
  }
}

/** Show and hide the password. It is hidden again before it is sent, so that browsers do not remember it as text. */
function revealPassword(button) {
  const input = document.getElementById(button.dataset.reveal);
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.setAttribute("aria-pressed", String(visible));
    button.title = visible ? _("Hide password") : _("Show password");
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    show(input.type === "password");
    input.focus();
  });
  input.form.addEventListener("submit", () => show(false));
}

function warnCapsLock(hint) {
  const input = document.getElementById(hint.dataset.capsLock);
  const look = (event) => {
    const on = Boolean(event.getModifierState?.("CapsLock"));
    const text = on ? _("Caps Lock is on") : "";
    if (hint.textContent !== text) hint.textContent = text;
  };
  input.addEventListener("keydown", look);
  input.addEventListener("keyup", look);
  input.addEventListener("blur", () => { hint.textContent = ""; });
}

/** A second click on a button whose request is under way does nothing; "back" makes the button fresh again. */
function submitOnce(form) {
  const button = form.querySelector("button:not([type=button])");
  const label = button.textContent;
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    sent = true;
    button.textContent = form.dataset.once;
    button.setAttribute("aria-disabled", "true");
  });
  window.addEventListener("pageshow", () => {
    sent = false;
    button.textContent = label;
    button.removeAttribute("aria-disabled");
  });
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Asks in a dialog instead of on a page of its own, then sends the form with confirmed=1. */
function confirmInDialog(event) {
  const form = event.target;
  const { confirmTitle, confirmText, confirmLabel } = form.dataset;
  if (!confirmTitle) return;
  event.preventDefault();
  const cancel = element("button", { type: "submit", className: "button", value: "", textContent: _("Cancel"), autofocus: true });
  const accept = element("button", { type: "submit", className: "button button-danger-solid", value: "yes", id: "confirm", textContent: confirmLabel });
  const dialog = element("dialog", { className: "dialog" },
    element("form", { method: "dialog" },
      element("h2", { id: "dialog-title", textContent: confirmTitle }),
      element("p", { id: "dialog-text", textContent: confirmText }),
      element("div", { className: "dialog-actions" }, cancel, accept)));
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.setAttribute("aria-describedby", "dialog-text");
  dialog.addEventListener("close", () => {
    const confirmed = dialog.returnValue === "yes";
    dialog.remove();
    if (!confirmed) return;
    form.append(element("input", { type: "hidden", name: "confirmed", value: "1" }));
    form.submit();
  });
  dialog.addEventListener("click", (click) => { if (click.target === dialog) dialog.close(""); });
  document.body.append(dialog);
  dialog.showModal();
}

function copyOnClick(button) {
  if (!navigator.clipboard) return; // only in a secure context
  button.hidden = false;
  const label = button.getAttribute("aria-label");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("is-done");
    button.setAttribute("aria-label", _("Copied"));
    setTimeout(() => {
      button.classList.remove("is-done");
      button.setAttribute("aria-label", label);
    }, 1500);
  });
}

/** A menu closes when one clicks elsewhere, leaves it with Tab, or presses Escape. */
function closingMenu(menu) {
  const close = () => { menu.open = false; };
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) close(); });
  menu.addEventListener("focusout", (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) close(); });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    close();
    menu.querySelector("summary").focus();
  });
}

/** Goes on when the frames beside it have loaded, and after three seconds in any case. */
function leadOn(link) {
  const go = () => location.replace(link.href);
  if (document.readyState === "complete") return go();
  window.addEventListener("load", go);
  setTimeout(go, 3000);
}

const each = (selector, apply) => document.querySelectorAll(selector).forEach(apply);

localTimes(document);
// What a script puts into the page from the server's answer is put into the viewer's zone as well, before it is seen.
document.addEventListener("iam:fresh", (event) => localTimes(event.detail));
each("[data-reveal]", revealPassword);
each("[data-caps-lock]", warnCapsLock);
each("form[data-once]", submitOnce);
document.addEventListener("submit", confirmInDialog); // also of forms that come later, with new rows
each("[data-copy]", copyOnClick);
each("[data-menu]", closingMenu);
each("[data-onward]", leadOn);
each("form[data-submit]", (form) => form.requestSubmit());
// A live region that was there when the page loaded is not announced by every screen reader: go to it.
if (!document.querySelector("[autofocus]")) document.querySelector("[data-announce]")?.focus();
