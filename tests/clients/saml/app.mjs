// A service provider as an application developer would write it, on npm's node-saml.
//
// Its visitors keep what the assertion said of them until they sign out, or until the identity server
// sends their browser here with a LogoutRequest.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { SAML, ValidateInResponseTo } from "@node-saml/node-saml";

const { IDP, IDP_CERT, ADDRESS, PORT, KEY_FILE, CERT_FILE, BINDING, ENCRYPTED } = process.env;
const privateKey = readFileSync(KEY_FILE, "utf8");
const publicCert = readFileSync(CERT_FILE, "utf8");
const asked = new Map(); // the requests under way
const options = {
  issuer: `${ADDRESS}/metadata`,
  audience: `${ADDRESS}/metadata`,
  callbackUrl: `${ADDRESS}/acs`,
  logoutCallbackUrl: `${ADDRESS}/slo`,
  entryPoint: `${IDP}/saml/sso`,
  logoutUrl: `${IDP}/saml/slo`,
  idpIssuer: `${IDP}/saml/metadata`,
  idpCert: IDP_CERT,
  privateKey,
  publicCert,
  decryptionPvk: ENCRYPTED ? privateKey : undefined,
  signatureAlgorithm: "sha256",
  digestAlgorithm: "sha256",
  identifierFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
  authnRequestBinding: BINDING,
  wantAssertionsSigned: true,
  wantAuthnResponseSigned: true,
  validateInResponseTo: ValidateInResponseTo.ifPresent, // it finds none in a LogoutResponse that is posted
  cacheProvider: {
    saveAsync: async (key, value) => (asked.set(key, value), { value, createdAt: Date.now() }),
    getAsync: async (key) => asked.get(key) ?? null,
    removeAsync: async (key) => (asked.delete(key) ? key : null),
  },
};
const saml = new SAML(options);
const posting = new SAML({ ...options, skipRequestCompression: true }); // else it deflates what it posts

const visitors = new Map(); // this application's own cookie → the profile of that browser's user

function cookieOf(request) {
  return /(?:^|; )visitor=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
}

function redirect(response, url, headers = {}) {
  response.writeHead(303, { location: url, ...headers }).end();
}

function page(response, status, text) {
  const head = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" };
  response.writeHead(status, head).end(`<!doctype html><title>Application</title><p>${text}</p>`);
}

async function body(request) {
  let text = "";
  for await (const part of request) text += part;
  return Object.fromEntries(new URLSearchParams(text));
}

async function acs(request, response) {
  const { profile } = await saml.validatePostResponseAsync(await body(request));
  const id = randomUUID();
  visitors.set(id, profile);
  redirect(response, "/", { "set-cookie": `visitor=${id}; Path=/; HttpOnly; SameSite=Lax` });
}

async function slo(request, response, query) {
  const fields = request.method === "POST" ? await body(request) : Object.fromEntries(query);
  const read = request.method === "POST"
    ? fields.SAMLRequest ? saml.validatePostRequestAsync(fields) : saml.validatePostResponseAsync(fields)
    : saml.validateRedirectAsync(fields, query.toString());
  const { profile } = await read;
  if (fields.SAMLRequest) {
    for (const [id, one] of visitors) {
      if (one.sessionIndex === profile.sessionIndex) visitors.delete(id);
    }
    redirect(response, await saml.getLogoutResponseUrlAsync(profile, fields.RelayState ?? "", {}, true));
  } else {
    page(response, 200, "signed out");
  }
}

async function handle(request, response) {
  const url = new URL(request.url, ADDRESS);
  const id = cookieOf(request);
  const profile = visitors.get(id);
  if (url.pathname === "/metadata") {
    response.writeHead(200, { "content-type": "application/samlmetadata+xml" });
    response.end(saml.generateServiceProviderMetadata(ENCRYPTED ? publicCert : null, publicCert));
  } else if (url.pathname === "/acs") {
    await acs(request, response);
  } else if (url.pathname === "/slo") {
    await slo(request, response, url.searchParams);
  } else if (url.pathname === "/sign-out" && profile) {
    visitors.delete(id);
    redirect(response, await saml.getLogoutUrlAsync(profile, "bye", {}));
  } else if (profile) {
    page(response, 200, `name ${profile.nameID} session ${profile.sessionIndex} mail ${profile.mail}`);
  } else if (BINDING === "HTTP-POST") {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(await posting.getAuthorizeFormAsync("deep/link", undefined, {}));
  } else {
    redirect(response, await saml.getAuthorizeUrlAsync("deep/link", undefined, {}));
  }
}

createServer((request, response) => {
  handle(request, response).catch((error) => {
    console.error(error);
    page(response, 400, `refused: ${error.message}`);
  });
}).listen(Number(PORT), "127.0.0.1");
