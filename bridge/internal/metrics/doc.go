// Package metrics counts what the bridge does, for Prometheus and for the operators' page.
//
// [New] makes the collectors on a registry of their own and, if the program that embeds the
// bridge has a registry, on that one too. [Metrics.Route] resolves the counters of one route
// once, so that counting a message costs an atomic addition. What can be looked up is not
// counted: a [Source] is asked for it at each scrape. [Metrics.Counts] returns the counters
// in the form that the operators' interface serves.
package metrics
