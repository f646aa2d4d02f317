// Sends the form of a page that only carries something on. Coming back to it by "back" sends nothing again.
const form = document.querySelector("form[data-post]");
if (performance.getEntriesByType("navigation")[0]?.type !== "back_forward") form.submit();
