// Package config reads and checks the configuration of the bridge, bridge.toml. It starts
// nothing and knows no running object.
//
// [Load] reads a file and [Parse] a reader; a program that has no file starts from [Default],
// adds routes and authenticators, and calls [Validate]. All three return a [Config] with its
// defaults filled in, or [Faults]: every mistake at once, each with its key, its line and what
// would be right. Warnings among them leave the configuration usable.
//
// The settings of an [auth.NAME] table are an [AuthKind], one file for each kind (auth_*.go);
// bridge/internal/auth builds the authenticators from them. [Changes] compares two
// configurations for a reload, [Rights] explains what a login may do where, and
// [Config.MakeMissing] prepares the first start.
package config
