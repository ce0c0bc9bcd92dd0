// npm openid-client: finds the issuer by discovery, then verifies access tokens (RFC 9068, by the library below it),
// asks about tokens (RFC 7662) and revokes one (RFC 7009). Standard input: {issuer, audience, tokens: {name: token},
// signature, introspect: [token], revoke: token}. Prints {verified: {name: claims or error code}, introspected: [answer]}.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../npm/package.json", import.meta.url));
const client = await import(require.resolve("openid-client"));
const oauth = await import(require.resolve("oauth4webapi"));

const { issuer, audience, tokens, signature, introspect, revoke } = JSON.parse(readFileSync(0, "utf8"));
// Plain HTTP is for loopback; everything else is as a service would have it.
const config = await client.discovery(new URL(issuer), "a-service", undefined, client.None(), {
  execute: [client.allowInsecureRequests],
});

const verified = {};
for (const [name, token] of Object.entries(tokens)) {
  const request = new Request("https://api.example.com/", { headers: { authorization: `Bearer ${token}` } });
  try {
    verified[name] = await oauth.validateJwtAccessToken(config.serverMetadata(), request, audience, {
      [oauth.allowInsecureRequests]: true,
      signingAlgorithms: config.serverMetadata().id_token_signing_alg_values_supported,
    });
  } catch (error) {
    if (typeof error.code !== "string") throw error;
    verified[name] = error.code;
  }
}

await client.tokenRevocation(config, revoke);

config[client.customFetch] = (url, options) =>
  fetch(url, { ...options, headers: { ...options.headers, authorization: signature } });
const introspected = [];
for (const token of introspect) introspected.push(await client.tokenIntrospection(config, token));

console.log(JSON.stringify({ verified, introspected }));
