// npm's oidc-provider, with everything in memory, one client, and COUNT tokens of each kind made
// beforehand: they are written to files in OUT, a line each, and then it listens on PORT.

import { writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const { PORT, OUT, COUNT, CHALLENGE, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET } = process.env;
const store = new Map();

class Memory {
  constructor(name) {
    this.name = name;
  }
  key(id) {
    return `${this.name}:${id}`;
  }
  async upsert(id, payload) {
    store.set(this.key(id), payload);
  }
  async find(id) {
    return store.get(this.key(id));
  }
  async findByUid() {}
  async findByUserCode() {}
  async consume(id) {
    const found = store.get(this.key(id));
    if (found) found.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    store.delete(this.key(id));
  }
  async revokeByGrantId() {}
}

const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  adapter: Memory,
  jwks: { keys: [{ ...key, use: "sig", alg: "ES256", kid: "one" }] },
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
      id_token_signed_response_alg: "ES256",
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  features: { introspection: { enabled: true }, devInteractions: { enabled: false } },
  rotateRefreshToken: true,
  // As long as the measuring takes.
  ttl: { AccessToken: 3600, AuthorizationCode: 3600, Grant: 3600, IdToken: 300, RefreshToken: 3600 },
  issueRefreshToken: async () => true,
});

const client = await provider.Client.find(CLIENT_ID);
const lines = { access: [], refresh: [], code: [] };
const scope = "openid offline_access";
for (let number = 0; number < Number(COUNT); number++) {
  const accountId = `user${number}`;
  const grant = new provider.Grant({ accountId, clientId: CLIENT_ID });
  grant.addOIDCScope(scope);
  const common = { accountId, client, grantId: await grant.save(), scope, gty: "authorization_code" };
  const authTime = Math.floor(Date.now() / 1000);
  lines.access.push(await new provider.AccessToken(common).save());
  lines.refresh.push(await new provider.RefreshToken({ ...common, authTime }).save());
  const code = new provider.AuthorizationCode({
    ...common,
    authTime,
    redirectUri: REDIRECT_URI,
    codeChallenge: CHALLENGE,
    codeChallengeMethod: "S256",
  });
  lines.code.push(await code.save());
}
for (const [name, values] of Object.entries(lines)) {
  writeFileSync(`${OUT}/provider-${name}`, values.join("\n") + "\n");
}
provider.listen(Number(PORT), "127.0.0.1");
