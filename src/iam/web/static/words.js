// Sentences of scripts in the reader's language: the page carries those that differ from the English.

const sentences = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

const spoken = document.documentElement.lang;
/** The language of the page, for `Intl`: as the reader's region writes it, where the browser says which that is. */
export const language = navigator.languages.find((tag) => tag.split("-")[0] === spoken) ?? spoken;
/** The IANA name of the time zone that the reader chose; undefined for the browser's own. */
export const timeZone = document.documentElement.dataset.zone || undefined;

/** The sentence in the reader's language, with `%(name)s` filled in. */
export function _(english, places = {}) {
  return (sentences[english] ?? english).replace(/%\((\w+)\)s/g, (all, name) => places[name] ?? all);
}
