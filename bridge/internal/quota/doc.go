// Package quota counts the bytes of the topics that clients are subscribed to.
//
// A [Counter] counts them by [Owner] and in all, with a limit for each: the bridge has one for
// its users, and each route has one. A stream opens an [Account], which books every
// subscription with both counters, or with neither, and gives everything back when it is
// closed. What is counted is what backends hold: the topics as they are subscribed to there.
//
// Opening and closing an account locks its counters for a moment; a subscription changes three
// atomic numbers.
package quota
