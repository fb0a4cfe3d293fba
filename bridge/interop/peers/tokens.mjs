// Makes tokens that an authenticator for issuer https://idp.example and resource server
// "zwsbridge" has to accept, refuse or pass on, and writes them as one JSON document:
//
//   node peers/tokens.mjs > ../../zap/jwt/testdata/tokens.json
//
// jose makes the valid tokens and those with simple mistakes; what jose refuses to make is built
// by hand with Node's crypto. The keys are new for each run; only the public ones are written.
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from "jose"
import { constants, createHmac, createPublicKey, sign as signature } from "node:crypto"

const now = 1_800_000_000 // the time at which they are judged
const issuer = "https://idp.example"
const claims = {
  iss: issuer, aud: "zwsbridge", sub: "ann", iat: now - 60, exp: now + 600,
  scope: "zwsbridge.read:global/devices zwsbridge.tag:monitoring",
}

const keys = {} // by kid: { privateKey, publicKey, alg }
for (const alg of ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]) {
  keys[alg] = { alg, ...(await generateKeyPair(alg, { extractable: true })) }
}
const stranger = await generateKeyPair("RS256", { extractable: true })
const other = await generateKeyPair("ES256", { extractable: true })

const without = (...names) => Object.fromEntries(Object.entries(claims).filter(([name]) => !names.includes(name)))
const base64 = (v) => Buffer.from(typeof v === "string" || Buffer.isBuffer(v) ? v : JSON.stringify(v)).toString("base64url")

/** Makes a token with jose. */
const jose = (payload, { alg = "RS256", kid = alg, key = keys[alg].privateKey, header = {} } = {}) =>
  new SignJWT(payload).setProtectedHeader({ alg, kid, typ: "JWT", ...header }).sign(key, { crit: { "urn:x": true } })

/** Makes a token by hand: header and payload are texts or objects, and are signed unchecked. */
const hand = (header, payload, { key = keys.RS256.privateKey, hash = "sha256", ...options } = {}) => {
  const signed = base64(header) + "." + base64(payload)
  return signed + "." + base64(signature(hash, Buffer.from(signed), { key, ...options }))
}
const rs256 = { alg: "RS256", kid: "RS256" }
const pem = await exportSPKI(keys.RS256.publicKey)
const der = createPublicKey(pem).export({ type: "spki", format: "der" })
const hmac = (header, secret) => {
  const signed = base64(header) + "." + base64(claims)
  return signed + "." + base64(createHmac("sha256", secret).update(signed).digest())
}
const good = await jose(claims)
const [h, p, s] = good.split(".")
const flipped = Buffer.from(s, "base64url")
flipped[10] ^= 1

const take = [], refuse = [], pass = []
const add = async (list, name, token) => list.push({ name, token: await token })

// To be accepted.
for (const alg of Object.keys(keys)) await add(take, `${alg}`, jose(claims, { alg }))
await add(take, "aud is a list", jose({ ...claims, aud: ["portal", "zwsbridge"] }))
await add(take, "expires in a second", jose({ ...claims, exp: now + 1 }))
await add(take, "valid from this second", jose({ ...claims, nbf: now }))
await add(take, "issued a minute hence", jose({ ...claims, iat: now + 60 }))
await add(take, "exp with a fraction", jose({ ...claims, exp: now + 10.5 }))
await add(take, "scope is a list", jose({ ...claims, scope: claims.scope.split(" ") }))
await add(take, "no scope", jose(without("scope")))
await add(take, "no sub but client_id", jose({ ...without("sub"), client_id: "portal" }))
await add(take, "no typ", hand(rs256, claims))
await add(take, "typ at+jwt", jose(claims, { header: { typ: "at+jwt" } }))
await add(take, "jku, which is ignored", jose(claims, { header: { jku: "https://attacker.example/jwks.json" } }))
await add(take, "claims of every kind", jose({ ...claims, a: [1, true, null, { b: ["c"] }], "https://x.example/y": {} }))
await add(take, "a user that is not ASCII", jose({ ...claims, sub: "zoë" }))
await add(take, "scopes that grant nothing", jose({ ...claims, scope: "openid zwsbridge.read:% zwsbridge. read:*/*" }))
await add(take, "15 KiB", jose({ ...claims, more: "x".repeat(11_000) }))

