// An identity provider: oidc-provider. Its commands and events (see ../doc.go):
//
//   {"do":"open","socket":0}      {"event":"open","endpoint":"http://127.0.0.1:…"}, the issuer
//   {"do":"token","socket":0,"options":{"client":"ann","audience":"zwsbridge","ttl":60,"scope":"…"}}
//                                 {"event":"token","frames":["…"]}, by client credentials
//   {"do":"rotate","socket":0,"options":{"alg":"ES256","keep":true}}
//                                 {"event":"rotated"}: a new key, beside the older ones if keep is true
import { createServer } from "node:http"
import { exportJWK, generateKeyPair } from "jose"
import Provider from "oidc-provider"
import { emit, serve } from "./lines.mjs"

console.info = console.error // it writes to standard output, which is for events

const resource = (audience) => `urn:${audience}`
let issuer, server, handle
let keys = []

const clients = ["ann", "bob"]
const secrets = Object.fromEntries(clients.map((client) => [client, `${client}-${crypto.randomUUID()}`]))

/** Returns a provider with the current keys. After a rotation the server uses a new provider. */
const provider = (scopes) => new Provider(issuer, {
  clients: clients.map((client) => ({
    client_id: client, client_secret: secrets[client], grant_types: ["client_credentials"],
    redirect_uris: [], response_types: [], scope: scopes,
  })),
  scopes: scopes.split(" "),
  jwks: { keys },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx) => ({
        scope: scopes, audience: ctx.oidc.body.audience, accessTokenTTL: Number(ctx.oidc.body.ttl),
        accessTokenFormat: "jwt", jwt: { sign: { alg: keys[0].alg } },
      }),
    },
  },
})

/** Makes a key pair. */
const makeKey = async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg, use: "sig", kid: crypto.randomUUID() }
}

const scopes = "zwsbridge.read:global/devices zwsbridge.read:global/other zwsbridge.tag:monitoring"

await serve({
  async open({ socket }) {
    keys = [await makeKey("RS256")]
    server = createServer((req, res) => handle(req, res))
    await new Promise((done) => server.listen(0, "127.0.0.1", done))
    issuer = `http://127.0.0.1:${server.address().port}`
    handle = provider(scopes).callback()
    emit({ socket, event: "open", endpoint: issuer })
  },
  async token({ socket, options: { client, audience, ttl, scope } }) {
    const answer = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: { Authorization: "Basic " + btoa(`${encodeURIComponent(client)}:${encodeURIComponent(secrets[client])}`) },
      body: new URLSearchParams({ grant_type: "client_credentials", resource: resource(audience), audience, ttl, scope }),
    })
    const body = await answer.json()
    if (!answer.ok) throw new Error(JSON.stringify(body))
    emit({ socket, event: "token", frames: [body.access_token] })
  },
  async rotate({ socket, options: { alg, keep } }) {
    keys = [await makeKey(alg), ...(keep ? keys : [])]
    handle = provider(scopes).callback()
    emit({ socket, event: "rotated" })
  },
  async close({ socket }) {
    server.closeAllConnections()
    server.close(() => emit({ socket, event: "closed" }))
  },
})
