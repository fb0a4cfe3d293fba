// Package natstest tests bridges that share their histories on a NATS server. It is a module of its
// own, so that the server does not become a dependency of zwsbridge.
package natstest