// To be refused for good: they claim to be from this issuer and key.
await add(refuse, "expired this second", jose({ ...claims, exp: now }))
await add(refuse, "expired by a second", jose({ ...claims, exp: now - 1 }))
await add(refuse, "no exp", jose(without("exp")))
await add(refuse, "exp is a string", hand(rs256, { ...claims, exp: String(now + 600) }))
await add(refuse, "exp is null", hand(rs256, { ...claims, exp: null }))
await add(refuse, "exp beyond all years", hand(rs256, JSON.stringify(claims).replace(String(now + 600), "1e300")))
await add(refuse, "exp is negative", hand(rs256, { ...claims, exp: -1 }))
await add(refuse, "valid from the next second", jose({ ...claims, nbf: now + 1 }))
await add(refuse, "nbf is a list", hand(rs256, { ...claims, nbf: [now] }))
await add(refuse, "wrong aud", jose({ ...claims, aud: "portal" }))
await add(refuse, "aud in other letters", jose({ ...claims, aud: "ZWSbridge" }))
await add(refuse, "aud only begins so", jose({ ...claims, aud: ["zwsbridge2", "zws"] }))
await add(refuse, "no aud", jose(without("aud")))
await add(refuse, "aud is empty", jose({ ...claims, aud: [] }))
await add(refuse, "aud is an object", hand(rs256, { ...claims, aud: { zwsbridge: true } }))
await add(refuse, "aud with a number in it", hand(rs256, { ...claims, aud: ["zwsbridge", 1] }))
await add(refuse, "no user", jose(without("sub")))
await add(refuse, "sub is a number", hand(rs256, { ...claims, sub: 7 }))
await add(refuse, "sub of 256 bytes", jose({ ...claims, sub: "x".repeat(256) }))
await add(refuse, "sub with a line end", jose({ ...claims, sub: "ann\nadmin" }))
await add(refuse, "2049 scopes", jose({ ...claims, scope: Array.from({ length: 2049 }, (_, i) => i.toString(36)).join(" ") }))
await add(refuse, "none", base64({ alg: "none", kid: "RS256" }) + "." + base64(claims) + ".")
await add(refuse, "None", base64({ alg: "None", kid: "RS256" }) + "." + base64(claims) + "." + s)
await add(refuse, "none with a signature", base64({ alg: "none", kid: "RS256" }) + "." + p + "." + s)
await add(refuse, "no signature", `${h}.${p}.`)
await add(refuse, "one bit of the signature", `${h}.${p}.${base64(flipped)}`)
await add(refuse, "half the signature", `${h}.${p}.${base64(flipped.subarray(0, 128))}`)
await add(refuse, "another's signature", jose(claims, { key: stranger.privateKey }))
await add(refuse, "another payload", `${h}.${base64({ ...claims, sub: "root" })}.${s}`)
await add(refuse, "another header", `${base64({ ...rs256, x: 1 })}.${p}.${s}`)
await add(refuse, "HS256 with the RSA key's PEM", hmac({ alg: "HS256", kid: "RS256" }, pem))
await add(refuse, "HS256 with the RSA key's PEM, trimmed", hmac({ alg: "HS256", kid: "RS256" }, pem.trim()))
await add(refuse, "HS256 with the RSA key's DER", hmac({ alg: "HS256", kid: "RS256" }, der))
await add(refuse, "HS256 with an empty secret", hmac({ alg: "HS256", kid: "RS256" }, ""))
await add(refuse, "RS256 says ES256", hand({ alg: "ES256", kid: "RS256" }, claims))
await add(refuse, "the kid of another key", jose(claims, { kid: "RS384" }))
await add(refuse, "ES256 with the kid of ES384", jose(claims, { alg: "ES256", kid: "ES384" }))
await add(refuse, "ES256 by the key of ES384", hand({ alg: "ES256", kid: "ES384" }, claims, { key: keys.ES384.privateKey, dsaEncoding: "ieee-p1363" }))
await add(refuse, "ES256 in DER", hand({ alg: "ES256", kid: "ES256" }, claims, { key: keys.ES256.privateKey }))
await add(refuse, "ES256 of zeros", base64({ alg: "ES256", kid: "ES256" }) + "." + p + "." + base64(Buffer.alloc(64)))
await add(refuse, "PS256 by a key for RS256", hand({ alg: "PS256", kid: "RS256" }, claims, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }))
await add(refuse, "ES256K", hand({ alg: "ES256K", kid: "ES256" }, claims, { key: keys.ES256.privateKey }))
await add(refuse, "crit", jose(claims, { header: { crit: ["urn:x"], "urn:x": 1 } }))
await add(refuse, "crit b64", hand({ ...rs256, crit: ["b64"], b64: true }, claims))
await add(refuse, "crit is empty", hand({ ...rs256, crit: [] }, claims))

