import * as oidc from "openid-client";

const config = await oidc.discovery(new URL("@issuer@"), "@client_id@", undefined, oidc.None());

// 1. Where the browser is sent. Keep verifier and state in the visitor's own session until they are back.
const verifier = oidc.randomPKCECodeVerifier();
const state = oidc.randomState();
const address = oidc.buildAuthorizationUrl(config, {
  redirect_uri: "@redirect_uri@",
  scope: "openid profile email",
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
});

// 2. At the redirect URI: `url` is the address that was called there.
const tokens = await oidc.authorizationCodeGrant(config, url, {
  pkceCodeVerifier: verifier,
  expectedState: state,
});
const { sub, sid } = tokens.claims(); // sid is the session ID
