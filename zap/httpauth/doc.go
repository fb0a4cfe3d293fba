// Package httpauth asks an HTTP service who may come in and what he may do, in the way of
// RabbitMQ's rabbitmq_auth_backend_http, so that a service that was written for RabbitMQ
// serves unchanged.
//
// # Questions
//
// A question is a form, sent by POST as application/x-www-form-urlencoded or by GET in the
// query. Each kind has an address of its own; a kind without an address is not asked.
//
//	user      username, password, vhost                          at a PLAIN login
//	vhost     username, vhost, ip, tags                          at a login, after that
//	resource  username, vhost, resource=exchange, name,
//	          permission=read|write, tags                        on a route
//	topic     username, vhost, resource=topic, name,
//	          permission=read|write, tags, routing_key,
//	          variable_map.username, variable_map.vhost          about a topic
//
// What RabbitMQ calls vhost is the ZAP domain; the name of the exchange is the path of the
// route without its first slash; the routing key is the prefix that is subscribed to, or
// the topic of a message that is sent. To attach to a route and to receive there needs read,
// to send needs write. There are no queues, and configure is asked by nothing.
//
// # Answers
//
// Status 200 or 201 with "allow", which a user's tags may follow, or "deny", which a reason
// may follow. Case and white space around do not count, and the whole may stand in the
// quotes of a JSON string. Tags are put into lower case, as RabbitMQ does. Any other
// answer, one that comes too late, and none are errors, which let nobody in.
package httpauth