// To be passed on: tokens of another issuer, and what is not a token.
await add(pass, "another issuer", jose({ ...claims, iss: "https://other.example" }))
await add(pass, "another issuer and key", jose({ ...claims, iss: "https://other.example" }, { alg: "ES256", kid: "theirs", key: other.privateKey }))
await add(pass, "the issuer with a slash", jose({ ...claims, iss: issuer + "/" }))
await add(pass, "no issuer", jose(without("iss")))
await add(pass, "the issuer in a list", hand(rs256, { ...claims, iss: [issuer] }))
await add(pass, "unknown kid", jose(claims, { kid: "2019" }))
await add(pass, "unknown kid, jku says where", jose(claims, { kid: "2019", key: stranger.privateKey, header: { jku: "https://attacker.example/jwks.json" } }))
await add(pass, "its own key in the header", hand({ alg: "RS256", jwk: await exportJWK(stranger.publicKey) }, claims, { key: stranger.privateKey }))
await add(pass, "no kid, and several keys", hand({ alg: "RS256" }, claims))
await add(pass, "kid is empty", hand({ alg: "RS256", kid: "" }, claims))
await add(pass, "kid is a number", hand({ alg: "RS256", kid: 1 }, claims))
await add(pass, "kid is a path", jose(claims, { kid: "../../../dev/null" }))
await add(pass, "kid is SQL", jose(claims, { kid: "x' UNION SELECT 'key" }))
await add(pass, "no alg", hand({ kid: "RS256" }, claims))
await add(pass, "alg is a list", hand({ alg: ["RS256"], kid: "RS256" }, claims))
await add(pass, "a claim twice", hand(rs256, JSON.stringify(claims).replace("{", '{"sub":"root",')))
await add(pass, "a claim twice, deep", hand(rs256, JSON.stringify(claims).replace("{", '{"a":{"b":1,"b":2},')))
await add(pass, "alg twice", hand('{"alg":"none","alg":"RS256","kid":"RS256"}', claims))
await add(pass, "an escaped claim twice", hand(rs256, JSON.stringify(claims).replace("{", '{"\\u0073ub":"root",')))
await add(pass, "something after the payload", hand(rs256, JSON.stringify(claims) + "{}"))
await add(pass, "payload is a list", hand(rs256, "[]"))
await add(pass, "payload is not JSON", hand(rs256, "sub=ann"))
await add(pass, "payload is not UTF-8", hand(rs256, Buffer.from([...Buffer.from('{"sub":"'), 0xff, ...Buffer.from('"}')])))
await add(pass, "nested without end", hand(rs256, "[".repeat(5000)))
await add(pass, "21 levels", hand(rs256, JSON.stringify(claims).replace("{", '{"a":' + "[".repeat(20) + "]".repeat(20) + ",")))
await add(pass, "over 16 KiB", jose({ ...claims, more: "x".repeat(13_000) }))
await add(pass, "encrypted: five parts", "a.b.c.d.e")
await add(pass, "four parts", good + ".x")
await add(pass, "two parts", `${h}.${p}`)
await add(pass, "padded base64", `${h}.${p}.${s}=`)
await add(pass, "base64 with a line end", `${h}.${p}.\n${s}`)
await add(pass, "base64 of the other alphabet", `${h}.${p}.+/+/`)
await add(pass, "space around it", ` ${good} `)
await add(pass, "Bearer before it", `Bearer ${good}`)
await add(pass, "empty", "")
await add(pass, "two dots", "..")
await add(pass, "an opaque token", "gho_16C7e42F292c6912E7710c838347Ae178B4a")

const jwks = { keys: [] }
for (const [kid, { publicKey, alg }] of Object.entries(keys)) {
  jwks.keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" })
}
process.stdout.write(JSON.stringify({ now, issuer, jwks, take, refuse, pass }, null, 1) + "\n")
