// panva's oidc-provider, twice: as it is, where userinfo alone tells the address, and with the address in the ID token.
// The one argument is a JSON list of clients. Prints a JSON line with both issuers; ends when standard input does.

import { createServer } from "node:http";
import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(new URL("../npm/package.json", import.meta.url));
const { Provider } = await import(require.resolve("oidc-provider"));

const clients = JSON.parse(process.argv[2]);

// Whoever logs in as `name` has the address name@example.com; it is proven unless the name begins with "unproven".
const findAccount = (_context, accountId) => ({
  accountId,
  claims: () => ({
    sub: accountId,
    email: `${accountId}@example.com`,
    email_verified: !accountId.startsWith("unproven"),
  }),
});

async function serve(conformIdTokenClaims) {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    findAccount,
    conformIdTokenClaims,
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    pkce: { required: () => true },
    cookies: { keys: ["of this run alone"] },
  });
  provider.on("server_error", (_context, error) => console.error(error));
  server.on("request", provider.callback());
  return issuer;
}

console.log(JSON.stringify({ userinfo: await serve(true), idToken: await serve(false) }));
process.stdin.resume().on("end", () => process.exit());
