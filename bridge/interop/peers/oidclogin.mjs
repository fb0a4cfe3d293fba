// An identity provider with a login page: oidc-provider. It asks for a name and accepts any; the
// access tokens have the roles of that name. Its commands and events (see ../doc.go):
//
//   {"do":"open","socket":0,"options":{"client":"page","secret":"…","redirect":"http://…",
//    "audience":"zwsbridge","roles":{"carol":["administrator"]}}}
//                                 {"event":"open","endpoint":"http://127.0.0.1:…"}, the issuer
import { createServer } from "node:http"
import { text } from "node:stream/consumers"
import { exportJWK, generateKeyPair } from "jose"
import Provider from "oidc-provider"
import { emit, serve } from "./lines.mjs"

console.info = console.error // it writes to standard output, which is for events

let server, provider, handle

/** Configures one client, which gets tokens for the resource that it names. */
const configuration = ({ client, secret, redirect, audience, roles }, key) => ({
  clients: [{ client_id: client, client_secret: secret, grant_types: ["authorization_code"], redirect_uris: [redirect], response_types: ["code"], id_token_signed_response_alg: key.alg }],
  jwks: { keys: [key] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  extraTokenClaims: (ctx, token) => ({ roles: roles[token.accountId] ?? [] }),
  async loadExistingGrant(ctx) { // without a consent page
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
    grant.addOIDCScope("openid")
    grant.addResourceScope(`urn:${audience}`, "manage")
    await grant.save()
    return grant
  },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: "manage", audience, accessTokenTTL: 600, accessTokenFormat: "jwt", jwt: { sign: { alg: key.alg } } }),
    },
  },
})

const form = `<!doctype html><title>Identity provider</title><form method="post">
<label>Name <input name="name" autofocus></label> <button>Log in</button></form>`

/** Begins a login. It forgets the session of an earlier user, which would lead to a logout page. */
async function begin(req, res) {
  const session = await provider.Session.get(provider.createContext(req, res))
  if (session.accountId) {
    delete session.accountId
    await session.persist()
  }
  handle(req, res)
}

/** Serves the login page of the provider. */
async function interaction(req, res) {
  if (req.method === "GET") return res.setHeader("Content-Type", "text/html").end(form)
  const accountId = new URLSearchParams(await text(req)).get("name")
  await provider.interactionFinished(req, res, accountId ? { login: { accountId } } : { error: "access_denied" })
}

await serve({
  async open({ socket, options }) {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true })
    const key = { ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: crypto.randomUUID() }
    server = createServer((req, res) => {
      const own = req.url.startsWith("/auth?") ? begin : req.url.startsWith("/interaction/") ? interaction : handle
      own(req, res)
    })
    await new Promise((done) => server.listen(0, "127.0.0.1", done))
    const issuer = `http://127.0.0.1:${server.address().port}`
    provider = new Provider(issuer, configuration(options, key))
    handle = provider.callback()
    emit({ socket, event: "open", endpoint: issuer })
  },
  async close({ socket }) {
    server.closeAllConnections()
    server.close(() => emit({ socket, event: "closed" }))
  },
})
