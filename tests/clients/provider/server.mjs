// npm's oidc-provider as others run it: one client, which is the server under test. Its own pages for
// development let anybody in under any name.

import Provider from "oidc-provider";

const { PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, LOGOUT_URI, SIGNED_OUT } = process.env;
const issuer = `http://localhost:${PORT}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      post_logout_redirect_uris: [SIGNED_OUT],
      backchannel_logout_uri: LOGOUT_URI,
      backchannel_logout_session_required: true,
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
  findAccount: async (_, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      name: `${id} of the provider`,
      preferred_username: id,
      email: `${id}@provider.example`,
      email_verified: true,
    }),
  }),
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  // Without its own guard against addresses of private networks: the server under test is on loopback.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});

provider.on("backchannel.error", (_, error) => console.error("back-channel", error));
provider.on("backchannel.success", () => console.error("back-channel: told"));
provider.on("server_error", (_, error) => console.error(error));
provider.listen(Number(PORT), "127.0.0.1");
