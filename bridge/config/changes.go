package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is a key whose value a new configuration changes.
type Change struct {
	// Key is its path in the new file. Routes are told apart by their path, so the index
	// is that of the new file; one that is gone is called route "/path".
	Key string
	// Restart tells that the new value is heeded at the next start only, since the
	// program's listeners depend on it. Everything else is for [Bridge.Reload].
	Restart bool
}

// restartKeys are the keys that the program's listeners are made of.
var restartKeys = []string{
	"server.listen", "server.tls", "server.cert", "server.key", "server.hosts",
	"server.acme_cache", "server.acme_url", "server.client_ca",
	"server.proxy_protocol", "admin.listen",
}

// Changes compares the configuration in force with one that is to follow it. The keys are
// in the order of the tables in [Config]. Nothing is changed.
func Changes(old, next *Config) []Change {
	var changes []Change
	add := func(key string) {
		restart := slices.Contains(restartKeys, key) ||
			// The listener looks at them where it reads the PROXY header.
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

// differences are the keys of two structs of the same type whose values differ.
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

func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = make(map[string]V)
	}
	maps.Copy(all, b)
	return all
}
