// Apple, Microsoft and GitHub as the npm package emulate plays them, each behind a server that mends deviations from
// the provider's documentation. The first argument is JSON: emulate's seed, which says users and clients by service.
// The second argument is the public half of the key that Apple's client secrets are signed with, as PEM. The third is the
// name of this machine in their URLs.
// Prints a JSON line with the URL of each; ends when standard input does.

import { createHash, createPublicKey } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../npm/package.json", import.meta.url));
const { jwtVerify } = await import(require.resolve("jose"));
// emulate exports itself to `import` alone, so that `require.resolve` does not find it.
const { createEmulator } = await import(new URL("../npm/node_modules/emulate/dist/api.js", import.meta.url));

const seed = JSON.parse(process.argv[2]);
const appleKey = createPublicKey(process.argv[3]);
const host = process.argv[4];
const SENT_ON = ["accept", "authorization", "content-type", "cookie"];
const OF_THE_CONNECTION = ["connection", "content-length", "keep-alive", "transfer-encoding"];
const SIX_MONTHS = 15_777_000; // seconds, as Apple's documentation has it

// emulate does not read the client secret, does not compare client and redirect URI of a code, and takes any
// `response_mode`. Apple documents: a JWT by ES256 with `kid`, `iss` (team), `sub` (client), `aud`, `iat` and `exp`, which
// is at most six months ahead; `invalid_grant` for a code of another client or redirect URI; `form_post` with the scope
// `email`.
function apple(url) {
  const [client] = seed.apple.oauth_clients;
  const redirects = new Map(); // by code

  async function authenticates(form) {
    try {
      const { payload, protectedHeader } = await jwtVerify(form.get("client_secret"), appleKey, {
        algorithms: ["ES256"],
        issuer: client.team_id,
        subject: client.client_id,
        audience: url,
        requiredClaims: ["iat", "exp"],
      });
      const signedInTime = payload.iat <= Date.now() / 1000 + 60 && payload.exp - Date.now() / 1000 <= SIX_MONTHS;
      return protectedHeader.kid === client.key_id && form.get("client_id") === client.client_id && signedInTime;
    } catch {
      return false;
    }
  }

  return async (call, ask) => {
    const query = call.url.searchParams;
    switch (call.url.pathname) {
      case "/auth/authorize":
        if (query.get("scope").includes("email") && query.get("response_mode") !== "form_post")
          return Response.json({ error: "invalid_request" }, { status: 400 });
        return ask();
      case "/auth/authorize/callback": {
        const page = await (await ask()).text();
        redirects.set(/name="code" value="(\w+)"/.exec(page)[1], call.form.get("redirect_uri"));
        return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
      }
      case "/auth/token":
        if (!(await authenticates(call.form))) return Response.json({ error: "invalid_client" }, { status: 400 });
        if (redirects.get(call.form.get("code")) !== call.form.get("redirect_uri"))
          return Response.json({ error: "invalid_grant" }, { status: 400 });
        return ask();
      default:
        return ask();
    }
  };
}

// emulate's metadata of `common` and `organizations` name the issuer of the tenant of personal accounts, and its keys
// name no issuer. Microsoft's metadata and keys of many tenants name `…/{tenantid}/v2.0`, to the letter.
function microsoft(url) {
  const issuer = `${url}/{tenantid}/v2.0`;
  return async (call, ask) => {
    const answer = await ask();
    if (/^\/(common|organizations)\/v2\.0\/\.well-known\/openid-configuration$/.test(call.url.pathname))
      return Response.json({ ...(await answer.json()), issuer });
    if (call.url.pathname === "/discovery/v2.0/keys")
      return Response.json({ keys: (await answer.json()).keys.map((key) => ({ ...key, issuer })) });
    return answer;
  };
}

// emulate has the API without the `/api/v3` of an Enterprise Server, no PKCE, JSON from the token endpoint where GitHub
// answers a form unless `Accept` asks for JSON, and of each user a single address, which is verified. GitHub lists each
// address of the user, in no order that means anything, with `visibility` null but for the primary address.
// `login@example.com` is the primary address here, and verified unless the login begins with "unproven".
function github() {
  const challenges = new Map(); // by state, until there is a code
  const challengeOf = new Map(); // by code
  return async (call, ask) => {
    const path = call.url.pathname;
    call.url.pathname = path.replace(/^\/api\/v3\//, "/");
    switch (path) {
      case "/login/oauth/authorize":
        challenges.set(call.url.searchParams.get("state"), call.url.searchParams.get("code_challenge"));
        return ask();
      case "/login/oauth/callback": {
        const answer = await ask();
        const code = new URL(answer.headers.get("location")).searchParams.get("code");
        challengeOf.set(code, challenges.get(call.form.get("state")));
        return answer;
      }
      case "/login/oauth/access_token": {
        const challenge = challengeOf.get(call.form.get("code"));
        const verifier = call.form.get("code_verifier") ?? "";
        if (challenge && createHash("sha256").update(verifier).digest("base64url") !== challenge)
          return Response.json({ error: "bad_verification_code" });
        if (!call.headers.accept?.includes("json")) call.headers.accept = "application/x-www-form-urlencoded";
        return ask();
      }
      case "/api/v3/user/emails": {
        const answer = await ask();
        if (!answer.ok) return answer;
        const [login, host] = (await answer.json())[0].email.split("@");
        const visibility = host === "example.com" ? "public" : "private";
        const verified = !login.startsWith("unproven");
        return Response.json([
          { email: `${login}@users.noreply.github.com`, primary: false, verified: true, visibility: null },
          { email: `${login}@example.com`, primary: true, verified, visibility },
        ]);
      }
      default:
        return ask();
    }
  };
}

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

// emulate writes its public URL into metadata and tokens, so that it starts after the server before it, on a port that
// was free a moment ago.
async function start(service, baseUrl) {
  for (;;) {
    const free = createServer();
    const port = await listen(free);
    await new Promise((closed) => free.close(closed));
    try {
      await createEmulator({ service, port, baseUrl, seed: { [service]: seed[service] } });
      return `http://127.0.0.1:${port}`;
    } catch (error) {
      if (error.code !== "EADDRINUSE") throw error;
    }
  }
}

async function serve(service, mend) {
  const server = createServer();
  const url = `http://${host}:${await listen(server)}`;
  const emulator = await start(service, url);
  const answerTo = mend(url);
  server.on("request", async (incoming, outgoing) => {
    try {
      const body = Buffer.concat(await incoming.toArray()).toString();
      const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => SENT_ON.includes(name)));
      const call = { url: new URL(incoming.url, url), headers, form: new URLSearchParams(body) };
      const answer = await answerTo(call, () =>
        fetch(`${emulator}${call.url.pathname}${call.url.search}`, {
          method: incoming.method,
          headers,
          body: incoming.method === "GET" ? undefined : body,
          redirect: "manual",
        }),
      );
      outgoing.statusCode = answer.status;
      for (const [name, value] of answer.headers)
        if (!OF_THE_CONNECTION.includes(name)) outgoing.appendHeader(name, value);
      outgoing.end(Buffer.from(await answer.arrayBuffer()));
    } catch (error) {
      console.error(error);
      outgoing.writeHead(500).end();
    }
  });
  return url;
}

const [atApple, atMicrosoft, atGitHub] = await Promise.all([
  serve("apple", apple),
  serve("microsoft", microsoft),
  serve("github", github),
]);
console.log(JSON.stringify({ apple: atApple, microsoft: atMicrosoft, github: atGitHub }));
process.stdin.resume().on("end", () => process.exit());
