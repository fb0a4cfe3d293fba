// An identity provider: oidc-provider. Orders, one JSON object a line, as ../doc.go tells:
//
//   {"do":"open","socket":0}      {"event":"open","endpoint":"http://127.0.0.1:…"}, which is the issuer
//   {"do":"token","socket":0,"options":{"client":"ann","audience":"zwsbridge","ttl":60,"scope":"…"}}
//                                 {"event":"token","frames":["…"]}, by client credentials
//   {"do":"rotate","socket":0,"options":{"alg":"ES256","keep":true}}
//                                 {"event":"rotated"}: another key, beside those of before or alone
import { createServer } from "node:http"
import { exportJWK, generateKeyPair } from "jose"
import Provider from "oidc-provider"
import { obey, say } from "./lines.mjs"

console.info = console.error // it tells things on standard output, which is for events

const resource = (audience) => `urn:${audience}`
let issuer, server, serve
let keys = []

const clients = ["ann", "bob"]
const secrets = Object.fromEntries(clients.map((client) => [client, `${client}-${crypto.randomUUID()}`]))

/** A provider with the present keys. A rotation is another one behind the same server. */
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

/** A new key pair, first in the set. */
const draw = async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), alg, use: "sig", kid: crypto.randomUUID() }
}

const scopes = "zwsbridge.read:global/devices zwsbridge.read:global/other zwsbridge.tag:monitoring"

await obey({
  async open({ socket }) {
    keys = [await draw("RS256")]
    server = createServer((req, res) => serve(req, res))
    await new Promise((done) => server.listen(0, "127.0.0.1", done))
    issuer = `http://127.0.0.1:${server.address().port}`
    serve = provider(scopes).callback()
    say({ socket, event: "open", endpoint: issuer })
  },
  async token({ socket, options: { client, audience, ttl, scope } }) {
    const answer = await fetch(`${issuer}/token`, {
      method: "POST",
      headers: { Authorization: "Basic " + btoa(`${encodeURIComponent(client)}:${encodeURIComponent(secrets[client])}`) },
      body: new URLSearchParams({ grant_type: "client_credentials", resource: resource(audience), audience, ttl, scope }),
    })
    const body = await answer.json()
    if (!answer.ok) throw new Error(JSON.stringify(body))
    say({ socket, event: "token", frames: [body.access_token] })
  },
  async rotate({ socket, options: { alg, keep } }) {
    keys = [await draw(alg), ...(keep ? keys : [])]
    serve = provider(scopes).callback()
    say({ socket, event: "rotated" })
  },
  async close({ socket }) {
    server.closeAllConnections()
    server.close(() => say({ socket, event: "closed" }))
  },
})
