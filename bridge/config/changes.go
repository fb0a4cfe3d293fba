package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a key whose value a new configuration changes.
type Change struct {
	// Key is its path in the new file. Routes are compared by their path; the index is that
	// of the new file, and a removed route has the key route "/path".
	Key string
	// Restart means that the new value takes effect at the next start only, because the
	// listeners of the program depend on it. A reload applies all other changes.
	Restart bool
}

// restartKeys are the keys that the listeners of the program, and what routes keep, depend on.
var restartKeys = []string{
	"server.listen", "server.tls", "server.cert", "server.key", "server.hosts",
	"server.acme_cache", "server.acme_url", "server.client_ca",
	"server.proxy_protocol", "admin.listen", "admin.socket",
	"history.store", "history.dir", "history.sync", "history.nats",
}

// Changes compares the configuration in force with the next one. It returns the keys that
// differ: those of the tables server, admin, log, zap and history sorted, then auth.NAME, then routes.
func Changes(old, next *Config) []Change {
	var changes []Change
	add := func(key string) {
		restart := slices.Contains(restartKeys, key) ||
			// The listener that reads the PROXY header uses them.
			key == "server.trusted_proxies" && old.Server.ProxyProtocol
		changes = append(changes, Change{key, restart})
	}
	for name, table := range fields(reflect.ValueOf(next).Elem()) {
		if table.Kind() != reflect.Struct {
			continue
		}
		was := fields(reflect.ValueOf(old).Elem())[name]
		for _, key := range differences(was, table) {
			add(joinKey(name, key))
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	for _, name := range slices.Sorted(maps.Keys(merged(old.Auth, next.Auth))) {
		was, is := old.Auth[name], next.Auth[name]
		if !reflect.DeepEqual(was, is) {
			add(joinKey("auth", name))
		}
	}
	return append(changes, routeChanges(old.Routes, next.Routes)...)
}

// routeChanges compares the routes by their paths.
func routeChanges(old, next []Route) []Change {
	var changes []Change
	was := make(map[string]Route)
	for _, r := range old {
		was[r.Path] = r
	}
	for i, r := range next {
		key := entry("route", i)
		before, ok := was[r.Path]
		delete(was, r.Path)
		if !ok {
			changes = append(changes, Change{Key: key})
			continue
		}
		for _, name := range differences(reflect.ValueOf(before), reflect.ValueOf(r)) {
			changes = append(changes, Change{Key: joinKey(key, name)})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(was)) {
		changes = append(changes, Change{Key: `route "` + path + `"`})
	}
	return changes
}

// differences returns the keys whose values differ between two structs of the same type.
func differences(a, b reflect.Value) []string {
	var keys []string
	was := fields(a)
	for name, v := range fields(b) {
		if !reflect.DeepEqual(was[name].Interface(), v.Interface()) {
			keys = append(keys, name)
		}
	}
	slices.Sort(keys)
	return keys
}

// merged returns a map with the keys of both.
func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[string]V)
	}
	maps.Copy(all, b)
	return all
}
