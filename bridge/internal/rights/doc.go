// Package rights decides what a login may do on a route: which subscriptions it may make,
// which messages it may receive and which it may send.
//
// A [Grant] is what one source allows: [Policy], the rules of the route, compiled once and
// filled in for each login by [Policy.For]; [FromMetadata], the properties of a ZAP reply;
// [NewGlobs], the scopes of a token. [Combine] makes the [Rights] of a login of them: an
// action is allowed if every grant allows it.
//
// # Patterns
//
// A pattern without a wildcard is a prefix, as a ZeroMQ subscription is: "house/1" allows
// house/1, house/1/kitchen and house/10; the empty pattern allows every topic.
//
// A pattern in which a whole level is "+", or the last level is "#", is matched level by
// level against the whole topic. "+" matches exactly one level, which may be empty; "#"
// matches the rest, any number of levels including none. So "house/+/temp" allows
// house/1/temp and neither house/1/temp/max nor house/temp; "house/#" is the prefix
// "house/"; "#" allows everything.
//
// {user}, {claim.NAME} and {meta.NAME} are placeholders for the user name, a claim of the
// token and a property of the ZAP reply. A claim that is a list gives one pattern for each of
// its values. A value that is empty or contains the separator, a wildcard ("+", "#", "*") or
// NUL gives no pattern. A pattern that ends in a placeholder ends with that level:
// "house/{user}" allows alice house/alice and house/alice/temp, but not house/alice2.
//
// Without a separator there are no levels: all patterns are prefixes, "+" and "#" have no
// special meaning, and placeholders are an error.
package rights
