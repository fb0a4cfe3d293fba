// Package jwt implements a ZAP authenticator for signed JSON Web Tokens (RFC 7519, RFC 7515) of
// one issuer, with rights from scopes as in RabbitMQ's OAuth 2.0 plugin.
//
// [New] starts an [Authenticator] with keys from files, a JWKS URL or OpenID Connect discovery;
// it follows changes of the keys. [Authenticator.Explain] describes how a token is judged.
// [SigningKey] makes keys and tokens for development and tests.
//
// A token is the one frame of BEARER, or the password of PLAIN with an empty user name. The
// checks are, in this order:
//
//	form        three parts of base64url, JSON objects without duplicate names; else passed
//	issuer      iss is the issuer, if one is set; else passed
//	algorithm   is on the allow-list; "none" never is
//	key         the kid of the header, or the default key; for an unknown one the remote
//	            keys are fetched again, at most every [RefetchInterval]; else passed, or
//	            undecided while a key that is newer than the last fetch may exist
//	extensions  none (crit)
//	signature   by that key, which must be for the algorithm
//	claims      exp, nbf, aud, a user name, scopes
//
// A token that is passed belongs to another issuer or is not a token. One that fails a later
// check is refused. While the key is unknown and the issuer cannot be reached, no decision can
// be made. Headers that name a key's location (jku, x5u, jwk) are ignored: a key verifies only
// tokens of the issuer for which it was configured.
//
// # Scopes
//
// A scope is PREFIX PERMISSION ":" DOMAIN "/" ROUTE ["/" TOPIC], for instance
// "zwsbridge.read:global/devices/house.*". The prefix is that of the resource server, the
// permission is read (receive) or write (send), the domain is the ZAP domain (RabbitMQ's
// vhost), the route is its path without the leading slash (RabbitMQ's exchange or queue), and
// the topic is that of the route (RabbitMQ's routing key). A star in any of them matches any
// bytes. Bytes with a meaning are percent-encoded: "/" in a route or topic is %2F, a literal
// star is %2A. A scope without a topic permits every topic, or with Options.StrictTopics none.
// A scope with four parts is ignored. The permission configure is accepted but has no effect.
// PREFIX "tag:" TAG gives the user a tag.
//
// Rich authorization requests (RFC 9396) can express the same: an object of
// authorization_details with the resource server's type, with locations such as
// "cluster:zwsbridge/domain:global/route:devices/topic:house.*" and actions (read, write,
// configure, or a tag). The cluster is the resource server's id and is required; everything else
// that is left out matches anything. RabbitMQ's names vhost, queue or exchange, and routing-key
// are aliases of domain, route and topic.
package jwt
