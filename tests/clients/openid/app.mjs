// A relying party as an application developer would write it, on npm's openid-client.
//
// It keeps nobody signed in by itself: on every request it asks userinfo with its access token, so
// that a session which was ended at the identity server is over here with the next click.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import * as oidc from "openid-client";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const address = `http://127.0.0.1:${PORT}`;
const config = await oidc.discovery(
  new URL(ISSUER),
  CLIENT_ID,
  undefined,
  oidc.ClientSecretBasic(CLIENT_SECRET),
  { execute: [oidc.allowInsecureRequests] }, // the issuer is http on loopback
);

const visitors = new Map(); // this application's own cookie → what it knows of that browser

function visitorOf(request, response) {
  const cookie = /(?:^|; )visitor_\d+=([^;]+)/g;
  const mine = [...(request.headers.cookie ?? "").matchAll(cookie)]
    .map((match) => match[1])
    .find((id) => visitors.has(id));
  if (mine) return visitors.get(mine);
  const id = randomUUID();
  const visitor = {};
  visitors.set(id, visitor);
  // Cookies do not know ports: the name keeps two applications on one address apart.
  response.setHeader("set-cookie", `visitor_${PORT}=${id}; Path=/; HttpOnly; SameSite=Lax`);
  return visitor;
}

function redirect(response, url) {
  response.writeHead(302, { location: String(url) }).end();
}

function page(response, status, text) {
  const head = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(status, head).end(`<!doctype html><title>Application</title><p>${text}</p>`);
}

async function login(visitor, response) {
  visitor.verifier = oidc.randomPKCECodeVerifier();
  visitor.state = oidc.randomState();
  visitor.nonce = oidc.randomNonce();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: `${address}/callback`,
    scope: "openid profile email",
    code_challenge: await oidc.calculatePKCECodeChallenge(visitor.verifier),
    code_challenge_method: "S256",
    state: visitor.state,
    nonce: visitor.nonce,
  });
  redirect(response, url);
}

async function callback(visitor, request, response) {
  const tokens = await oidc.authorizationCodeGrant(config, new URL(request.url, address), {
    pkceCodeVerifier: visitor.verifier,
    expectedState: visitor.state,
    expectedNonce: visitor.nonce,
    idTokenExpected: true,
  });
  visitor.accessToken = tokens.access_token;
  visitor.claims = tokens.claims();
  redirect(response, "/");
}

async function home(visitor, response) {
  if (!visitor.accessToken) return page(response, 200, "signed out here");
  try {
    const user = await oidc.fetchUserInfo(config, visitor.accessToken, visitor.claims.sub);
    const name = user.preferred_username ?? user.name ?? user.sub;
    page(response, 200, `signed in as ${name} (sid ${visitor.claims.sid})`);
  } catch (error) {
    if (error.status !== 401) throw error;
    delete visitor.accessToken;
    page(response, 401, "signed out here");
  }
}

createServer((request, response) => {
  const visitor = visitorOf(request, response);
  const path = new URL(request.url, address).pathname;
  const work =
    path === "/login"
      ? login(visitor, response)
      : path === "/callback"
        ? callback(visitor, request, response)
        : home(visitor, response);
  work.catch((error) => {
    console.error(error);
    page(response, 500, "this application failed");
  });
}).listen(Number(PORT), "127.0.0.1");
