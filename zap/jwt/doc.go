// Package jwt is a ZAP authenticator for JSON Web Tokens (RFC 7519) that are signed (JWS,
// RFC 7515) by one issuer, with rights from scopes as RabbitMQ's OAuth 2.0 plugin reads
// them.
//
// A token comes as the one frame of BEARER, or as the password of PLAIN with an empty user
// name. It is judged in this order:
//
//	form        three parts of base64url, JSON objects without a name twice; else passed
//	issuer      iss is the issuer, if one is set; else passed
//	algorithm   on the allow-list; "none" never is
//	key         the kid of the header, or the default key; an unknown one: the remote
//	            key set is fetched again, at most every [RefetchInterval], else passed
//	extensions  none (crit)
//	signature   by that key, which must be made for the algorithm
//	claims      exp, nbf, aud, a user name, scopes
//
// What is passed is somebody else's: another issuer's token, or none at all. What fails
// later is refused for good. While the issuer cannot be reached and the key is not known,
// no decision can be made. Headers that tell where to find a key (jku, x5u, jwk) are
// ignored: a key verifies only tokens of the issuer that it was configured for.
//
// # Scopes
//
// A scope is PREFIX PERMISSION ":" DOMAIN "/" ROUTE ["/" TOPIC], for instance
// "zwsbridge.read:global/devices/house.*": the prefix is that of the resource server, the
// permission read (receive) or write (send), the domain the ZAP domain (RabbitMQ's vhost),
// the route its path without the first slash (RabbitMQ's exchange or queue), the topic as
// the route has it (RabbitMQ's routing key). A star stands for any octets in each of them;
// octets that mean something here are percent-encoded: "/" in a route or topic is %2F, a
// star that is none is %2A. A scope without a topic is one for every topic, or with
// Options.StrictTopics for none. One with four parts means nothing. The permission
// configure is read, and nothing asks for it. PREFIX "tag:" TAG gives the user a tag.
//
// Rich authorization requests (RFC 9396) say the same: an object of authorization_details
// whose type is the resource server's, with locations like
// "cluster:zwsbridge/domain:global/route:devices/topic:house.*" and actions (read, write,
// configure, or a tag). The cluster is the resource server's id and has to be there; what
// else is left out means any. RabbitMQ's names vhost, queue or exchange, and routing-key
// may stand for domain, route and topic.
package jwt
