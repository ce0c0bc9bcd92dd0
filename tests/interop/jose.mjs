// npm jose: verifies tokens by what the issuer publishes. Standard input: {issuer, audience, tokens: {name: token}}.
// Prints {name: claims}; the error's code instead of claims where a token is refused.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../npm/package.json", import.meta.url));
const { createRemoteJWKSet, errors, jwtVerify } = await import(require.resolve("jose"));

const { issuer, audience, tokens } = JSON.parse(readFileSync(0, "utf8"));
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
if (metadata.issuer !== issuer) throw new Error("another issuer's metadata");
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

const answers = {};
for (const [name, token] of Object.entries(tokens)) {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      typ: "at+jwt",
      algorithms: metadata.id_token_signing_alg_values_supported,
      requiredClaims: ["exp", "iat", "sub", "jti", "client_id"],
    });
    answers[name] = payload;
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    answers[name] = error.code;
  }
}
console.log(JSON.stringify(answers));
