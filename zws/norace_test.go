//go:build !race

package zws_test

const raceEnabled = false
