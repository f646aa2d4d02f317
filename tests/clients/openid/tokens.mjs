// What npm's openid-client does at the token side of the server, one named journey a run; it prints
// what came of it as JSON. It plays the browser as well: SESSION is the cookie of somebody signed in.

import * as oidc from "openid-client";

const { ISSUER, CLIENT_ID, CLIENT_SECRET, CLIENT_KEY, SESSION, JOURNEY, RESOURCE } = process.env;
const CALLBACK = "https://app.acme.test/callback";
const execute = [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks]; // http on loopback

async function discover(authentication, metadata) {
  return oidc.discovery(new URL(ISSUER), CLIENT_ID, metadata, authentication, { execute });
}

async function browse(path, options = {}) {
  const headers = { cookie: `iam=${SESSION}`, ...options.headers };
  return fetch(new URL(path, ISSUER), { redirect: "manual", ...options, headers });
}

async function enter(config, { pushed = false, DPoP, scope = "openid profile", ...more } = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const parameters = {
    redirect_uri: CALLBACK,
    scope,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: "S256",
    state: oidc.randomState(),
    ...more,
  };
  const url = pushed
    ? await oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
    : oidc.buildAuthorizationUrl(config, parameters);
  const answer = await browse(url);
  const checks = { pkceCodeVerifier, expectedState: parameters.state };
  const back = new URL(answer.headers.get("location"));
  return oidc.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
}

async function refused(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return error.error ?? error.cause?.error ?? error.code ?? String(error);
  }
}

const journeys = {
  async confidential() {
    const config = await discover(oidc.ClientSecretBasic(CLIENT_SECRET));
    const first = await enter(config, { pushed: true });
    const second = await oidc.refreshTokenGrant(config, first.refresh_token);
    const active = await oidc.tokenIntrospection(config, second.access_token);
    const sub = second.claims().sub;
    const user = await oidc.fetchUserInfo(config, second.access_token, sub);
    await oidc.tokenRevocation(config, second.refresh_token);
    const over = await oidc.tokenIntrospection(config, second.access_token);
    return {
      rotated: first.refresh_token !== second.refresh_token,
      sid: active.sid === first.claims().sid,
      active: active.active,
      user: user.preferred_username,
      over: over.active,
      refused: await refused(oidc.refreshTokenGrant(config, second.refresh_token)),
    };
  },

  async bound() {
    const config = await discover(oidc.None());
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
    const first = await enter(config, { pushed: true, DPoP });
    const second = await oidc.refreshTokenGrant(config, first.refresh_token, undefined, { DPoP });
    const sub = second.claims().sub;
    const user = await oidc.fetchUserInfo(config, second.access_token, sub, { DPoP });
    const bearer = await fetch(new URL("/oauth/userinfo", ISSUER), {
      headers: { authorization: `Bearer ${second.access_token}` },
    });
    return {
      type: second.token_type,
      user: user.preferred_username,
      bearer: bearer.status,
      refused: await refused(oidc.refreshTokenGrant(config, second.refresh_token)),
    };
  },

  async key() {
    const key = await crypto.subtle.importKey(
      "jwk",
      JSON.parse(CLIENT_KEY),
      { name: "ECDSA", namedCurve: "P-256" },
      false,
      ["sign"],
    );
    const config = await discover(oidc.PrivateKeyJwt(key), {
      id_token_signed_response_alg: "ES256",
    });
    const own = await oidc.clientCredentialsGrant(config, { resource: RESOURCE });
    const active = await oidc.tokenIntrospection(config, own.access_token);
    const entered = await enter(config, { resource: RESOURCE });
    const exchanged = await oidc.genericGrantRequest(
      config,
      "urn:ietf:params:oauth:grant-type:token-exchange",
      {
        subject_token: entered.access_token,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        scope: "profile",
      },
    );
    const acting = await oidc.tokenIntrospection(config, exchanged.access_token);
    return {
      own: active.sub === CLIENT_ID,
      aud: active.aud,
      user: entered.claims().sub === acting.sub,
      acts: acting.act.sub === CLIENT_ID,
      scope: acting.scope,
    };
  },

  async registers() {
    const config = await oidc.dynamicClientRegistration(
      new URL(ISSUER),
      {
        redirect_uris: [CALLBACK],
        client_name: "Newcomer",
        token_endpoint_auth_method: "client_secret_post", // what this library does by default
      },
      undefined,
      { initialAccessToken: CLIENT_SECRET, execute },
    );
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: "openid",
      code_challenge: await oidc.calculatePKCECodeChallenge(oidc.randomPKCECodeVerifier()),
      code_challenge_method: "S256",
    });
    const page = await (await browse(url)).text();
    return {
      named: config.clientMetadata().client_name,
      asked: page.includes("/oauth/consent") && page.includes("Newcomer"),
    };
  },

  async device() {
    const config = await discover(oidc.None());
    const begun = await oidc.initiateDeviceAuthorization(config, { scope: "openid profile" });
    const polled = oidc.pollDeviceAuthorizationGrant(config, { ...begun, interval: 5 });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const page = await (await browse(begun.verification_uri_complete)).text();
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)[1];
    const send = async (path, fields) => {
      const body = new URLSearchParams({ csrf, user_code: begun.user_code, ...fields });
      return (await browse(path, { method: "POST", headers, body })).text();
    };
    const asked = await send("/device", {});
    await send("/device/decide", { decision: "approve" });
    const tokens = await polled;
    const user = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    return { named: asked.includes("Television"), user: user.preferred_username };
  },
};

console.log(JSON.stringify(await journeys[JOURNEY]()));
