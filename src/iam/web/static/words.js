// Sentences of scripts in the reader's language: the page carries those that differ from the English.

const sentences = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

/** The language of the page, for `Intl`. */
export const language = document.documentElement.lang;
/** The IANA name of the time zone that the reader chose; undefined for the browser's own. */
export const timeZone = document.documentElement.dataset.zone || undefined;

/** The sentence in the reader's language, with `%(name)s` filled in. */
export function _(english, places = {}) {
  return (sentences[english] ?? english).replace(/%\((\w+)\)s/g, (all, name) => places[name] ?? all);
}
