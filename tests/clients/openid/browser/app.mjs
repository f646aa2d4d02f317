// A browser application as its developer would write it, on npm's oidc-client-ts: no back end, no secret.

const { issuer, client_id } = await (await fetch("/config.json")).json();
const manager = new oidc.UserManager({
  authority: issuer,
  client_id,
  redirect_uri: `${location.origin}/callback`,
  silent_redirect_uri: `${location.origin}/callback`,
  post_logout_redirect_uri: `${location.origin}/bye`,
  scope: "openid profile",
  loadUserInfo: true,
  automaticSilentRenew: false,
});

const state = document.getElementById("state");
const say = (text) => { state.textContent = text; };
const show = (user) => say(user ? `signed in as ${user.profile.name} (sid ${user.profile.sid})` : "signed out");
const on = (id, work) =>
  document.getElementById(id).addEventListener("click", () => work().catch((error) => say(`failed: ${error.error ?? error.message}`)));

on("login", () => manager.signinRedirect({ state: "kept" }));
on("logout", () => manager.signoutRedirect({ state: "back again" }));
on("silent", async () => {
  say("asking");
  await manager.signinSilent();
  show(await manager.getUser());
});

try {
  if (location.pathname === "/callback") await manager.signinCallback();
  if (location.pathname === "/bye") await manager.signoutCallback();
  if (location.pathname !== "/") history.replaceState(null, "", "/");
  show(await manager.getUser());
} catch (error) {
  say(`failed: ${error.error ?? error.message}`);
}
