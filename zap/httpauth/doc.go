// Package httpauth asks an HTTP service who may log in and what they may do, with the protocol
// of RabbitMQ's rabbitmq_auth_backend_http, so that a service written for RabbitMQ works
// unchanged. A [Client] is both an authenticator for PLAIN and an authorizer; its replies carry
// a zap.Grant that asks the service about routes and topics.
//
// # Requests
//
// A request is a form, sent by POST as application/x-www-form-urlencoded or by GET in the
// query. Each kind has its own URL; a kind without a URL is not asked about.
//
//	user      username, password, vhost                          at a PLAIN login
//	vhost     username, vhost, ip, tags                          at a login, after that
//	resource  username, vhost, resource=exchange, name,
//	          permission=read|write, tags                        for a route
//	topic     username, vhost, resource=topic, name,
//	          permission=read|write, tags, routing_key,
//	          variable_map.username, variable_map.vhost          for a topic
//
// RabbitMQ's vhost is the ZAP domain. The name of the exchange is the path of the route without
// its leading slash. The routing key is the prefix of a subscription, or the topic of a message
// to be sent. Attaching to a route and receiving require read, sending requires write. There
// are no queues, and the permission configure is never asked for.
//
// # Responses
//
// The response has status 200 or 201 and the body "allow", which the user's tags may follow, or
// "deny", which a reason may follow. Case and surrounding white space do not matter, and the
// body may be a JSON string. Tags are converted to lower case, as RabbitMQ does. Any other
// response and a timeout are errors, which let nobody in.
package httpauth
